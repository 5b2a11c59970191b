"""One stream's place at the engine: the newest frame that is due, the tracker, and who hears the result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from stream.clock import RateMeter
from stream.engines.base import StepError, Tracker
from stream.pacing import Pace, period_s
from stream.slot import LatestSlot
from stream.types import Frame, TrackUpdate

StepResult = TrackUpdate | StepError

STILL_STEP_S = 0.05
"""How often a busy tracker is stepped on its last frame while no new one comes."""


class FrameGate(Protocol):
    """Decides on the decoder's thread, for each frame, whether it is worth a step; not to block or raise."""

    def __call__(self, frame: Frame) -> bool: ...


class Lane:
    """Made by `Scheduler.open`. Frames come in through `put`, on any one thread.

    What others may set at any time, from any thread:

    - `target_fps`: the most pictures a second that this stream is stepped on; None for every picture that the engine
      can take. Pictures between are passed over as they come, so that those that are stepped are fresh.
    - `paused`: while True, no new picture is stepped. Prompts are still taken, and what the tracker owes is finished.
    - `gate`: asked of every picture on the decoder's thread; False passes it over. None lets all pass.

    `skipped` counts the pictures that were passed over by choice: by `target_fps` ("rate"), by `paused` or `gate`
    ("gate"). `held_back` counts those for which the ceiling under load left no room, `slot.drops` those that were due
    and came faster than the engine is.
    """

    def __init__(self, tracker: Tracker, on_result: Callable[[StepResult], None], wake: Callable[[], None]) -> None:
        self.tracker = tracker
        self.on_result = on_result
        self.slot: LatestSlot[Frame] = LatestSlot(wake)
        self.target_fps: float | None = None
        self.paused = False
        self.gate: FrameGate | None = None
        self.ceiling_fps: float | None = None
        """Set by the scheduler while the machine cannot keep up."""
        self.skipped = {"rate": 0, "gate": 0}
        self.held_back = 0
        self.last_frame: Frame | None = None
        self.last_step_s = 0.0
        self.served = 0
        """When it was last stepped, counted over all lanes that are."""
        self._pace = Pace()
        self._early: Frame | None = None
        """The newest picture that was passed over for its rate: stepped after all where no later one comes."""
        self._lock = threading.Lock()
        self._wake = wake
        self._rate = RateMeter()

    def put(self, frame: Frame) -> bool:
        """Hand over a decoded frame. Never blocks. False where it was not worth a step, for `paused` or `gate`."""
        gate = self.gate
        if self.paused or (gate is not None and not gate(frame)):
            self.skipped["gate"] += 1
            return False
        at_s = frame.received_s
        with self._lock:
            self._rate.tick(at_s)
            self._pace = self._pace.at(period_s(self.target_fps, self.ceiling_fps))
            rate = self._rate.rate(at_s)
            taken = self._pace.takes(at_s, 1 / rate if rate else 0.0)
            if self._early is not None:
                self._pass_over()
            self._early = None if taken else frame
            if taken:
                self._pace = self._pace.after(at_s)
        if taken:
            self.slot.put(frame)
        else:
            self._wake()
        return True

    def _pass_over(self) -> None:
        ceiling, target = self.ceiling_fps, self.target_fps
        if ceiling is not None and (target is None or ceiling < target):
            self.held_back += 1
        else:
            self.skipped["rate"] += 1

    def wanted_fps(self, now_s: float) -> float:
        """Pictures a second that it would be stepped on if there were no ceiling."""
        with self._lock:
            rate = self._rate.rate(now_s)
        return min(rate, self.target_fps) if self.target_fps else rate

    def ready(self, now_s: float) -> bool:
        """Whether `next_frame` has something to step."""
        return self.slot.full or self._is_overdue(now_s) or self._owes(now_s)

    @property
    def waits(self) -> bool:
        """Whether there will be something to step though no new picture comes."""
        return self._early is not None or self.tracker.busy

    def next_frame(self, now_s: float) -> Frame | None:
        """The newest frame not yet stepped, or the last one again where the tracker still owes an answer."""
        frame = self.slot.take()
        if frame is None and self._is_overdue(now_s):
            with self._lock:
                frame, self._early = self._early, None
                if frame is not None:
                    self._pace = self._pace.after(now_s)
        if frame is not None:
            self.last_frame = frame
            return frame
        return self.last_frame if self._owes(now_s) else None

    def _is_overdue(self, now_s: float) -> bool:
        return self._early is not None and now_s >= self._pace.due_s and not self.slot.full

    def _owes(self, now_s: float) -> bool:
        return now_s - self.last_step_s >= STILL_STEP_S and self.last_frame is not None and self.tracker.busy
