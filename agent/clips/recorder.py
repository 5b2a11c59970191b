"""Cuts the clips of one stream.

1. Every picture that viewers get goes into the ring, every update beside it.
2. An event begins a cut with what the ring holds from before it, or shares one that is running.
3. A cut takes what comes until its end; a file that is complete waits for the updates of its last pictures.
4. Then it is handed on to be written.

A stream whose pictures stop coming ends its cuts by the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.clips.cut import Cut, Moment, Part
from agent.types import Event, EventKind
from stream.mux import CONTAINERS
from stream.ring import PacketRing
from stream.session import StreamSession
from stream.types import EncodedFrame, TrackUpdate

KEYFRAME_EVERY_S = 4.0
"""A publisher is asked for one this often: a clip can begin at keyframes only."""
LATE_S = 20.0
"""An event that a model had to look at first is told so much later."""
RING_BYTES = 32 * 1024 * 1024
MOST_UPDATES = 4000
GRACE_S = 1.0
SETTLE_S = 1.0
"""So long a finished file waits for the tracks of its last pictures."""
MOST_CUTS = 8
"""At once, of one stream."""
SHOWN = frozenset({EventKind.ALERT, EventKind.SAVED, EventKind.OFFLINE, EventKind.FROZEN})
"""Kinds of events that have a clip."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds around an event; events that share a clip make it no longer than `longest_s`."""

    before_s: float = 5.0
    after_s: float = 10.0
    longest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Finished:
    """What is to be written. `at` is when the first picture came."""

    stream: str
    part: Part
    at: datetime


