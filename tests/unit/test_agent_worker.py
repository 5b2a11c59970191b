"""Who gets the model next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agent.worker import MOST_ALERTS, MOST_QUESTIONS, Job, Priority, Worker
from stream.errors import LimitReached


class Bench:
    """A worker, and jobs that write down what becomes of them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.worker = Worker(lambda: self.now_s)
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def submit(self, priority: Priority, key: str, *, owner: str = "", stale_at_s: float = float("inf")) -> None:
        gate = self.gates.setdefault(key, asyncio.Event())

        async def work() -> None:
            self.log.append(f"begin {key}")
            try:
                await gate.wait()
            except asyncio.CancelledError:
                self.log.append(f"stop {key}")
                raise
            self.log.append(f"end {key}")

        def dropped() -> None:
            self.log.append(f"drop {key}")

        self.worker.submit(Job(priority, key, work, dropped, owner, stale_at_s))

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def finish(self, key: str) -> None:
        self.gates[key].set()
        await self.settle()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    task = asyncio.create_task(bench.worker.run())
    yield bench
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_question_goes_before_what_waits(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "first", owner="a")
    await bench.settle()
    bench.submit(Priority.DESCRIPTION, "look")
    bench.submit(Priority.ALERT, "alert")
    bench.submit(Priority.QUESTION, "second", owner="b")
    for key in ("first", "second", "alert", "look"):
        await bench.finish(key)
    assert [line for line in bench.log if line.startswith("end")] == [
        "end first",
        "end second",
        "end alert",
        "end look",
    ]


async def test_a_question_cancels_a_description_for_good(bench: Bench) -> None:
    bench.submit(Priority.DESCRIPTION, "look")
    await bench.settle()
    bench.submit(Priority.QUESTION, "why", owner="a")
    await bench.settle()
    await bench.finish("why")
    assert bench.log == ["begin look", "stop look", "begin why", "end why"]
    assert bench.worker.idle


async def test_an_alert_makes_way_and_comes_back(bench: Bench) -> None:
    bench.submit(Priority.ALERT, "bag", stale_at_s=10)
    await bench.settle()
    bench.submit(Priority.QUESTION, "why", owner="a")
    await bench.settle()
    await bench.finish("why")
    await bench.finish("bag")
    assert bench.log == ["begin bag", "stop bag", "begin why", "end why", "begin bag", "end bag"]


async def test_an_alert_that_waited_too_long_is_dropped(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "why", owner="a")
    await bench.settle()
    bench.submit(Priority.ALERT, "bag", stale_at_s=10)
    bench.now_s = 11
    await bench.finish("why")
    assert bench.log == ["begin why", "end why", "drop bag"]


async def test_the_same_clients_next_question_cancels_the_one_before(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "one", owner="a")
    await bench.settle()
    bench.submit(Priority.QUESTION, "two", owner="a")
    await bench.settle()
    await bench.finish("two")
    assert bench.log == ["begin one", "stop one", "begin two", "end two"]


async def test_another_clients_question_waits(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "one", owner="a")
    await bench.settle()
    bench.submit(Priority.QUESTION, "two", owner="b")
    await bench.settle()
    assert bench.log == ["begin one"]
    await bench.finish("one")
    await bench.finish("two")
    assert bench.log == ["begin one", "end one", "begin two", "end two"]


async def test_a_question_too_many_is_refused_and_costs_nothing(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "q0", owner="c0")
    await bench.settle()
    for index in range(1, MOST_QUESTIONS + 1):
        bench.submit(Priority.QUESTION, f"q{index}", owner=f"c{index}")
    with pytest.raises(LimitReached):
        bench.submit(Priority.QUESTION, "more", owner="c0")
    assert bench.log == ["begin q0"]
    bench.submit(Priority.QUESTION, "instead", owner="c2")
    assert bench.log == ["begin q0", "drop q2"]


async def test_only_the_newest_description_waits_and_one_alert_a_watch(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "why", owner="a")
    await bench.settle()
    bench.submit(Priority.DESCRIPTION, "old")
    bench.submit(Priority.DESCRIPTION, "new")
    bench.submit(Priority.ALERT, "door")
    bench.submit(Priority.ALERT, "bag")
    bench.submit(Priority.ALERT, "door")
    assert bench.log == ["begin why", "drop old", "drop door"]


async def test_alerts_that_wait_are_bounded(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "why", owner="a")
    await bench.settle()
    for index in range(MOST_ALERTS + 3):
        bench.submit(Priority.ALERT, f"watch {index}")
    assert bench.log == ["begin why", "drop watch 0", "drop watch 1", "drop watch 2"]


async def test_stop_ends_what_runs_and_what_waits_of_a_client(bench: Bench) -> None:
    bench.submit(Priority.QUESTION, "one", owner="a")
    await bench.settle()
    bench.submit(Priority.QUESTION, "two", owner="b")
    assert bench.worker.cancel(owner="b") == ["two"]
    assert bench.worker.cancel(key="one") == ["one"]
    await bench.settle()
    assert bench.log == ["begin one", "drop two", "stop one"]
    assert bench.worker.idle


@pytest.mark.logs_errors
async def test_a_job_that_fails_is_logged_and_the_next_one_runs(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise RuntimeError("broken")

    bench.worker.submit(Job(Priority.DESCRIPTION, "7", broken))
    await bench.settle()
    bench.submit(Priority.DESCRIPTION, "look")
    await bench.settle()
    assert "description 7 failed" in caplog.text
    assert bench.log == ["begin look"]
