"""Executes `Launch` values on NumPy arrays: CUDA sources as fibers on the CPU, or through CuPy on a GPU.

The fiber runner compiles a kernel's source with g++ behind `shim.hpp` and runs one CUDA thread as one fiber
(`fibers.hpp`). It reports divergent barriers and collectives and deadlocks; with `check="race"` data races and
accesses outside of every array (`race.hpp`); with `check="address"` what AddressSanitizer finds.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kernels.cuda.compile import CupyRunner
from kernels.cuda.launch import Launch, entry_points, source_paths

HERE = Path(__file__).parent
LIBRARIES = HERE.parents[1] / ".make" / "kernels"
UNUSED_S = 7 * 86_400.0

KIND = os.environ.get("ONLOOKER_KERNELS", "fibers")
"""What executes the launches of the tests: `fibers`, `address` (fibers under AddressSanitizer) or `cuda`."""

Check = Literal["none", "race", "address"]

_COMMON_FLAGS = ("-std=c++17", "-ffp-contract=off", "-fPIC", "-fno-exceptions", "-Wno-unknown-pragmas")
_FLAGS: dict[Check, tuple[str, ...]] = {
    "none": ("-O2",),
    # Instrumentation only: race.hpp answers the calls, so the sanitizer's library is not linked.
    "race": (
        *("-O1", "-DFIBER_RACE_CHECK", "-fsanitize=thread"),
        *("--param=tsan-distinguish-volatile=1", "--param=tsan-instrument-func-entry-exit=0"),
    ),
    "address": ("-O1", "-g", "-fsanitize=address", "-fno-omit-frame-pointer"),
}


class KernelFault(AssertionError):
    """A kernel did what it may not do: a race, a stray access, a divergent barrier, a deadlock."""


class CompilerMissing(RuntimeError):
    """The kernel tests need a C++ compiler."""


class _Options(ctypes.Structure):
    _fields_ = (("seed", ctypes.c_uint32), ("preempt", ctypes.c_uint32))


@dataclass(frozen=True)
class FiberRunner:
    """Runs launches on NumPy arrays, in place, on one thread; the same options give the same run.

    `seed`: 0 runs blocks and threads in order, others shuffle them. `preempt`: n switches at one in n atomics, and in
    a race check at one in n memory accesses. `sources`: other source text for entry points, to plant faults.
    """

    seed: int = 0
    preempt: int = 0
    check: Check = "none"
    sources: Mapping[str, str] = field(default_factory=dict)

    def run(self, launch: Launch) -> None:
        """Execute; raises `KernelFault` with the first fault seen."""
        source = self.sources.get(launch.kernel) or source_paths()[launch.kernel].read_text()
        library = load(source, self.check)
        values = _values(launch, _signature(library, launch.kernel))
        if self.check == "race":
            library.race_forget()
            for array in _distinct_arrays(launch):
                library.race_array(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes))
        sizes = (ctypes.c_uint * 6)(*_three(launch.grid), *_three(launch.block))
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        run = getattr(library, f"run_{launch.kernel}")
        run.restype = ctypes.c_bool
        if not run(sizes, ctypes.c_size_t(launch.shared_bytes), pointers, _Options(self.seed, self.preempt)):
            library.fault_message.restype = ctypes.c_char_p
            raise KernelFault(f"{launch.kernel}: {library.fault_message().decode()}")


class DeviceRunner:
    """Runs launches on NumPy arrays through CuPy: each array goes to the device, and back after the kernel."""

    def __init__(self) -> None:
        self._runner = CupyRunner()

    def run(self, launch: Launch) -> None:
        """Execute and wait."""
        import cupy

        on_device = {array.ctypes.data: cupy.asarray(array) for array in _distinct_arrays(launch)}
        # An array without elements has no memory there: a null pointer.
        args = tuple(on_device.get(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in launch.args)
        self._runner.run(Launch(launch.kernel, launch.grid, launch.block, args, launch.shared_bytes))
        cupy.cuda.runtime.deviceSynchronize()
        for array in _distinct_arrays(launch):
            if array.flags.writeable:
                array[...] = cupy.asnumpy(on_device[array.ctypes.data])


def _three(size: tuple[int, ...]) -> tuple[int, ...]:
    return (*size, 1, 1)[:3]


def _distinct_arrays(launch: Launch) -> list[np.ndarray[Any, Any]]:
    """The arrays of a launch, each once. One array may be given twice, two that overlap may not."""
    arrays = {a.ctypes.data: a for a in launch.args if isinstance(a, np.ndarray) and a.nbytes}
    ordered = sorted(arrays.values(), key=lambda array: int(array.ctypes.data))
    for before, after in itertools.pairwise(ordered):
        if before.ctypes.data + before.nbytes > after.ctypes.data:
            raise TypeError(f"{launch.kernel}: two arguments overlap in part")
    return ordered


def _values(launch: Launch, signature: list[tuple[str, int]]) -> list[Any]:
    """C values of the arguments, each checked against the parameter that it is passed to."""
    if len(signature) != len(launch.args):
        raise TypeError(f"{launch.kernel} takes {len(signature)} arguments, not {len(launch.args)}")
    values: list[Any] = []
    for position, (argument, (kind, size)) in enumerate(zip(launch.args, signature, strict=True)):
        where = f"{launch.kernel}, argument {position}"
        if argument is None or isinstance(argument, np.ndarray):
            values.append(ctypes.c_void_p(_pointer(where, argument, kind, size)))
        elif isinstance(argument, np.generic):
            if kind not in "if" or size != argument.itemsize or (kind == "f") != isinstance(argument, np.floating):
                raise TypeError(f"{where}: {argument.dtype} for a parameter {kind}{size}")
            values.append((ctypes.c_char * size).from_buffer_copy(argument.tobytes()))
        else:
            raise TypeError(f"{where}: {type(argument).__name__} is no kernel argument")
    return values


def _pointer(where: str, array: np.ndarray[Any, Any] | None, kind: str, size: int) -> int | None:
    if kind not in "pcv":
        raise TypeError(f"{where}: an array for a number")
    if array is None:
        return None
    if not array.flags.c_contiguous:
        raise TypeError(f"{where}: the array is not contiguous")
    if kind != "v" and array.itemsize != size:
        raise TypeError(f"{where}: {array.dtype} for a pointer to {size}-byte elements")
    if kind == "p" and not array.flags.writeable:
        raise TypeError(f"{where}: a read-only array for a pointer to non-const")
    return int(array.ctypes.data)


def _signature(library: ctypes.CDLL, kernel: str) -> list[tuple[str, int]]:
    describe = getattr(library, f"signature_{kernel}")
    describe.restype = ctypes.c_char_p
    return [(word[0], int(word[1:])) for word in describe().decode().split()]


def translation_unit(source: str) -> str:
    """The kernel between the shim and its entry points, in an unnamed namespace: one process loads many variants."""
    entries = "\n".join(f"SHIM_ENTRY({name})" for name in entry_points(source))
    return f'#include "shim.hpp"\nnamespace {{\n#line 1 "kernel.cu"\n{source}\n}}\n{entries}\n'


@functools.cache
def load(source: str, check: Check = "none") -> ctypes.CDLL:
    """The source as a shared library, compiled at its first use and kept by the hash of everything that went in."""
    flags = (*_COMMON_FLAGS, *_FLAGS[check])
    headers = [path.read_text() for path in sorted(HERE.glob("*.hpp"))]
    unit = translation_unit(source)
    key = hashlib.sha256("\0".join([unit, *headers, *flags, _compiler_version()]).encode()).hexdigest()[:20]
    path = LIBRARIES / f"{key}.so"
    if path.exists():
        os.utime(path)
    else:
        LIBRARIES.mkdir(parents=True, exist_ok=True)
        forget_unused()
        _compile(unit, flags, path)
    return ctypes.CDLL(str(path))


def forget_unused() -> None:
    """Remove the libraries of sources as they were long ago."""
    for path in LIBRARIES.glob("*.so"):
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            if time.time() - path.stat().st_mtime > UNUSED_S:
                path.unlink()


def _compile(unit: str, flags: tuple[str, ...], path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        cpp, compiled, linked = (Path(folder) / name for name in ("unit.cpp", "unit.o", "unit.so"))
        cpp.write_text(unit)
        _run_compiler([*flags, "-I", str(HERE), "-c", str(cpp), "-o", str(compiled)])
        sanitizer = ("-fsanitize=address",) if "-fsanitize=address" in flags else ()
        _run_compiler(["-shared", *sanitizer, str(compiled), "-o", str(linked)])
        os.replace(linked, path)


def _run_compiler(arguments: list[str]) -> None:
    done = subprocess.run([_compiler(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"g++ refuses the kernel:\n{done.stderr}")


@functools.cache
def _compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        raise CompilerMissing("the kernel tests run CUDA sources on the CPU and need g++: apt-get install g++")
    return found


@functools.cache
def _compiler_version() -> str:
    return subprocess.run([_compiler(), "--version"], capture_output=True, text=True, check=True).stdout
