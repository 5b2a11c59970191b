"""Launches reach CuPy as they should: compiled once a device, on the current stream, with arguments in its terms."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernels.cuda import compile as loader
from kernels.cuda.launch import Launch, source_paths
from tests.kernels.runner import DeviceRunner


class Kernel:
    """Counts its launches and keeps their arguments; fills the first array, as a kernel would."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name, self.log = name, log
        self.max_dynamic_shared_size_bytes = 0

    def __call__(self, grid: Any, block: Any, args: tuple[Any, ...], *, shared_mem: int) -> None:
        self.log.append((self, grid, block, args, shared_mem))
        if isinstance(args[0], np.ndarray):
            args[0][...] = 7


class Stream:
    def __init__(self, pointer: int) -> None:
        self.pointer = pointer

    @classmethod
    def from_external(cls, external: Any) -> Stream:
        version, pointer = external.__cuda_stream__()
        assert version == 0
        return cls(pointer)

    def __enter__(self) -> None:
        Stream.current = self

    def __exit__(self, *_: object) -> None:
        Stream.current = None

    current: Stream | None = None


class CuPy(SimpleNamespace):
    """As much of CuPy as is used."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.compiled: list[tuple[str, tuple[str, ...]]] = []
        runtime = SimpleNamespace(deviceSynchronize=lambda: None)
        self.cuda = SimpleNamespace(
            Device=lambda index: nullcontext(index), Stream=Stream, runtime=runtime,
            get_current_stream=lambda: Stream(-1),
        )  # fmt: skip
        self.asarray = self.asnumpy = np.array

    def RawModule(self, *, code: str, options: tuple[str, ...], backend: str) -> Any:  # noqa: N802
        assert backend == "nvrtc"
        self.compiled.append((code, options))
        return SimpleNamespace(compile=lambda: None, get_function=lambda name: Kernel(name, self.log))


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[CuPy]:
    made = CuPy()
    monkeypatch.setitem(sys.modules, "cupy", made)  # type: ignore[arg-type]
    caches = (loader._module, loader.function, loader._wrapped)
    for cache in caches:
        cache.cache_clear()
    yield made
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def launch(shared_bytes: int = 0) -> Launch:
    return Launch("clean_masks_f32", (3,), (64,), (np.zeros(4), None, np.int32(5)), shared_bytes)


@pytest.mark.usefixtures("without_torch")
def test_a_source_is_compiled_once_for_each_device(cupy: CuPy) -> None:
    for device in (0, 0, 1):
        loader.CupyRunner(device).run(launch())
    source = source_paths()["clean_masks_f32"].read_text()
    assert cupy.compiled == [(source, ("--fmad=false", "-std=c++17"))] * 2
    assert [entry[0].name for entry in cupy.log] == ["clean_masks_f32"] * 3


@pytest.mark.usefixtures("without_torch")
def test_more_shared_memory_than_usual_is_asked_for(cupy: CuPy) -> None:
    for shared_bytes in (48 * 1024, 51_840):
        loader.CupyRunner().run(launch(shared_bytes))
    assert [(kernel.max_dynamic_shared_size_bytes, size) for kernel, *_, size in cupy.log] == [
        (0, 48 * 1024),
        (51_840, 51_840),
    ]


@pytest.mark.usefixtures("without_torch")
def test_null_is_an_integer_and_tensors_are_their_addresses(cupy: CuPy) -> None:
    tensor = SimpleNamespace(data_ptr=lambda: 0x7F00)
    loader.CupyRunner().run(Launch("clean_masks_f32", (1,), (32,), (tensor, None, np.float32(2))))
    assert cupy.log[0][3] == (0x7F00, 0, np.float32(2))


def test_kernels_run_on_the_current_stream_of_torch(cupy: CuPy, monkeypatch: pytest.MonkeyPatch) -> None:
    pointers = iter((11, 22, 11))
    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True,
        current_stream=lambda device: SimpleNamespace(cuda_stream=next(pointers)),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    streams = [loader.current_stream(0) for _ in range(3)]
    assert [stream.pointer for stream in streams] == [11, 22, 11]
    assert streams[0] is streams[2]


@pytest.mark.usefixtures("without_torch")
def test_without_torch_kernels_run_on_the_current_stream_of_cupy(cupy: CuPy) -> None:
    assert loader.current_stream(0).pointer == -1


@pytest.mark.usefixtures("without_torch", "cupy")
def test_the_device_runner_of_the_tests_brings_results_back() -> None:
    out, nothing = np.zeros(5, np.int32), np.zeros((0, 3), np.float32)
    DeviceRunner().run(Launch("clean_masks_f32", (1,), (32,), (out, nothing, np.int32(5))))
    assert (out == 7).all()
