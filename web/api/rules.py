"""Zones and lines of a stream, their rules, arming, and what a rule would have done in the last hour."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

from fastapi import APIRouter

from agent.loop import StreamAgent
from agent.regions import checked
from agent.rules import Firing
from agent.rules.plain import rule_of, rule_plain
from agent.rules.replay import replay
from agent.types import Region as AgentRegion
from agent.types import RegionKind
from agent.types import RegionRule as AgentRule
from stream.errors import BadInput, FrameTooOld, LimitReached, NotFound
from web.agent_wire import Json, region_body
from web.api.parameters import After, PathId
from web.api.shapes import AllArmed, Armed, Arming, NewRegion, NewRule, Page, RuleChange, Trial, TriedRule
from web.api.streams import Limit, page
from web.protocol.parts import Region, RegionRule
from web.state import AgentDep, StateDep
from web.times import time_at

router = APIRouter(prefix="/v1", tags=["Zones and rules"])
STREAM = "/streams/{stream_id}"
MOST_FIRINGS = 200
PICTURED = timedelta(seconds=2.0)
"""So near in time, a picture of an event with the same object shows what fired."""
_replaying = asyncio.Semaphore(1)


@router.get(STREAM + "/regions", response_model=Page[Region], response_model_exclude_none=True)
async def regions(agent: AgentDep, limit: Limit = 100, after: After = None) -> Json:
    return page([region_body(region) for region in agent.regions], limit, after)


@router.post(STREAM + "/regions", status_code=201, response_model=Region, response_model_exclude_none=True)
async def add_region(body: NewRegion, agent: AgentDep) -> Json:
    """A zone or a line; events say who enters, leaves or crosses it, and its rules raise alerts."""
    return _put(agent, body, None)


@router.put(STREAM + "/regions/{region_id}", response_model=Region, response_model_exclude_none=True)
async def put_region(region_id: PathId, body: NewRegion, agent: AgentDep) -> Json:
    return _put(agent, body, region_id)


@router.delete(STREAM + "/regions/{region_id}", status_code=204)
async def remove_region(region_id: PathId, agent: AgentDep) -> None:
    agent.zones.remove(region_id)


# --- rules ----------------------------------------------------------------------------------------------------------


@router.post(
    STREAM + "/regions/{region_id}/rules",
    status_code=201, response_model=RegionRule, response_model_exclude_none=True,
)  # fmt: skip
async def add_rule(region_id: PathId, body: NewRule, agent: AgentDep) -> Json:
    """Raise an alert for what happens there."""
    return rule_plain(agent.zones.put_rule(region_id, _rule(body)))


@router.put(
    STREAM + "/regions/{region_id}/rules/{rule_id}", response_model=RegionRule, response_model_exclude_none=True
)
async def put_rule(region_id: PathId, rule_id: PathId, body: NewRule, agent: AgentDep) -> Json:
    agent.zones.rule(region_id, rule_id)
    return rule_plain(agent.zones.put_rule(region_id, _rule(body, rule_id)))


@router.patch(
    STREAM + "/regions/{region_id}/rules/{rule_id}", response_model=RegionRule, response_model_exclude_none=True
)
async def change_rule(region_id: PathId, rule_id: PathId, body: RuleChange, agent: AgentDep) -> Json:
    """Arm or disarm it, and whether the page rings."""
    changed = rule_plain(agent.zones.rule(region_id, rule_id)) | body.model_dump(exclude_none=True)
    return rule_plain(agent.zones.put_rule(region_id, rule_of(changed)))


@router.delete(STREAM + "/regions/{region_id}/rules/{rule_id}", status_code=204)
async def remove_rule(region_id: PathId, rule_id: PathId, agent: AgentDep) -> None:
    agent.zones.remove_rule(region_id, rule_id)


# --- arming ---------------------------------------------------------------------------------------------------------


@router.get(STREAM + "/armed", response_model=Armed)
async def armed(agent: AgentDep) -> Json:
    return {"armed": agent.zones.armed}


@router.put(STREAM + "/armed", response_model=Armed)
async def arm(body: Armed, agent: AgentDep) -> Json:
    """Whether the rules of this stream raise alerts; each rule has a switch of its own besides."""
    agent.zones.arm(body.armed)
    return {"armed": agent.zones.armed}


@router.get("/armed", response_model=Arming)
async def all_armed(state: StateDep) -> Json:
    ruled = [agent for agent in state.agents.all if any(region.rules for region in agent.regions)]
    return {
        "armed": sorted(agent.session.id for agent in ruled if agent.zones.armed),
        "disarmed": sorted(agent.session.id for agent in ruled if not agent.zones.armed),
    }


@router.put("/armed", response_model=AllArmed)
async def arm_all(body: Armed, state: StateDep) -> Json:
    """Arm or disarm all streams."""
    agents = state.agents.all
    for agent in agents:
        agent.zones.arm(body.armed)
    await state.recording.arm(body.armed)
    return {"armed": body.armed, "streams": sorted(agent.session.id for agent in agents)}


# --- the last hour --------------------------------------------------------------------------------------------------


@router.post(STREAM + "/rules/test", response_model=Trial, response_model_exclude_none=True)
async def try_rule(body: TriedRule, agent: AgentDep) -> Json:
    """What a rule would have raised alerts for in the last hour, as though it had been armed; its schedule, filters
    and rests apply. Looked up in where objects were five times a second, which the server keeps in memory."""
    rule = _rule(body.rule)
    region = checked(_region(body.region, None, (rule,)))
    if _replaying.locked():
        raise LimitReached("Another rule is being tried.", code="busy", action="Try again in a few seconds.")
    async with _replaying:
        recorded = agent.history.snapshot()
        fired, count = await asyncio.to_thread(replay, region, rule, recorded.updates(), MOST_FIRINGS)
    since, until = agent.history.since, agent.history.until
    return {
        "since": time_at(since) if since is not None else None,
        "until": time_at(until) if until is not None else None,
        "count": count,
        "items": [_fired(agent, firing) for firing in fired],
    }


def _fired(agent: StreamAgent, firing: Firing) -> Json:
    return {
        "at": time_at(firing.at),
        "text": firing.text,
        "track_ids": list(firing.track_ids),
        "frame": {"epoch": firing.frame.epoch, "rtp": firing.frame.rtp},
        "thumb": _thumb(agent, firing),
    }


def _thumb(agent: StreamAgent, firing: Firing) -> str | None:
    """The picture of an event with the same object at about that time, or of the frame if it is young enough."""
    recorder = agent.recorder
    if recorder is not None:
        near = agent.scene.snapshot().events_between(firing.at - PICTURED, firing.at + PICTURED)
        for event in sorted(near, key=lambda event: abs(event.at - firing.at)):
            if set(event.track_ids) & set(firing.track_ids) and recorder.pictured(event.id):
                return f"/v1/events/{event.id}/thumb.jpg"
    try:
        agent.keyframes.proof(firing.frame)
    except (NotFound, FrameTooOld):
        return None
    return f"/v1/streams/{agent.session.id}/keyframes/{firing.frame.epoch}/{firing.frame.rtp}.jpg"


def _put(agent: StreamAgent, body: NewRegion, region_id: str | None) -> Json:
    rules = None if body.rules is None else tuple(_rule(rule, rule.id) for rule in body.rules)
    return region_body(agent.zones.put(body.name, RegionKind(body.kind), body.points, region_id, rules))


def _region(body: NewRegion, region_id: str | None, rules: tuple[AgentRule, ...]) -> AgentRegion:
    return AgentRegion(region_id or uuid.uuid4().hex, body.name, RegionKind(body.kind), tuple(body.points), rules)


def _rule(body: NewRule, rule_id: str | None = None) -> AgentRule:
    """Raises `BadInput`."""
    plain = body.model_dump(exclude_none=True)
    if body.label is not None and not body.label.strip():
        raise BadInput("The rule names nothing.", code="empty_text", action="Name a kind of object, or leave it out.")
    return rule_of(plain | {"id": rule_id or uuid.uuid4().hex})