class StreamClips:
    """One stream's. Made by `Clips`; event loop only."""

    def __init__(
        self,
        session: StreamSession,
        lengths: Lengths,
        *,
        wanted: Callable[[], bool],
        told: Callable[[str, str], None],
        hand_on: Callable[[Finished], None],
        none_came: Callable[[Part], None],
    ) -> None:
        """`wanted`: whether clips are on for this stream. `told` hears which event is in which clip, `none_came` of
        a clip that will not be there after all."""
        self._session = session
        self._lengths = lengths
        self._wanted = wanted
        self._told = told
        self._hand_on = hand_on
        self._none_came = none_came
        self._ring = PacketRing(lengths.before_s + LATE_S, RING_BYTES)
        self._updates: deque[tuple[float, TrackUpdate]] = deque(maxlen=MOST_UPDATES)
        self._newest: tuple[int, int] = (0, -1)
        self._cuts: list[Cut] = []
        self._complete: list[Part] = []
        self._timer: asyncio.TimerHandle | None = None
        self._keyframe_s = 0.0
        self._ended = False
        session.relay.tap(self)
        session.facts.watch_updates(self.note)

    @property
    def on(self) -> bool:
        return self._wanted()

    @property
    def recording(self) -> int:
        """How many clips are in the making."""
        return len(self._cuts) + len(self._complete)

    # --- what comes ---------------------------------------------------------------------------------------------------

    def push(self, frame: EncodedFrame) -> None:
        """Take what viewers are given."""
        if self._ended or frame.codec not in CONTAINERS or not frame.data:
            return
        if not self._wanted():
            if len(self._ring):
                self._ring.clear()
                self._updates.clear()
            if not self._cuts:
                return
        held = self._ring.push(frame)
        self._ask_keyframe(frame)
        if held is None or not self._cuts:
            return
        for cut in self._cuts:
            self._completed(cut.take(held))
        self._drop_ended()

    def note(self, update: TrackUpdate) -> None:
        """Take what was tracked on one picture."""
        if self._ended or not (self._cuts or self._complete or self._wanted()):
            return
        now_s = time.monotonic()
        self._newest = max(self._newest, (update.epoch, update.pts))
        self._updates.append((now_s, update))
        while now_s - self._updates[0][0] > self._lengths.before_s + 2 * LATE_S:
            self._updates.popleft()
        for part in self._parts():
            part.note(update)
        if self._complete:
            self._hand_on_settled(now_s)

    def clear(self) -> None:
        """What came before may not be seen any more: nothing of it is written."""
        for part in self._parts():
            self._none_came(part)
        self._cuts.clear()
        self._complete.clear()
        self._ring.clear()
        self._updates.clear()

    def end(self) -> None:
        """The stream is over: hand on what there is."""
        for cut in self._cuts:
            self._completed(cut.finish())
        self._drop_ended()
        self._hand_on_settled(float("inf"))
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    # --- events -------------------------------------------------------------------------------------------------------

    def expect(self, event: Event) -> str | None:
        """The id of the clip that will show `event`; None where there will be none."""
        if event.kind not in SHOWN or self._ended or not self._wanted():
            return None
        now_s = time.monotonic()
        picture = self._ring.find(event.frame)
        newest_s = self._ring.newest_s
        at_s = picture.received_s if picture is not None else now_s if newest_s is None else newest_s
        moment = Moment(event.id, event.frame, at_s, keep=event.kind is EventKind.SAVED)
        cut = next((cut for cut in reversed(self._cuts) if cut.takes(moment, self._lengths.longest_s)), None)
        if cut is not None and cut.part is not None:
            cut.share(moment)
            self._wake(now_s)
            self._told(event.id, cut.part.id)
            return cut.part.id
        if len(self._cuts) >= MOST_CUTS:
            return None
        return self._begin(moment, now_s)

    def _begin(self, moment: Moment, now_s: float) -> str | None:
        cut = Cut(moment, self._lengths.before_s, self._lengths.after_s)
        parts: list[Part] = []
        for held in self._ring.since(cut.start_s):
            parts += cut.take(held)
        everything = [*parts, *([cut.part] if cut.part is not None else [])]
        if not everything:
            return None
        home = cut.settle(everything)
        first = everything[0].frames[0]
        for _, update in reversed(self._updates):
            if (update.epoch, update.pts) < (first.epoch, first.pts):
                break
            for part in everything:
                part.note(update)
        self._completed(parts)
        if not cut.ended:
            self._cuts.append(cut)
        self._wake(now_s)
        self._told(moment.event_id, home.id)
        return home.id

    # --- what is complete ---------------------------------------------------------------------------------------------

    def _parts(self) -> list[Part]:
        return [*(cut.part for cut in self._cuts if cut.part is not None), *self._complete]

    def _completed(self, parts: list[Part]) -> None:
        now_s = time.monotonic()
        for part in parts:
            part.ended_s = now_s
            self._complete.append(part)
        if parts:
            self._hand_on_settled(now_s)
            self._wake(now_s)

    def _drop_ended(self) -> None:
        self._cuts = [cut for cut in self._cuts if not cut.ended]

    def _hand_on_settled(self, now_s: float) -> None:
        """Hand on the files whose last pictures have been looked at, or will not be."""
        waiting: list[Part] = []
        for part in self._complete:
            if self._newest >= part.end or now_s - part.ended_s >= SETTLE_S:
                ago_s = time.monotonic() - part.first_s
                self._hand_on(Finished(self._session.id, part, datetime.now(UTC) - timedelta(seconds=ago_s)))
            else:
                waiting.append(part)
        self._complete = waiting

    def _ask_keyframe(self, frame: EncodedFrame) -> None:
        if frame.keyframe:
            self._keyframe_s = frame.received_s
        elif frame.received_s - self._keyframe_s >= KEYFRAME_EVERY_S and self._session.kind == "webrtc":
            self._keyframe_s = frame.received_s
            self._session.request_keyframe()

    # --- by the clock -------------------------------------------------------------------------------------------------

    def _wake(self, now_s: float) -> None:
        """Look again when the first of what is in the making is due."""
        due_s = [cut.end_s + GRACE_S for cut in self._cuts] + [part.ended_s + SETTLE_S for part in self._complete]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_s and not self._ended:
            delay_s = max(0.01, min(due_s) - now_s)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now_s = time.monotonic()
        for cut in self._cuts:
            if now_s >= cut.end_s + GRACE_S:
                self._completed(cut.finish())
        self._drop_ended()
        self._hand_on_settled(now_s)
        self._wake(now_s)
