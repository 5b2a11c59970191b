"""The engine thread: the newest frame of every stream goes into the next step, and nothing else queues.

One thread a process makes all calls to the engine and its trackers. Whatever else must happen there (a prompt, a
model that was just loaded) is handed over with `run` and done between two steps.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from stream.engines.base import Engine, StepError, Tracker
from stream.errors import EngineError
from stream.slot import LatestSlot
from stream.types import Frame, TrackUpdate

log = logging.getLogger(__name__)

T = TypeVar("T")
StepResult = TrackUpdate | StepError

SWITCH_S = 0.0005
STILL_STEP_S = 0.05
"""How often a busy tracker is stepped on its last frame while no new one comes."""


class Lane:
    """One stream's place at the engine: a slot for its newest frame, its tracker, and who hears the result."""

    def __init__(self, tracker: Tracker, on_result: Callable[[StepResult], None], wake: Callable[[], None]) -> None:
        self.tracker = tracker
        self.on_result = on_result
        self.slot: LatestSlot[Frame] = LatestSlot(wake)
        self.last_frame: Frame | None = None
        self.last_step_s = 0.0

    def next_frame(self, now_s: float) -> Frame | None:
        """The newest frame not yet stepped, or the last one again where the tracker still owes an answer."""
        frame = self.slot.take()
        if frame is not None:
            self.last_frame = frame
            return frame
        if now_s - self.last_step_s >= STILL_STEP_S and self.last_frame is not None and self.tracker.busy:
            return self.last_frame
        return None


def pick(lanes: Sequence[Lane], start: int, limit: int, now_s: float) -> list[tuple[Lane, Frame]]:
    """Up to `limit` lanes that have a frame to step, in turn from index `start` on."""
    chosen: list[tuple[Lane, Frame]] = []
    for offset in range(len(lanes)):
        if len(chosen) == limit:
            break
        lane = lanes[(start + offset) % len(lanes)]
        frame = lane.next_frame(now_s)
        if frame is not None:
            chosen.append((lane, frame))
    return chosen


class Scheduler:
    """Owns the engine thread. `start` and `close` frame its life; all other methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lanes: list[Lane] = []
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self.closing = False
        self._turn = 0
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    def start(self) -> None:
        # The engine thread gives up the interpreter in each array call; at the usual 5 ms it would wait that long to
        # get it back from whichever thread works beside it.
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()

    def close(self) -> None:
        """Finish the step under way, close the engine and join the thread."""
        self.closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` on the engine thread between two steps; returns its result or raises its error."""
        if self.closing:
            raise EngineError("The engine has been shut down.")
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)

        self._jobs.append(job)
        self._wake.set()
        return await asyncio.wrap_future(future)

    async def open(self, on_result: Callable[[StepResult], None], *, first_track_id: int = 1) -> Lane:
        """A new tracker and its lane. `on_result` is called on the engine thread after each step."""

        def work() -> Lane:
            lane = Lane(self.engine.open_tracker(first_track_id), on_result, self._wake.set)
            self._lanes.append(lane)
            return lane

        return await self.run(work)

    async def close_lane(self, lane: Lane) -> None:
        def work() -> None:
            if lane in self._lanes:
                self._lanes.remove(lane)
                lane.tracker.close()

        await self.run(work)

    def _main(self) -> None:
        while not self.closing:
            self._wake.clear()
            while self._jobs:
                self._jobs.popleft()()
            batch = pick(self._lanes, self._turn, self.engine.max_batch, time.monotonic())
            if batch:
                self._turn = (self._lanes.index(batch[-1][0]) + 1) % len(self._lanes)
                self._step(batch)
            else:
                self._wake.wait(STILL_STEP_S if any(lane.tracker.busy for lane in self._lanes) else 1.0)
        while self._jobs:
            self._jobs.popleft()()
        for lane in self._lanes:
            lane.tracker.close()
        self.engine.close()

    def _step(self, batch: list[tuple[Lane, Frame]]) -> None:
        started_s = time.monotonic()
        try:
            results = self.engine.step([(lane.tracker, frame) for lane, frame in batch])
        except Exception:
            # An engine promises not to raise; if it does, the thread and the other streams must outlive it.
            log.exception("engine step failed")
            failed = StepError(EngineError("The engine failed on this frame."))
            results = [failed] * len(batch)
        done_s = time.monotonic()
        for (lane, frame), result in zip(batch, results, strict=True):
            lane.last_step_s = done_s
            if isinstance(result, TrackUpdate):
                result = replace(result, timings_ms=_timings(frame, result, started_s, done_s))
            lane.on_result(result)


def _timings(frame: Frame, update: TrackUpdate, started_s: float, done_s: float) -> dict[str, float]:
    stages = {
        "decode": frame.decoded_s - frame.received_s,
        "wait": started_s - frame.decoded_s,
        "engine": done_s - started_s,
    }
    return {name: round(seconds * 1000, 2) for name, seconds in stages.items()} | update.timings_ms
