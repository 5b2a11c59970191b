"""Kernel sources to functions through CuPy, once a device, and their launch on torch's current stream.

CuPy is imported at first use only: this module can be imported, and the CPU backend used, without it.
"""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

from kernels.cuda.launch import OPTIONS, Argument, Launch, source_paths

STATIC_LIMIT_BYTES = 48 * 1024
"""Dynamic shared memory above this has to be asked for, per function."""


def _cupy() -> Any:
    return importlib.import_module("cupy")


@functools.cache
def _module(path: Path, device: int) -> Any:
    cupy = _cupy()
    with cupy.cuda.Device(device):
        module = cupy.RawModule(code=path.read_text(), options=OPTIONS, backend="nvrtc")
        module.compile()
        return module


@functools.cache
def function(kernel: str, device: int, shared_bytes: int) -> Any:
    """The compiled entry point for a device, allowed that much dynamic shared memory.

    Compiles at its first call: call once before a graph is captured.
    """
    loaded = _module(source_paths()[kernel], device).get_function(kernel)
    if shared_bytes > STATIC_LIMIT_BYTES:
        with _cupy().cuda.Device(device):
            loaded.max_dynamic_shared_size_bytes = shared_bytes
    return loaded


@functools.cache
def _wrapped(stream: int, device: int) -> Any:
    return _cupy().cuda.Stream.from_external(_StreamPointer(stream, device))


class _StreamPointer:
    """A raw `cudaStream_t` in the form in which libraries hand streams to each other."""

    def __init__(self, pointer: int, device: int) -> None:
        self.pointer = pointer
        self.device = device

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


def current_stream(device: int) -> Any:
    """torch's current stream as a CuPy stream if torch is in use with CUDA, else CuPy's own current stream."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return _wrapped(torch.cuda.current_stream(device).cuda_stream, device)
    return _cupy().cuda.get_current_stream()


def _passed(argument: Argument) -> Any:
    """CuPy takes its own arrays, NumPy scalars, and Python integers as 8 bytes, thus as pointers."""
    if argument is None:
        return 0
    return argument.data_ptr() if hasattr(argument, "data_ptr") else argument


class CupyRunner:
    """Launches on one device, on its current stream. Copies nothing, allocates nothing, synchronises nothing."""

    def __init__(self, device: int = 0) -> None:
        self._device = device
        self._cuda_device = _cupy().cuda.Device(device)

    def run(self, launch: Launch) -> None:
        """Enqueue. Array arguments are CuPy arrays or torch CUDA tensors of this device."""
        kernel = function(launch.kernel, self._device, launch.shared_bytes)
        with self._cuda_device, current_stream(self._device):
            kernel(launch.grid, launch.block, tuple(map(_passed, launch.args)), shared_mem=launch.shared_bytes)
