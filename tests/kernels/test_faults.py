"""The checks of the kernel tests notice planted faults: missing barriers, lost updates, wrong edges, ignored limits."""

from __future__ import annotations

import multiprocessing

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


# Children are forked from a process that has imported all checks already.
multiprocessing.set_forkserver_preload([__name__])


@pytest.mark.beside(work=outcome)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_is_noticed(fault: Fault, result: str) -> None:
    assert result, f"nothing noticed {fault.name!r} in {fault.file}.cu"


def test_every_kernel_has_faults() -> None:
    assert {fault.file for fault in FAULTS} == {path.stem for path in SOURCES.glob("*.cu")}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
