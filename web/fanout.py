"""The state messages of each stream, encoded once for all of its clients."""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from pydantic_core import to_json

from agent.loop import StreamAgent
from agent.speech.types import VoiceStatus
from stream.engines.base import Engine
from stream.session import StreamSession
from stream.types import TrackUpdate
from web.wire import status_message, tracks_text

STATUS_SHARED_S = 0.5


class StreamFanout:
    """The newest `tracks` and `status` of one stream as text. `seq` grows with every update that is asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._update: TrackUpdate | None = None
        self._texts: dict[bool, str] = {}
        self._status: tuple[float, str] | None = None
        self.seq = 0

    def tracks(self, session: StreamSession, *, masks: bool = True) -> tuple[int, str] | None:
        """`(seq, text)` of the newest update; None before the first."""
        update = session.latest
        if update is None:
            return None
        if update is not self._update:
            self._update = update
            self._texts = {}
            self.seq += 1
        if masks not in self._texts:
            self._texts[masks] = tracks_text(update, self.seq, masks=masks, captions=session.captions)
        return self.seq, self._texts[masks]

    def status(self, session: StreamSession, engine: Engine, agent: StreamAgent, voice: VoiceStatus) -> str:
        now_s = self._clock()
        if self._status is None or now_s - self._status[0] > STATUS_SHARED_S:
            self._status = now_s, to_json(status_message(session.status(), engine, agent, voice)).decode()
        return self._status[1]


class Fanouts:
    """One `StreamFanout` for each stream, gone with it."""

    def __init__(self) -> None:
        self._fanouts: WeakKeyDictionary[StreamSession, StreamFanout] = WeakKeyDictionary()

    def of(self, session: StreamSession) -> StreamFanout:
        fanout = self._fanouts.get(session)
        if fanout is None:
            fanout = self._fanouts[session] = StreamFanout()
        return fanout
