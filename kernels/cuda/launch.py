"""A kernel launch as a plain value, and where the sources of kernels are.

Geometry is written once, by functions that build `Launch` values from arrays and sizes; the CUDA backend, the CPU
runner of the tests and the compile gate all use them.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

SOURCES = Path(__file__).parent

# Without headers and without fused multiply-add, one source gives the same floats on every compiler.
OPTIONS = ("--fmad=false", "-std=c++17")

_ENTRY_POINT = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(', re.MULTILINE
)

Size = tuple[int, ...]
"""One to three sizes: x, y, z."""

Argument = Any
"""An array of the runner's kind (NumPy, CuPy or a torch tensor), `None` for a null pointer, `np.int32` or `np.float32`.

Python numbers are refused: CuPy would pass an int as 8 bytes and a float as float64.
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of the entry point `kernel`, of `grid` blocks of `block` threads each."""

    kernel: str
    grid: Size
    block: Size
    args: tuple[Argument, ...]
    shared_bytes: int = 0
    """Dynamic shared memory of a block."""

    def __post_init__(self) -> None:
        threads = math.prod(self.block)
        if not 1 <= len(self.grid) <= 3 or min(self.grid) < 1:
            raise ValueError(f"{self.kernel}: no grid of {self.grid} blocks")
        if not 1 <= len(self.block) <= 3 or min(self.block) < 1 or threads > 1024 or threads % 32:
            raise ValueError(f"{self.kernel}: a block is of 32 to 1024 threads, in whole warps, not {self.block}")
        for position, argument in enumerate(self.args):
            if isinstance(argument, (bool, int, float, np.bool_, np.float64, np.int64)):
                raise TypeError(f"{self.kernel}: argument {position} must be np.int32 or np.float32, is {argument!r}")


class Runner(Protocol):
    """What executes launches: CuPy on a GPU, fibers on the CPU in tests."""

    def run(self, launch: Launch) -> None:
        """Execute, or enqueue on the current stream."""
        ...


def float_suffix(array: Argument) -> str:
    """`f32` or `bf16`, as entry points end. NumPy has no bfloat16: its bits come as uint16."""
    name = str(array.dtype).removeprefix("torch.")
    suffixes = {"float32": "f32", "bfloat16": "bf16", "uint16": "bf16"}
    if name not in suffixes:
        raise TypeError(f"float32 or bfloat16 (in NumPy and CuPy: its bits as uint16), not {name}")
    return suffixes[name]


def entry_points(source: str) -> tuple[str, ...]:
    """Names of the `extern "C" __global__` functions in a kernel's source."""
    return tuple(_ENTRY_POINT.findall(source))


@functools.cache
def source_paths() -> dict[str, Path]:
    """Entry point → `.cu` file. An entry point's name is spelt out in its file, once in the folder."""
    paths: dict[str, Path] = {}
    for path in sorted(SOURCES.glob("*.cu")):
        for name in entry_points(path.read_text()):
            if name in paths:
                raise ValueError(f"{name} is in {paths[name].name} and in {path.name}")
            paths[name] = path
    return paths
