"""How the static-shape calls are run: as they are, or recorded once for each shape and replayed as CUDA graphs.

A recorded call reads its arguments from buffers that stay where they are, and its results stay where they are too,
until the next call of the same key overwrites them. What it does beside (writing memories) it does to tensors that are
never replaced. Batches are padded to few sizes, since each size is a graph of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

BUCKETS = (1, 2, 4, 8, 16, 32)
"""The numbers of objects that have a graph."""
MOST_WASTE = 0.2
"""Up to this share of a bucket may be padding; beyond it two smaller buckets are cheaper."""
WARM_UPS = 2
"""Runs before recording: libraries choose and set up their kernels in the first ones."""

Call = Callable[..., tuple[Tensor, ...]]
Progress = Callable[[int, int, str], None]
"""Done, of how many, what."""


class Runner(Protocol):
    """Runs a function of tensors whose shapes follow from the key."""

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes to pad to; empty where any will do."""
        ...

    def __call__(self, key: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]: ...

    def recording(self) -> Any:
        """A context in which calls of new keys are recorded; without it they run as they are."""
        ...


class Recorder(Protocol):
    """Records one call on fixed inputs."""

    def record(self, function: Call, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        """What replays it, and the outputs that the replay overwrites."""
        ...


class Eager:
    """Runs everything as it is."""

    buckets: tuple[int, ...] = ()

    def __call__(self, key: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]:
        return function(*inputs)

    @contextmanager
    def recording(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class _Recorded:
    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Graphs:
    """Replays what was recorded during `recording`. An input that is another recorded call's output is read in place,
    all others are copied into buffers of their own."""

    def __init__(self, recorder: Recorder, buckets: tuple[int, ...] = BUCKETS) -> None:
        self.buckets = buckets
        self.replayed = 0
        self.eager = 0
        self._recorder = recorder
        self._recorded: dict[Hashable, _Recorded] = {}
        self._kept: dict[int, Tensor] = {}
        self._recording = False

    def __len__(self) -> int:
        return len(self._recorded)

    def __call__(self, key: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self._recorded.get(key)
        if made is None and not self._recording:
            self.eager += 1
            return function(*inputs)
        if made is None:
            made = self._record(key, function, inputs)
        for buffer, given in zip(made.inputs, inputs, strict=True):
            if buffer.data_ptr() != given.data_ptr():
                buffer.copy_(given, non_blocking=True)
        made.replay()
        self.replayed += 1
        return made.outputs

    @contextmanager
    def recording(self) -> Iterator[None]:
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def _record(self, key: Hashable, function: Call, inputs: tuple[Tensor, ...]) -> _Recorded:
        buffers = tuple(given if self._is_kept(given) else given.clone() for given in inputs)
        replay, outputs = self._recorder.record(function, buffers)
        made = self._recorded[key] = _Recorded(replay, buffers, outputs)
        self._kept.update((output.data_ptr(), output) for output in outputs)
        return made

    def _is_kept(self, given: Tensor) -> bool:
        kept = self._kept.get(given.data_ptr())
        return kept is not None and kept.shape == given.shape and kept.stride() == given.stride()


class CudaRecorder:
    """Records CUDA graphs, which share one pool of memory, since they never run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, function: Call, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                function(*inputs)
        torch.cuda.current_stream(self._device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with their own copies meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = function(*inputs)
        return graph.replay, outputs


class Keyed:
    """A runner that others use too, with `prefix` before each key."""

    def __init__(self, runner: Runner, prefix: Hashable) -> None:
        self._runner = runner
        self._prefix = prefix

    @property
    def buckets(self) -> tuple[int, ...]:
        return self._runner.buckets

    def __call__(self, key: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._runner((self._prefix, key), function, *inputs)

    def recording(self) -> Any:
        return self._runner.recording()


class Compiled:
    """Compiles each call with torch.compile before `runner` sees it. The first use of each key takes seconds to
    minutes, so all keys should be met while warming up."""

    def __init__(self, runner: Runner, **options: Any) -> None:
        self.runner = runner
        self._options = {"dynamic": False, **options}
        self._made: dict[Hashable, Call] = {}

    @property
    def buckets(self) -> tuple[int, ...]:
        return self.runner.buckets

    def __call__(self, key: Hashable, function: Call, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self._made.get(key)
        if made is None:
            log.info("compiling %s", key)
            # A key is one shape: without this the compiler would count the keys of a function as failed guesses.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 4 * len(self._made) + 64)
            made = self._made[key] = torch.compile(function, **self._options)
        return self.runner(key, made, *inputs)

    def recording(self) -> Any:
        return self.runner.recording()


def runner_for(device: torch.device, *, graphs: bool = True, compiled: bool = False) -> Runner:
    """CUDA graphs on a GPU unless `graphs` is False; torch.compile only where it is asked for."""
    runner: Runner = Graphs(CudaRecorder(device)) if graphs and device.type == "cuda" else Eager()
    return Compiled(runner) if compiled else runner


def split(count: int, buckets: tuple[int, ...]) -> list[tuple[int, int]]:
    """Cut `count` objects into `(taken, padded)` batches of the bucket sizes; one batch where there are no buckets.

    Padding costs as much as objects do, so 10 become 8 and 2 rather than 16, while 7 become 8.
    """
    if not buckets:
        return [(count, count)] if count else []
    batches = []
    while count:
        above = next((size for size in buckets if size >= count), None)
        below = [size for size in buckets if size <= count]
        if above is not None and (not below or above - count <= MOST_WASTE * above):
            batches.append((count, above))
            break
        batches.append((below[-1], below[-1]))
        count -= below[-1]
    return batches


def warm_up(work: list[tuple[str, Callable[[], object]]], runner: Runner, progress: Progress | None = None) -> None:
    """Run each piece of work once so that it is recorded and compiled, telling how far it is."""
    with runner.recording():
        for number, (name, piece) in enumerate(work):
            log.info("warming up %d of %d: %s", number + 1, len(work), name)
            if progress is not None:
                progress(number, len(work), name)
            piece()
    if progress is not None:
        progress(len(work), len(work), "ready")
