"""The CUDA kernels on a GPU: each one, all as one graph, and the usual ways beside them in the same run.

    python -m tests.bench.gpu_kernels [--objects 1 10 50 100] [--repeats 200] [--json FILE]

First what the card copies and what an empty node of a graph costs. Then, for objects of three kinds at two sizes, with
four sets of inputs in turn: median and 99th percentile between events, the time inside of a graph, host time of a call,
synchronisations, peak memory, and the ratio to the floor, which is bytes over the measured copy. `p50_us` is between
events around one call, so it holds the host's launch where that is slower than the kernel.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import gpu_timing as timing
from tests.bench.gpu_peers import PEERS, Peer, available
from tests.bench.kernel_floors import bytes_moved, floor_us
from tests.bench.report import table, write
from tests.kernels.blobs import Kind
from tests.kernels.chain import Chain, scene

SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
KINDS: tuple[Kind, ...] = ("smooth", "noisy", "crowded")
SETS = 4
CHAIN = "all as one graph"
PEER_MOST_OBJECTS = 50
"""Above, overlap of booleans alone takes gigabytes."""


class NoGpu(SystemExit):
    """There is nothing to measure here."""


def load() -> tuple[Any, Any]:
    """torch and CuPy with a device; `NoGpu` says what is missing."""
    try:
        torch, cupy = importlib.import_module("torch"), importlib.import_module("cupy")
    except ImportError as error:
        raise NoGpu(f"{error}: pip install -e '.[gpu]'") from error
    if not torch.cuda.is_available():
        raise NoGpu("torch finds no CUDA device: this benchmark needs an NVIDIA GPU.")
    return torch, cupy


def card(torch: Any, cupy: Any) -> dict[str, Any]:
    """The card, and its two ceilings."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "card": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "torch": torch.__version__,
        "cupy": cupy.__version__,
        "copy_gb_per_s": round(timing.copy_bytes_per_s(torch) / 1e9, 1),
        "empty_node_us": timing.empty_node_us(torch, cupy),
    }


def chains(torch: Any, kind: Kind, objects: int, size: tuple[int, int]) -> list[Chain]:
    """Sets of inputs and outputs on the device, each run once."""

    def put(array: Any) -> Any:
        return torch.from_numpy(array).cuda()

    made = [Chain(scene(kind, objects, size, seed), put) for seed in range(SETS)]
    for chain in made:
        chain.run()
    torch.cuda.synchronize()
    return made


def measured(torch: Any, steps: Sequence[timing.Step], repeats: int, floor: float | None, **row: Any) -> dict[str, Any]:
    """One row of the result."""
    return {
        **row,
        **timing.summary(timing.events_us(torch, steps, repeats), floor),
        "host_us": timing.host_us(torch, steps, min(repeats, 50)),
        "synchronisations": timing.synchronisations(torch, steps[0]),
        "peak_mb": round(timing.peak_bytes(torch, steps[0]) / 1e6, 2),
        "floor_us": None if floor is None else round(floor, 2),
    }


def kernel_rows(torch: Any, sets: list[Chain], repeats: int, bytes_per_s: float, **row: Any) -> list[dict[str, Any]]:
    """Every step alone, then the whole as one graph, then the one copy to the host."""
    moved = bytes_moved(row["objects"], sets[0].size)
    rows = []
    for name in sets[0].steps:
        steps = [chain.steps[name] for chain in sets]
        floor = floor_us(moved[name], bytes_per_s) if name in moved else None
        one = measured(torch, steps, repeats, floor, kernel=name, by="onlooker", **row)
        rows.append({**one, "graph_us": round(statistics.median(timing.in_graph_us(torch, steps, 20)), 2)})
    graphs = [timing.capture(torch, [chain.run]) for chain in sets]
    total = floor_us(sum(moved[name] for name in sets[0].steps if name in moved), bytes_per_s)
    replays = [graph.replay for graph in graphs]
    rows.append(measured(torch, replays, repeats, total, kernel=CHAIN, by="onlooker", **row))
    rows.append(
        measured(torch, [_to_host(torch, chain) for chain in sets], repeats, None, kernel="copy", by="onlooker", **row)
    )
    return rows


def _to_host(torch: Any, chain: Chain) -> Callable[[], object]:
    pinned = torch.empty(chain.block.shape, dtype=chain.block.dtype, pin_memory=True)
    return lambda: pinned.copy_(chain.block, non_blocking=True)


def peer_rows(torch: Any, peers: list[Peer], sets: list[Chain], repeats: int, **row: Any) -> list[dict[str, Any]]:
    """The usual ways with the same inputs."""
    return [
        measured(torch, [peer.make(chain) for chain in sets], repeats, None, kernel=peer.step, by=peer.name, **row)
        for peer in peers
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--json", type=Path, help="where to write the result")
    options = parser.parse_args()
    torch, cupy = load()
    peers, absent = available(PEERS)
    about = card(torch, cupy)
    table("Card", [about])
    table("Not compared", [{"peer": name, "why": why} for name, why in absent.items()])
    rows = [{**about, "not_compared": absent}]
    for name, size in SIZES.items():
        for objects in options.objects:
            for kind in KINDS:
                sets, row = chains(torch, kind, objects, size), {"size": name, "objects": objects, "kind": kind}
                found = kernel_rows(torch, sets, options.repeats, about["copy_gb_per_s"] * 1e9, **row)
                if objects <= PEER_MOST_OBJECTS:
                    found += peer_rows(torch, peers, sets, max(options.repeats // 10, 5), **row)
                table(f"{name}, {objects} objects, {kind}", found)
                rows += found
    print(f"\n{write('gpu-kernels', rows, options.json)}")


if __name__ == "__main__":
    main()
