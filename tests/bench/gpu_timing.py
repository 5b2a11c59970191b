"""How calls are timed on a GPU: by events, as a graph, on the host; what they synchronise and allocate."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from tests.bench.report import percentile

Step = Callable[[], object]
GRAPH_ROUNDS = 5


def rotation(steps: Sequence[Step], count: int) -> list[Step]:
    """The steps in turn, `count` in all: data that was just used is not used again, so that caches help nobody."""
    return [steps[i % len(steps)] for i in range(count)]


def summary(samples_us: Sequence[float], floor_us: float | None = None) -> dict[str, float | None]:
    """Median and 99th percentile, and the median over the floor."""
    median = statistics.median(samples_us)
    ratio = None if not floor_us else round(median / floor_us, 2)
    return {"p50_us": round(median, 2), "p99_us": round(percentile(samples_us, 99), 2), "over_floor": ratio}


def events_us(torch: Any, steps: Sequence[Step], repeats: int) -> list[float]:
    """Each call between two events."""
    pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for step in steps:
        step()
    torch.cuda.synchronize()
    for (start, end), step in zip(pairs, rotation(steps, repeats), strict=True):
        start.record()
        step()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) * 1000 for start, end in pairs]


def capture(torch: Any, steps: Sequence[Step]) -> Any:
    """The steps as one graph. Each has to have run before: what compiles or allocates cannot be captured."""
    for step in steps:
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for step in steps:
            step()
    return graph


def in_graph_us(torch: Any, steps: Sequence[Step], repeats: int) -> list[float]:
    """A call inside of a graph of many: without what a launch costs the host."""
    count = len(steps) * GRAPH_ROUNDS
    graph = capture(torch, rotation(steps, count))
    return [sample / count for sample in events_us(torch, [graph.replay], repeats)]


def host_us(torch: Any, steps: Sequence[Step], repeats: int) -> float:
    """What a call costs the thread that makes it, median."""
    samples = []
    for step in rotation(steps, repeats):
        torch.cuda.synchronize()
        started_s = time.perf_counter()
        step()
        samples.append((time.perf_counter() - started_s) * 1e6)
    torch.cuda.synchronize()
    return round(statistics.median(samples), 2)


def synchronisations(torch: Any, step: Step) -> int:
    """How often a call waits for the device, as far as torch knows."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def peak_bytes(torch: Any, step: Step) -> int:
    """What a call allocates beyond what there was."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def copy_bytes_per_s(torch: Any, size_bytes: int = 1 << 30) -> float:
    """What this card copies, reads and writes together: the ceiling under which the floors are computed."""
    sets = [torch.empty(size_bytes, dtype=torch.uint8, device="cuda") for _ in range(2)]
    sets[0].fill_(7)
    return 2 * size_bytes / (statistics.median(events_us(torch, [lambda: sets[1].copy_(sets[0])], 20)) * 1e-6)


def empty_node_us(torch: Any, cupy: Any) -> float:
    """What a kernel that does nothing costs inside of a graph."""
    from kernels.cuda.compile import current_stream

    empty = cupy.RawKernel('extern "C" __global__ void empty() {}', "empty")

    def launch() -> None:
        with current_stream(torch.cuda.current_device()):
            empty((1,), (32,), ())

    return round(statistics.median(in_graph_us(torch, [launch] * 20, 20)), 3)
