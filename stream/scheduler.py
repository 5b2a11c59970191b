"""The engine thread: the newest frame of every stream goes into the next step, and nothing else queues.

One thread a process makes all calls to the engine and its trackers. Whatever else must happen there (a prompt, a
model that was just loaded) is handed over with `run` and done between two steps.

Who goes first and how often is decided in `stream.pacing`, what gives way under load in `stream.relief`. A stream's
own rate, pause and gate are set on its `Lane`.
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
from dataclasses import dataclass, replace
from typing import TypeVar

from stream import relief
from stream.engines.base import Engine, OnGpu, StepError, Yielding
from stream.errors import EngineError
from stream.hardware import Hardware
from stream.lane import STILL_STEP_S, Lane, StepResult
from stream.pacing import in_turn
from stream.relief import FULL, Effort, Limits, Load, Relief
from stream.seldom import Seldom
from stream.types import Frame, TrackUpdate

log = logging.getLogger(__name__)

T = TypeVar("T")

SWITCH_S = 0.0005
IDLE_S = 1.0
"""How long the engine thread sleeps at most while nothing comes."""


def pick(lanes: Sequence[Lane], limit: int, now_s: float) -> list[tuple[Lane, Frame]]:
    """Up to `limit` lanes that have a frame to step, those that waited longest first."""
    ready = [lane for lane in lanes if lane.ready(now_s)]
    chosen = [ready[index] for index in in_turn([lane.served for lane in ready], limit)]
    taken = ((lane, lane.next_frame(now_s)) for lane in chosen)
    return [(lane, frame) for lane, frame in taken if frame is not None]


class Scheduler:
    """Owns the engine thread. `start` and `close` frame its life; all other methods may be called from any thread."""

    def __init__(self, engine: Engine, limits: Limits | None = None, *, hardware: Hardware | None = None) -> None:
        self.engine = engine
        self._log_now = Seldom()
        self.hardware = hardware
        """Where the engine's frames are to be decoded; None for the host."""
        self.load = Load(0.0, 0.0, 0.0)
        """Of the last whole second; may be read from any thread, as `relief` and `policy` may."""
        self.relief = Relief()
        self.policy: tuple[str, ...] = ()
        """What gives way at present, in words."""
        self._efforts: tuple[Effort, ...] = engine.efforts if isinstance(engine, Yielding) else ()
        self._limits = limits or Limits()
        self._window = _Window(time.monotonic())
        self._lanes: list[Lane] = []
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self.closing = False
        self.turn_s = time.monotonic()
        """When the engine thread last began a turn."""
        self._steps = 0
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
            lane.ceiling_fps = self.relief.ceiling_fps
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
        if isinstance(self.engine, OnGpu):
            self.engine.enter_thread()
        while not self.closing:
            self._wake.clear()
            self.turn_s = time.monotonic()
            while self._jobs:
                self._jobs.popleft()()
            self._measure(time.monotonic())
            batch = pick(self._lanes, self.engine.max_batch, time.monotonic())
            if batch:
                self._step(batch)
            else:
                self._wake.wait(STILL_STEP_S if any(lane.waits for lane in self._lanes) else IDLE_S)
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
            if self._log_now():
                log.exception("engine step failed")
            failed = StepError(EngineError("The engine failed on this frame."))
            results = [failed] * len(batch)
        done_s = time.monotonic()
        self._window.busy_s += done_s - started_s
        self._window.stepped += len(batch)
        for (lane, frame), result in zip(batch, results, strict=True):
            self._steps += 1
            lane.last_step_s, lane.served = done_s, self._steps
            if isinstance(result, TrackUpdate):
                result = replace(result, timings_ms=_timings(frame, result, started_s, done_s))
            lane.on_result(result)

    def _measure(self, now_s: float) -> None:
        """Once a window: what the load was, and what follows from it."""
        window = self._window
        elapsed_s = now_s - window.since_s
        if elapsed_s < self._limits.window_s:
            return
        drops = sum(lane.slot.drops for lane in self._lanes)
        # A lane that was closed takes its count along.
        late = max(0, drops - window.drops)
        wanted_fps = max((lane.wanted_fps(now_s) for lane in self._lanes), default=0.0)
        self.load = Load(min(1.0, window.busy_s / elapsed_s), late / max(1, late + window.stepped), wanted_fps)
        self._window = _Window(now_s, drops)
        before, self.relief = self.relief, relief.after(self.relief, self.load, len(self._efforts), self._limits)
        if (self.relief.efforts, self.relief.ceiling_fps) != (before.efforts, before.ceiling_fps):
            self._give_way(before)

    def _give_way(self, before: Relief) -> None:
        """Make what `relief` says hold."""
        now = self.relief
        self.policy = relief.in_words(now, self._efforts)
        log.info("engine load: %s", " ".join(self.policy) or "nothing gives way any more")
        for lane in self._lanes:
            lane.ceiling_fps = now.ceiling_fps
        if isinstance(self.engine, Yielding) and now.efforts != before.efforts:
            self.engine.make_do(self._efforts[now.efforts - 1] if now.efforts else FULL)


@dataclass(slots=True)
class _Window:
    """One measurement under way."""

    since_s: float
    drops: int = 0
    busy_s: float = 0.0
    stepped: int = 0


def _timings(frame: Frame, update: TrackUpdate, started_s: float, done_s: float) -> dict[str, float]:
    stages = {
        "decode": frame.decoded_s - frame.received_s,
        "wait": started_s - frame.decoded_s,
        "engine": done_s - started_s,
    }
    return {name: round(seconds * 1000, 2) for name, seconds in stages.items()} | update.timings_ms
