"""The checks of the kernel tests notice planted faults: missing barriers, lost updates, wrong edges, ignored limits."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from kernels.cuda.launch import SOURCES
from tests.kernels.faults import Fault, outcome
from tests.kernels.faults_in_association import FAULTS as IN_ASSOCIATION
from tests.kernels.faults_in_cleaning import FAULTS as IN_CLEANING
from tests.kernels.faults_in_images import FAULTS as IN_IMAGES
from tests.kernels.faults_in_masks import FAULTS as IN_MASKS
from tests.kernels.runner import KIND

pytestmark = pytest.mark.skipif(KIND != "fibers", reason="faults are planted for the fiber runner")

FAULTS = (*IN_CLEANING, *IN_MASKS, *IN_IMAGES, *IN_ASSOCIATION)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[str]]]:
    """The faults of all selected tests, two at a time, from the first test on."""
    multiprocessing.set_forkserver_preload([__name__])
    chosen = [item.callspec.params["fault"] for item in request.session.items if _is_about_a_fault(item)]
    with ThreadPoolExecutor(2) as pool:
        yield {fault.name: pool.submit(outcome, fault) for fault in chosen}


def _is_about_a_fault(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.function is test_is_noticed


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_is_noticed(fault: Fault, outcomes: dict[str, Future[str]]) -> None:
    assert outcomes[fault.name].result(), f"nothing noticed {fault.name!r} in {fault.file}.cu"


def test_every_kernel_has_faults() -> None:
    assert {fault.file for fault in FAULTS} == {path.stem for path in SOURCES.glob("*.cu")}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
