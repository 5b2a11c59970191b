"""Tasks beside their owner: a failure is told as it happens, and all of them end."""

from __future__ import annotations

import asyncio

import pytest

from stream.tasks import begin, end


@pytest.mark.logs_errors
async def test_a_task_that_fails_is_logged_while_its_owner_still_holds_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise KeyError("a mistake of ours")

    task = begin(fails(), "the upkeep")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "the upkeep failed"
    assert record.exc_info is not None


async def test_ending_waits_for_all_but_the_task_that_asks_for_it() -> None:
    ended: list[str] = []

    async def goes_on(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def ends_all() -> None:
        await end(one, None, two, asyncio.current_task())
        ended.append("the one that asked")

    one, two = begin(goes_on("one"), "one"), begin(goes_on("two"), "two")
    await asyncio.sleep(0)
    await asyncio.create_task(ends_all())
    assert ended == ["one", "two", "the one that asked"]
