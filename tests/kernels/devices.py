"""A torch whose CUDA tensors are NumPy arrays, for tests of what is done by the kind of an array."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernels import arrays
from kernels.cuda.launch import Launch, Runner

DTYPES = ("float32", "float64", "bfloat16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True)
class Device:
    """As `torch.device`."""

    type: str
    index: int | None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


class Tensor:
    """As much of `torch.Tensor` as the kernels look at; bfloat16 as the uint16 of its bits."""

    def __init__(self, memory: np.ndarray[Any, Any], device: Device, dtype: str | None = None) -> None:
        self.memory = memory
        self.device = device
        self.dtype = f"torch.{dtype or memory.dtype}"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.memory.shape

    @property
    def itemsize(self) -> int:
        return self.memory.itemsize

    def is_contiguous(self) -> bool:
        return bool(self.memory.flags.c_contiguous)

    def data_ptr(self) -> int:
        return int(self.memory.ctypes.data)

    def numel(self) -> int:
        return self.memory.size

    def element_size(self) -> int:
        return self.itemsize

    def __iadd__(self, number: int) -> Tensor:
        self.memory += self.memory.dtype.type(number)
        return self

    def __getitem__(self, key: Any) -> Tensor:
        return Tensor(self.memory[key], self.device, self.dtype.removeprefix("torch."))

    def cpu(self) -> Tensor:
        return Tensor(self.memory, Device("cpu", None))

    def numpy(self) -> np.ndarray[Any, Any]:
        assert self.device.type == "cpu"
        return self.memory


def cuda(array: np.ndarray[Any, Any], index: int = 0, dtype: str | None = None) -> Tensor:
    """The array as a tensor of a CUDA device."""
    return Tensor(array, Device("cuda", index), dtype)


def torch() -> ModuleType:
    """A module with the tensor and what makes one."""
    module = ModuleType("torch")

    def made(function: str) -> Any:
        def make(shape: tuple[int, ...], *, dtype: str, device: str) -> Tensor:
            kind, _, index = device.partition(":")
            stored = "uint16" if dtype == "bfloat16" else dtype
            return Tensor(getattr(np, function)(shape, stored), Device(kind, int(index)), dtype)

        return make

    contents = {"Tensor": Tensor, "empty": made("empty"), "zeros": made("zeros"), **{name: name for name in DTYPES}}
    for name, value in contents.items():
        setattr(module, name, value)
    return module


@pytest.fixture
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module in the place of torch, installed or not."""
    monkeypatch.setitem(sys.modules, "torch", torch())
    arrays.count_array.cache_clear()
    yield
    arrays.count_array.cache_clear()


@dataclass(frozen=True)
class TensorRunner:
    """Runs launches on the memory of tensors."""

    runner: Runner

    def run(self, launch: Launch) -> None:
        args = tuple(each.memory if isinstance(each, Tensor) else each for each in launch.args)
        self.runner.run(Launch(launch.kernel, launch.grid, launch.block, args, launch.shared_bytes))
