"""One engine thread: the newest frame of each stream in turn, jobs between steps, faults kept to their stream."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest

from stream.engines.base import StepError, Tracker
from stream.errors import EngineError
from stream.lane import STILL_STEP_S, Lane, StepResult
from stream.relief import Effort, Limits
from stream.scheduler import Scheduler, pick
from stream.types import Frame, TrackUpdate
from tests.barcode import BarcodeEngine, BarcodeTracker


def frame(index: int) -> Frame:
    now_s = time.monotonic()
    luma, chroma = np.zeros((48, 64), np.uint8), np.full((24, 32, 2), 128, np.uint8)
    return Frame(index, 1, index * 3000, index * 3000, None, now_s, now_s, luma, chroma)


def lane() -> Lane:
    return Lane(BarcodeTracker(1), lambda result: None, lambda: None)


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(BarcodeEngine(max_batch=2))
    scheduler.start()
    yield scheduler
    await asyncio.to_thread(scheduler.close)


async def wait_for(check: object, timeout_s: float = 5.0) -> None:
    assert callable(check)
    deadline_s = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.005)


def test_those_that_waited_longest_go_first_and_empty_lanes_are_passed_over() -> None:
    lanes = [lane() for _ in range(4)]
    for one, served in zip(lanes, (5, 1, 7, 3), strict=True):
        one.served = served
    for i in (0, 2, 3):
        lanes[i].put(frame(i))
    assert [chosen for chosen, _ in pick(lanes, 2, 0.0)] == [lanes[3], lanes[0]]
    assert [chosen for chosen, _ in pick(lanes, 2, 0.0)] == [lanes[2]]
    assert pick(lanes, 2, 0.0) == []
    assert pick([], 2, 0.0) == []


def test_a_busy_tracker_is_stepped_on_its_last_frame_while_no_new_one_comes() -> None:
    one = lane()
    one.put(frame(7))
    assert pick([one], 1, 10.0)
    one.last_step_s = 10.0
    assert pick([one], 1, 10.0 + 2 * STILL_STEP_S) == []
    one.tracker.busy = True  # type: ignore[misc]
    assert pick([one], 1, 10.0 + STILL_STEP_S / 2) == []
    ((_, again),) = pick([one], 1, 10.0 + 2 * STILL_STEP_S)
    assert again.index == 7


async def test_the_newest_frame_is_stepped_and_its_stages_are_timed(scheduler: Scheduler) -> None:
    results: list[StepResult] = []
    one = await scheduler.open(results.append)
    one.put(frame(3))
    await wait_for(lambda: results)
    (update,) = results
    assert isinstance(update, TrackUpdate)
    assert update.index == 3
    assert {"decode", "wait", "engine"} <= update.timings_ms.keys()


async def test_slow_steps_drop_frames_and_never_queue_them() -> None:
    scheduler = Scheduler(BarcodeEngine(step_s=0.03))
    scheduler.start()
    results: list[StepResult] = []
    one = await scheduler.open(results.append)
    for index in range(50):
        one.put(frame(index))
        await asyncio.sleep(0.004)
    await wait_for(lambda: results and isinstance(results[-1], TrackUpdate) and results[-1].index == 49)
    assert one.slot.drops > 20
    assert len(results) + one.slot.drops == 50
    await asyncio.to_thread(scheduler.close)


async def test_work_runs_on_the_engine_thread_and_its_error_comes_back(scheduler: Scheduler) -> None:
    assert await scheduler.run(lambda: threading.current_thread().name) == "engine"

    def fail() -> None:
        raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        await scheduler.run(fail)


class FaultyEngine(BarcodeEngine):
    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        if batch[0][1].index == 0:
            raise RuntimeError("a fault of the engine")
        return super().step(batch)


@pytest.mark.logs_errors
async def test_an_engine_that_raises_costs_one_frame(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(FaultyEngine())
    scheduler.start()
    results: list[StepResult] = []
    one = await scheduler.open(results.append)
    one.put(frame(0))
    await wait_for(lambda: len(results) == 1)
    assert isinstance(results[0], StepError)
    one.put(frame(1))
    await wait_for(lambda: len(results) == 2)
    assert isinstance(results[1], TrackUpdate)
    assert "engine step failed" in caplog.text
    await asyncio.to_thread(scheduler.close)


async def test_closing_frees_trackers_and_engine_and_ends_the_thread() -> None:
    engine = BarcodeEngine()
    scheduler = Scheduler(engine)
    scheduler.start()
    one = await scheduler.open(lambda result: None)
    two = await scheduler.open(lambda result: None)
    await scheduler.close_lane(two)
    assert isinstance(two.tracker, BarcodeTracker)
    assert two.tracker.closed
    await asyncio.to_thread(scheduler.close)
    assert isinstance(one.tracker, BarcodeTracker)
    assert one.tracker.closed
    assert engine.closed
    assert not any(thread.name == "engine" for thread in threading.enumerate())
    with pytest.raises(EngineError):
        await scheduler.run(lambda: None)


async def test_a_rate_passes_pictures_over_and_the_last_one_is_not_lost(scheduler: Scheduler) -> None:
    results: list[StepResult] = []
    one = await scheduler.open(results.append)
    one.target_fps = 2.0
    for index in range(6):
        one.put(frame(index))
        await asyncio.sleep(0.01)
    await wait_for(lambda: len(results) == 2)
    first, last = results
    assert isinstance(first, TrackUpdate)
    assert isinstance(last, TrackUpdate)
    assert (first.index, last.index) == (0, 5)
    assert one.skipped == {"rate": 4, "gate": 0}
    assert one.slot.drops == 0


async def test_what_the_ceiling_holds_back_is_no_choice_of_the_stream(scheduler: Scheduler) -> None:
    for target, held_back, by_choice in ((None, 4, 0), (1.0, 4, 0), (0.005, 0, 4)):
        one = await scheduler.open(lambda result: None)
        one.ceiling_fps, one.target_fps = 0.01, target
        for index in range(6):
            one.put(frame(index))
        assert (one.held_back, one.skipped["rate"]) == (held_back, by_choice)


async def test_a_paused_or_gated_lane_steps_nothing_new(scheduler: Scheduler) -> None:
    results: list[StepResult] = []
    one = await scheduler.open(results.append)
    one.paused = True
    one.put(frame(0))
    one.paused = False
    one.gate = lambda picture: picture.index != 1
    one.put(frame(1))
    one.put(frame(2))
    await wait_for(lambda: results)
    assert [result.index for result in results if isinstance(result, TrackUpdate)] == [2]
    assert one.skipped == {"rate": 0, "gate": 2}


async def test_eight_streams_get_equal_shares_of_a_machine_that_cannot_keep_up() -> None:
    engine = BarcodeEngine(step_s=0.004, max_batch=3)
    scheduler = Scheduler(engine)
    scheduler.start()
    steps: Counter[int] = Counter()
    lanes = [await scheduler.open(lambda result, at=at: steps.update([at])) for at in range(8)]
    index = 0
    while steps.total() < 160:
        index += 1
        for at, one in enumerate(lanes):
            if at != 7 or index % 2:  # one at half the rate of the others
                one.put(frame(index))
        await asyncio.sleep(0.001)
    await asyncio.to_thread(scheduler.close)
    assert min(steps.values()) >= 0.8 * max(steps.values())


class PatientEngine(BarcodeEngine):
    """One that can do with less: each effort takes half as long."""

    efforts = (Effort(looks=0.5), Effort(looks=0.25))

    def __init__(self) -> None:
        super().__init__(max_batch=1)
        self.made_do: list[Effort] = []
        self.full_s = 0.03

    def make_do(self, effort: Effort) -> None:
        self.made_do.append(effort)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        self.step_s = self.full_s * (self.made_do[-1].looks if self.made_do else 1.0)
        return super().step(batch)


async def test_under_load_the_engine_does_with_less_then_the_rate_falls_and_all_of_it_comes_back() -> None:
    engine = PatientEngine()
    scheduler = Scheduler(engine, Limits(window_s=0.1, give_windows=2, take_windows=2))
    scheduler.start()
    one = await scheduler.open(lambda result: None)

    async def feed(until: Callable[[], bool]) -> None:
        index = 0
        while not until():
            one.put(frame(index := index + 1))
            await asyncio.sleep(0.004)

    async with asyncio.timeout(30):
        await feed(lambda: one.ceiling_fps is not None)
        assert engine.made_do == list(engine.efforts)
        assert scheduler.policy[0] == "The machine is busy: the detector looks 25% as often."
        assert "pictures a second" in scheduler.policy[1]
        late = await scheduler.open(lambda result: None)
        assert late.ceiling_fps == one.ceiling_fps or one.ceiling_fps is None
        engine.full_s = 0.0
        await feed(lambda: scheduler.relief.none)
    assert one.ceiling_fps is None
    assert engine.made_do[-1] == Effort()
    assert scheduler.policy == ()
    await asyncio.to_thread(scheduler.close)
