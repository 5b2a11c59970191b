"""Runners for the kernel tests; `ONLOOKER_KERNELS` chooses what executes the launches.

`fibers` (the default): the CPU. `cuda`: CuPy on a GPU, for the same tests. `address`: the CPU under AddressSanitizer,
which `test_address.py` uses for the tests marked `checked`.
"""

from __future__ import annotations

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
    """A kernel that never ends holds the interpreter in C, where only a timeout from another thread gets through."""
    for item in items:
        if "tests/kernels/" not in item.path.as_posix():
            continue
        item.add_marker(pytest.mark.timeout(120, method="thread"))
        if "checked_runner" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.checked)
