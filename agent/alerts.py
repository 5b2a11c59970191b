"""From an event that a watch waits for to an alert: through the gate, verified by the model where that is wanted.

Rules of regions say it all: theirs goes the last part of the way."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agent.backend import AlertQuery
from agent.gate import Admission, Gate
from agent.keyframes import ref_of, tracks_of
from agent.rules import Firing
from agent.rules.words import rule_words
from agent.types import Event, EventKind, Evidence, Moment, Verdict, VerdictKind, Watch
from agent.worker import Job, Priority
from stream.errors import FrameTooOld, ModelServerAway, ModelServerError, NotFound
from stream.types import FrameRef, Track

if TYPE_CHECKING:
    from agent.loop import StreamAgent

log = logging.getLogger(__name__)

STALE_S = 20.0
"""An alert that could not be looked at for this long is dropped: its pictures say nothing about now."""
RULES = "rules"
"""What decided where no model has looked."""
LOOK_BACK_S = 6.0
"""Pictures from before the event go along with the present one."""


class Alerts:
    """The watches of one stream at work. Event loop only."""

    def __init__(self, agent: StreamAgent) -> None:
        self._agent = agent
        self._gate = Gate(stale_s=STALE_S)
        self._alerted: dict[str, datetime] = {}
        self.dropped = 0

    def consider(self, event: Event, now: datetime) -> None:
        """Ask the model, or raise the alert at once where the rule says it all."""
        # A tick is about the picture as it is now, however often the same objects are in it.
        asked = replace(event, track_ids=()) if event.kind is EventKind.TICK else event
        sees = "image" in self._agent.backend.can
        for watch in self._agent.watches.proposed_by(event):
            if (not sees and event.kind is EventKind.TICK) or self._rests(watch, now):
                continue
            if self._gate.admit(watch.id, asked, now) is not Admission.ADMITTED:
                continue
            if watch.verify is None or not sees:
                self._by_rule(watch, event)
            else:
                self._verify_later(watch, event)

    def fire(self, firing: Firing) -> None:
        """A rule of a region has seen what it waits for: it says it all."""
        event = Event(
            uuid.uuid4().hex, EventKind.ALERT, firing.text, firing.track_ids, firing.frame, firing.pts, firing.at,
            boxes_xyxy=firing.boxes_xyxy, labels=firing.labels, severity=firing.rule.severity,
            region_id=firing.region.id, rule_id=firing.rule.id, value=firing.value,
        )  # fmt: skip
        prompt = rule_words(firing.rule, firing.region)
        self._tell(replace(event, evidence=self._evidence(prompt, event, firing.track_ids)))

    def forget(self, watch_id: str) -> None:
        """The watch was changed or removed."""
        self._gate.forget(watch_id)
        self._alerted.pop(watch_id, None)

    def _rests(self, watch: Watch, now: datetime) -> bool:
        """Whether it has alerted a moment ago. What the model found to be nothing makes it rest for no time."""
        before = self._alerted.get(watch.id)
        return before is not None and now - before < timedelta(seconds=watch.cooldown_s)

    def _verify_later(self, watch: Watch, event: Event) -> None:
        async def work() -> None:
            await self._verify(watch, event)

        def dropped() -> None:
            self.dropped += 1
            self._gate.forget(watch.id)

        stale_at_s = time.monotonic() + STALE_S
        self._agent.worker.submit(Job(Priority.ALERT, watch.id, work, dropped, stale_at_s=stale_at_s))

    async def _verify(self, watch: Watch, event: Event) -> None:
        agent = self._agent
        moment = await agent.moment()
        # From tick to tick nothing may go unseen.
        back_s = max(LOOK_BACK_S, event.value or 0.0) if event.kind is EventKind.TICK else LOOK_BACK_S
        since = event.at - timedelta(seconds=back_s)
        keyframes = tuple(agent.keyframes.between(since, moment.at))
        query = AlertQuery(watch, event, moment, agent.scene.snapshot(), keyframes)
        try:
            verdict = await self._decided(query)
        except ModelServerAway:
            # As if there had been none when it happened.
            if event.kind is not EventKind.TICK and not self._rests(watch, event.at):
                self._by_rule(watch, event)
            return
        except ModelServerError as error:
            # The gate lets the same thing through again: it was never looked at.
            log.warning("alert of watch %r could not be verified: %s", watch.condition, error.message)
            self.dropped += 1
            self._gate.forget(watch.id)
            return
        if verdict.kind is VerdictKind.YES and not self._rests(watch, event.at):
            self._raise(watch, event, verdict, sure=True, moment=moment)

    def _by_rule(self, watch: Watch, event: Event) -> None:
        """What the tracks say is all that is known."""
        verdict = Verdict(VerdictKind.YES, event.track_ids, "", watch.severity)
        self._raise(watch, event, verdict, sure=not watch.verify)

    async def _decided(self, query: AlertQuery) -> Verdict:
        """Once more after a fault that may pass."""
        try:
            return await self._agent.backend.verify(query)
        except ModelServerError as error:
            if not error.retryable:
                raise
        await asyncio.sleep(1.0)
        return await self._agent.backend.verify(query)

    def _raise(self, watch: Watch, event: Event, verdict: Verdict, *, sure: bool, moment: Moment | None = None) -> None:
        """`moment` is what the model has looked at; None where none has."""
        text = f"{watch.condition}: {verdict.reason}" if verdict.reason else f"{watch.condition}: {event.text}"
        if not sure:
            text += " (by the rule alone; no model has looked)"
        ids = verdict.track_ids or event.track_ids
        boxes = dict(zip(event.track_ids, event.boxes_xyxy, strict=False))
        alert = replace(
            event,
            id=uuid.uuid4().hex,
            kind=EventKind.ALERT,
            text=text,
            track_ids=ids,
            boxes_xyxy=tuple(boxes[track_id] for track_id in ids if track_id in boxes),
            severity=verdict.severity,
            watch_id=watch.id,
            evidence=self._evidence(watch.verify or watch.condition, event, ids, moment),
        )
        self._alerted[watch.id] = event.at
        self._tell(alert)

    def _tell(self, alert: Event) -> None:
        self._agent.scene.add_event(alert)
        self._agent.tell(alert)

    def _evidence(self, prompt: str, event: Event, ids: tuple[int, ...], moment: Moment | None = None) -> Evidence:
        if moment is not None:
            model, frame, tracks = self._agent.backend.name, moment.frame, moment.tracks
        else:
            model, (frame, tracks) = RULES, self._shown(event, ids)
        masks = tuple((track.id, track.mask) for track in tracks if track.id in ids and track.mask is not None)
        return Evidence(prompt, model, frame, masks)

    def _shown(self, event: Event, ids: tuple[int, ...]) -> tuple[FrameRef, tuple[Track, ...]]:
        try:
            found = self._agent.keyframes.showing(event.frame, ids)
        except (NotFound, FrameTooOld):
            return event.frame, ()
        return ref_of(found), tracks_of(found)
