"""Runners for the kernel tests; `ONLOOKER_KERNELS` chooses what executes the launches.

`fibers` (the default): the CPU. `cuda`: CuPy on a GPU, for the same tests. `address`: the CPU under AddressSanitizer,
which `test_address.py` uses for the tests marked `checked`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from kernels.cuda.launch import Runner
from tests.kernels.runner import KIND, DeviceRunner, FiberRunner

# In order; shuffled; shuffled and switched at one in three atomics.
SCHEDULES = ((0, 0), (1, 0), (7, 3))
CHECKED_SCHEDULES = ((0, 0), (5, 4))


def _runner(seed: int, preempt: int, *, checked: bool = False) -> Runner:
    if KIND == "cuda":
        return DeviceRunner()
    if KIND == "address":
        return FiberRunner(seed, preempt, "address")
    return FiberRunner(seed, preempt, "race" if checked else "none")


def _where_they_matter(schedules: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return schedules if KIND == "fibers" else schedules[-1:]


@pytest.fixture
def runner() -> Runner:
    """Runs launches on NumPy arrays, in place; threads in order."""
    return _runner(0, 0)


@pytest.fixture(params=_where_they_matter(SCHEDULES), ids=lambda s: f"seed{s[0]}-preempt{s[1]}")
def scheduled_runner(request: pytest.FixtureRequest) -> Runner:
    """As `runner`, over several schedules."""
    return _runner(*request.param)


@pytest.fixture(params=_where_they_matter(CHECKED_SCHEDULES), ids=lambda s: f"seed{s[0]}-preempt{s[1]}")
def checked_runner(request: pytest.FixtureRequest) -> Runner:
    """Race-checked, about a hundred times slower: for small sizes. AddressSanitizer runs these tests once more."""
    return _runner(*request.param, checked=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A kernel that never ends holds the interpreter in C, where only a timeout from another thread gets through.

    What runs beside the other tests is waited for at the end.
    """
    for item in items:
        if "tests/kernels/" not in item.path.as_posix():
            continue
        beside = item.get_closest_marker("beside") is not None
        item.add_marker(pytest.mark.timeout(600 if beside else 120, method="thread"))
        if "checked_runner" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.checked)
    items.sort(key=lambda item: item.get_closest_marker("beside") is not None)


@pytest.fixture(scope="session", autouse=True)
def _beside(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[object]]]:
    """Work in processes of its own, for all selected tests marked `beside`, two at a time from the first test on."""
    pool = ThreadPoolExecutor(2)
    futures = {}
    for item in request.session.items if KIND == "fibers" else ():
        marker = item.get_closest_marker("beside")
        if marker is not None and isinstance(item, pytest.Function):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            futures[item.nodeid] = pool.submit(marker.kwargs["work"], **parameters)
    yield futures
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def result(request: pytest.FixtureRequest, _beside: dict[str, Future[object]]) -> object:
    """What the work of a test marked `beside` gave."""
    return _beside[request.node.nodeid].result()
