"""Questions and watches of a stream, and what happened in it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from agent.conversation import Asked, listen
from agent.loop import UNTOLD, StreamAgent
from agent.types import AnswerFact, EventKind, Severity
from stream.errors import NotFound
from stream.types import FrameRef
from web.agent_wire import (
    Json,
    agent_fact,
    asked_body,
    event_body,
    watch_body,
)
from web.api.parameters import After, PathId
from web.api.shapes import AskedQuestion, Describing, NewQuestion, NewWatch, Page, WatchChange
from web.api.streams import Limit, page
from web.commands import asked_about
from web.protocol.parts import Event, Watch
from web.state import AgentDep, StateDep

router = APIRouter(prefix="/v1/streams/{stream_id}", tags=["Agent"])
Epoch = Annotated[int, Path(ge=0, le=2**53 - 1)]
Rtp = Annotated[int, Path(ge=0, le=2**32 - 1)]


# --- questions ------------------------------------------------------------------------------------------------------


@router.post("/questions", response_model=None, responses={200: {"model": AskedQuestion}})
async def ask(body: NewQuestion, agent: AgentDep, response: Response) -> Json | StreamingResponse:
    """Ask about the scene. Waits for the whole answer; with `stream`, the question, the answer's pieces and the answer
    come as server-sent events."""
    client = uuid.uuid4().hex
    after = agent.session.facts.seq
    question = await agent.ask(body.text, client=client, **asked_about(body))
    if body.stream:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_told(agent, question.id, after), media_type="text/event-stream", headers=headers)
    try:
        async for fact in listen(agent.session.facts, question.id, after):
            if isinstance(fact, AnswerFact):
                return asked_body(Asked(question, fact.answer))
    except BaseException:
        agent.conversation.stop(client=client)
        raise
    raise NotFound("The stream was closed before the answer.")


async def _told(agent: StreamAgent, question_id: str, after: int) -> AsyncIterator[bytes]:
    ended = False
    try:
        async for fact in listen(agent.session.facts, question_id, after):
            message = agent_fact(fact)
            ended = isinstance(fact, AnswerFact)
            yield b"event: " + str(message["type"]).encode() + b"\ndata: " + to_json(message) + b"\n\n"
    finally:
        if not ended:
            # Whoever asked has gone: nobody waits for the rest.
            agent.conversation.stop(question_id=question_id)


@router.get("/questions", response_model=Page[AskedQuestion], response_model_exclude_none=True)
async def questions(agent: AgentDep, limit: Limit = 100, after: After = None) -> Json:
    """The conversation, oldest first."""
    return page([asked_body(asked) for asked in agent.conversation.all()], limit, after)


@router.get("/questions/{question_id}", response_model=AskedQuestion, response_model_exclude_none=True)
async def question(question_id: PathId, agent: AgentDep) -> Json:
    return asked_body(agent.conversation.get(question_id))


@router.delete("/questions/{question_id}", status_code=204)
async def stop(question_id: PathId, agent: AgentDep) -> None:
    """Stop the answer."""
    agent.conversation.stop(question_id=question_id)


# --- watches --------------------------------------------------------------------------------------------------------


@router.get("/watches", response_model=Page[Watch], response_model_exclude_none=True)
async def watches(agent: AgentDep, limit: Limit = 100, after: After = None) -> Json:
    return page([watch_body(watch) for watch in agent.watches.all()], limit, after)


@router.post("/watches", status_code=201, response_model=Watch, response_model_exclude_none=True)
async def add_watch(body: NewWatch, agent: AgentDep) -> Json:
    """Be told when something happens. `compiled` says how the words were understood."""
    severity = Severity(body.severity)
    return watch_body(
        agent.add_watch(body.condition, cooldown_s=body.cooldown_s, severity=severity, enabled=body.enabled)
    )


@router.patch("/watches/{watch_id}", response_model=Watch, response_model_exclude_none=True)
async def change_watch(watch_id: PathId, body: WatchChange, agent: AgentDep) -> Json:
    """Change the words, pause it, or go on."""
    changed = agent.change_watch(
        watch_id,
        condition=body.condition,
        cooldown_s=body.cooldown_s,
        severity=Severity(body.severity) if body.severity else None,
        enabled=body.enabled,
    )
    return watch_body(changed)


@router.delete("/watches/{watch_id}", status_code=204)
async def remove_watch(watch_id: PathId, agent: AgentDep) -> None:
    agent.remove_watch(watch_id)


# --- descriptions ---------------------------------------------------------------------------------------------------


@router.get("/describing", response_model=Describing)
async def describing(agent: AgentDep) -> Describing:
    """Whether objects are described by themselves, as long as there is a model that sees."""
    return Describing(on=agent.describer.on)


@router.put("/describing", response_model=Describing)
async def set_describing(body: Describing, agent: AgentDep) -> Describing:
    """Begin or end it, for all who watch the stream, until the stream is closed."""
    agent.describer.on = body.on
    return body


# --- events ---------------------------------------------------------------------------------------------------------


@router.get("/events", response_model=Page[Event], response_model_exclude_none=True)
async def events(
    agent: AgentDep,
    state: StateDep,
    limit: Limit = 100,
    after: After = None,
    kind: Annotated[EventKind | None, Query()] = None,
) -> Json:
    """What happened since the stream opened, oldest first: the newest thousand events."""
    scene = agent.scene.snapshot()
    told = [event for event in scene.events if event.kind not in UNTOLD and kind in (None, event.kind)]
    recorder = agent.recorder
    bodies = [
        event_body(
            event,
            thumb=recorder is not None and recorder.pictured(event.id),
            clip=state.clips.promised.clip_of(event.id),
        )
        for event in told
    ]
    return page(bodies, limit, after)


@router.get("/keyframes/{epoch}/{rtp}.jpg", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def keyframe(epoch: Epoch, rtp: Rtp, agent: AgentDep) -> Response:
    """The picture of a moment of the last minute, the nearest that is kept."""
    return Response(await agent.jpeg(FrameRef(epoch, rtp)), media_type="image/jpeg")
