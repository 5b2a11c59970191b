"""What the kernels accept: checks of arguments before anything is launched, and where arrays live.

NumPy arrays live on the host, torch CUDA tensors and CuPy arrays on their device; torch and CuPy are not imported
here. NumPy has no bfloat16: there it is the uint16 of its bits.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kernels.cuda.compile import CupyRunner
from kernels.cuda.launch import Runner

Array = Any
"""A NumPy array, a torch CUDA tensor or a CuPy array."""

Library = Literal["numpy", "torch", "cupy"]


class KernelInputError(ValueError):
    """An argument that a kernel cannot take: its type, device, dtype, shape, strides or capacity. Nothing was
    launched and nothing written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A library and the index of one of its devices; 0 for the host."""

    library: Library
    device: int

    def __str__(self) -> str:
        return "the host (NumPy)" if self.library == "numpy" else f"CUDA device {self.device} ({self.library})"

    @property
    def on_host(self) -> bool:
        return self.library == "numpy"

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A new C-contiguous array with whatever was in the memory."""
        return self._made("empty", shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A new C-contiguous array of zeros."""
        return self._made("zeros", shape, dtype)

    def _made(self, function: str, shape: tuple[int, ...], dtype: str) -> Array:
        if self.library == "numpy":
            return getattr(np, function)(shape, dtype)
        module = sys.modules[self.library]
        if self.library == "torch":
            return getattr(module, function)(shape, dtype=getattr(module, dtype), device=f"cuda:{self.device}")
        with module.cuda.Device(self.device):
            return getattr(module, function)(shape, dtype)


@functools.lru_cache(maxsize=256)
def count_array(place: Place, count: int) -> Array:
    """An int32 array of one element, `count`; kept, so that later calls copy nothing. Not to be written."""
    array = place.zeros((1,), "int32")
    array += count
    return array


@functools.cache
def _cupy_runner(device: int) -> CupyRunner:
    return CupyRunner(device)


def runner_for(place: Place, runner: Runner | None) -> Runner | None:
    """What executes CUDA kernels on arrays of a place: `runner` if given, CuPy on a device; None on the host, where
    the CPU backend does the work instead."""
    if runner is not None or place.on_host:
        return runner
    return _cupy_runner(place.device)


def place_of(name: str, array: Array) -> Place:
    """Where an array lives. Raises `KernelInputError` for what is no array, and for torch tensors on the CPU."""
    if isinstance(array, np.ndarray):
        return Place("numpy", 0)
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(array, torch.Tensor):
        if array.device.type == "cuda":
            return Place("torch", array.device.index)
        raise KernelInputError(f"{name} is a torch tensor on {array.device}: give a CUDA tensor, or a NumPy array")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return Place("cupy", array.device.id)
    raise KernelInputError(f"{name} is a {type(array).__name__}, not a NumPy array, torch CUDA tensor or CuPy array")


def dtype_of(array: Array) -> str:
    """The name of the element type, the same for every library."""
    return str(array.dtype).removeprefix("torch.")


def as_float32(array: Array) -> Array:
    """float32 of a NumPy array of float32, which is returned as it is, or of the bits of bfloat16."""
    if array.dtype == np.float32:
        return array
    return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)


class Arguments:
    """Checks the arguments of one call. All arrays live where the first one does; no output overlaps another array."""

    def __init__(self, call: str) -> None:
        self._call = call
        self._place: Place | None = None
        self._arrays: list[tuple[str, int, int, bool]] = []

    @property
    def place(self) -> Place:
        """Where the arrays live."""
        if self._place is None:
            raise self.error("no array was given")
        return self._place

    def error(self, text: str) -> KernelInputError:
        return KernelInputError(f"{self._call}: {text}")

    def input(self, name: str, array: Array, dtypes: str | Sequence[str], *shape: int | None) -> tuple[int, ...]:
        """Check an array of one of `dtypes`, C-contiguous, of `shape`, where None is any length; returns its shape."""
        return self._array(name, array, (dtypes,) if isinstance(dtypes, str) else dtypes, shape, written=False)

    def logits(self, array: Array, height: int | None = None, width: int | None = None) -> tuple[int, ...]:
        """Check `[N, h, w]` logits: float32, or bfloat16, which NumPy and CuPy have as the uint16 of its bits."""
        place = place_of(f"{self._call}: logits", array)
        half = "bfloat16" if place.library == "torch" else "uint16"
        return self.input("logits", array, ("float32", half), None, height, width)

    def count(self, name: str, array: Array | None, capacity: int) -> Array:
        """Check an int32 array of one element that says how many of `capacity` objects there are; None for all."""
        if array is None:
            return count_array(self.place, capacity)
        self.input(name, array, "int32", 1)
        if self.place.on_host and not 0 <= int(array[0]) <= capacity:
            raise self.error(f"{name} is {int(array[0])}, the arrays hold {capacity}")
        return array

    def output(self, name: str, array: Array | None, dtype: str, *shape: int, zeroed: bool = False) -> Array:
        """Check a preallocated output, or allocate one where it is None."""
        if array is None:
            array = (self.place.zeros if zeroed else self.place.empty)(shape, dtype)
        self._array(name, array, (dtype,), shape, written=True)
        return array

    def number(self, name: str, value: float, least: float, most: float) -> None:
        """Check that a number lies in `[least, most]`."""
        if not least <= value <= most:
            raise self.error(f"{name} is {value}, not from {least} to {most}")

    def boxes(self, name: str, stats: Array, count: Array, height: int, width: int) -> None:
        """Check that the boxes of the first `count` statistics lie in a picture; on a device their values are not
        known here, and taken as they are."""
        if not self.place.on_host:
            return
        low, high = stats[: int(count[0]), 2:4], stats[: int(count[0]), 4:6]
        if (low < 0).any() or (low > high).any() or (high > (width, height)).any():
            raise self.error(f"{name} have boxes that are not in a picture of {height} x {width}")

    def aligned(self, name: str, array: Array | None, to_bytes: int) -> None:
        """Check that an array, if given, begins at a multiple of `to_bytes`, as kernels with vector loads need."""
        if array is not None and _memory_of(array)[0] % to_bytes:
            raise self.error(f"{name} does not begin at a multiple of {to_bytes} bytes")

    def done(self, in_place: tuple[str, str] | None = None) -> None:
        """Check that no output shares memory with another array; the two named `in_place` may be the same one."""
        for (a, a_start, a_end, a_written), (b, b_start, b_end, b_written) in itertools.combinations(self._arrays, 2):
            if in_place == (a, b) and (a_start, a_end) == (b_start, b_end):
                continue
            if (a_written or b_written) and a_start < b_end and b_start < a_end:
                raise self.error(f"{a} and {b} share memory, and one of them is written")

    def _array(
        self, name: str, array: Array, dtypes: Sequence[str], shape: Sequence[int | None], *, written: bool
    ) -> tuple[int, ...]:
        place = place_of(f"{self._call}: {name}", array)
        if self._place is None:
            self._place = place
        if place != self._place:
            raise self.error(f"{name} is on {place}, the arrays before it are on {self._place}")
        if dtype_of(array) not in dtypes:
            raise self.error(f"{name} is {dtype_of(array)}, not {' or '.join(dtypes)}")
        have = tuple(int(side) for side in array.shape)
        if len(have) != len(shape) or any(want not in (None, side) for side, want in zip(have, shape, strict=True)):
            wanted = ", ".join("any" if side is None else str(side) for side in shape)
            raise self.error(f"{name} has shape {have}, not ({wanted})")
        self._memory(name, array, written)
        return have

    def _memory(self, name: str, array: Array, written: bool) -> None:
        contiguous = array.is_contiguous() if self.place.library == "torch" else array.flags.c_contiguous
        if not contiguous:
            raise self.error(f"{name} is not C-contiguous")
        if written and self.place.on_host and not array.flags.writeable:
            raise self.error(f"{name} is read-only")
        start, size, item = _memory_of(array)
        if size and start % item:
            raise self.error(f"{name} is not aligned to its elements")
        self._arrays.append((name, start, start + size, written))


def _memory_of(array: Array) -> tuple[int, int, int]:
    """Address, and bytes of all and of one element."""
    if hasattr(array, "data_ptr"):
        return array.data_ptr(), array.numel() * array.element_size(), array.element_size()
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr, array.nbytes, array.itemsize
