"""Where arrays live decides what works on them, and results live where the arguments do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from kernels import arrays, masks
from kernels.cuda.launch import Runner
from kernels.reference import cleaning
from tests.kernels import devices
from tests.kernels.blobs import logits
from tests.kernels.devices import fake_torch  # noqa: F401
from tests.kernels.runner import KIND

pytestmark = pytest.mark.usefixtures("fake_torch")


def test_tensors_are_taken_and_returned_on_their_device(runner: Runner) -> None:
    values = logits("noisy", 2, 288, 288)
    made = masks.clean_masks(devices.cuda(values, 1), runner=devices.TensorRunner(runner))
    for tensor, wanted in zip(made, cleaning.clean_masks(values, None), strict=True):
        assert isinstance(tensor, devices.Tensor)
        assert str(tensor.device) == "cuda:1"
        np.testing.assert_array_equal(tensor.memory, wanted)


def test_bfloat16_tensors_are_taken(runner: Runner) -> None:
    half = cleaning.float32_to_bfloat16(logits("smooth", 1, 288, 288))
    made = masks.clean_masks(devices.cuda(half, dtype="bfloat16"), runner=devices.TensorRunner(runner))
    np.testing.assert_array_equal(made.bits.memory, cleaning.clean_masks(cleaning.bfloat16_to_float32(half), None)[0])


def test_the_bits_of_bfloat16_are_no_torch_tensor() -> None:
    with pytest.raises(arrays.KernelInputError, match="float32 or bfloat16"):
        masks.clean_masks(devices.cuda(np.zeros((1, 288, 288), np.uint16)))


@pytest.mark.parametrize("other", ["numpy", "another device"])
def test_arrays_of_two_places_are_refused(other: str) -> None:
    previous = np.zeros((1, 288, 9), np.uint32)
    with pytest.raises(arrays.KernelInputError, match=r"previous is on .*, the arrays before it are on CUDA device 0"):
        masks.clean_masks(
            devices.cuda(np.zeros((1, 288, 288), np.float32)),
            previous=previous if other == "numpy" else devices.cuda(previous, 1),
        )


def test_a_tensor_on_the_cpu_is_refused() -> None:
    tensor = devices.cuda(np.zeros((1, 288, 288), np.float32)).cpu()
    with pytest.raises(arrays.KernelInputError, match="torch tensor on cpu: give a CUDA tensor, or a NumPy array"):
        masks.clean_masks(tensor)


def test_the_number_of_objects_is_made_once(runner: Runner) -> None:
    place = arrays.Place("torch", 0)
    assert arrays.count_array(place, 7) is arrays.count_array(place, 7)
    assert arrays.count_array(place, 7).memory.tolist() == [7]


@pytest.mark.skipif(KIND == "cuda", reason="with a GPU the launch would work")
def test_without_a_runner_cupy_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    arrays._cupy_runner.cache_clear()
    with pytest.raises(ImportError, match="cupy"):
        masks.clean_masks(devices.cuda(np.zeros((1, 288, 288), np.float32)))
