"""What of the GPU benchmark needs no GPU: floors, loading of peers, what peers compute, the course of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from kernels import masks
from kernels.reference import cleaning
from tests.bench import gpu_kernels, gpu_peers, gpu_timing, kernel_resources
from tests.bench.kernel_floors import bytes_moved, floor_us
from tests.kernels.blobs import logits
from tests.kernels.chain import Chain, scene
from tests.kernels.runner import KIND

SIZE = (90, 160)


def test_floors_are_those_of_the_bytes() -> None:
    moved = bytes_moved(10, (720, 1280))
    assert moved["upsample_owner"] == 10 * 288 * 288 * 4 + 720 * 1280 + 10 * 720 * 160
    assert round(floor_us(moved["upsample_owner"]), 2) == 1.25
    assert round(floor_us(bytes_moved(100, (1080, 1920))["rle_coco"]), 1) == 6.0


def test_every_kernel_has_its_resources_and_fits_every_card() -> None:
    rows = kernel_resources.resource_rows()
    assert all(row["blocks_per_sm"] >= 1 and row["spill_bytes"] == 0 for row in rows)
    assert {row["sm"] for row in rows} == {75, 80, 90, 120}
    assert len({row["kernel"] for row in rows}) == 12


@pytest.mark.skipif(KIND == "cuda", reason="there is a device")
def test_without_a_device_the_benchmark_says_what_is_missing() -> None:
    with pytest.raises(gpu_kernels.NoGpu, match=r"cupy|CUDA"):
        gpu_kernels.load()


def test_peers_that_are_not_installed_are_named_with_the_reason() -> None:
    missing = gpu_peers.Peer("imagined", "iou", ("no_such_module",), lambda _: lambda: None)
    usable, absent = gpu_peers.available((*gpu_peers.PEERS, missing))
    assert "imagined" not in {peer.name for peer in usable}
    assert "no_such_module" in absent["imagined"]
    assert {"interpolate and threshold", "overlap of booleans"} <= {peer.name for peer in usable}


def on_torch(chain: Chain) -> Any:
    """As much of a chain as peers look at, as tensors."""
    clean = SimpleNamespace(logits=torch.from_numpy(chain.clean.logits))
    return SimpleNamespace(logits=torch.from_numpy(chain.logits), clean=clean, size=chain.size)


@pytest.fixture(scope="module")
def chain() -> Chain:
    made = Chain(scene("smooth", 4, SIZE, 1))
    made.run()
    return made


def peer(name: str, chain: Chain) -> Any:
    return next(peer for peer in gpu_peers.PEERS if peer.name == name).make(on_torch(chain))()


def test_the_peers_compute_what_the_kernels_compute(chain: Chain) -> None:
    large = peer("interpolate and threshold", chain)[:, 0].numpy()
    assert np.array_equal(cleaning.pack_bits(large), chain.video.bits)
    codes = [code["counts"].decode() for code in peer("pycocotools after a copy", chain)]
    assert codes == masks.rle_strings(chain.codes)
    exact, product = peer("overlap of booleans", chain), peer("overlap as a bf16 product", chain)
    assert torch.allclose(exact, product, atol=2**-7)  # the product is rounded to bfloat16


def test_filling_and_dropping_by_labels_is_the_rule_of_the_kernel() -> None:
    def label(mask: Any) -> tuple[Any, Any]:
        labels = np.stack([ndimage.label(one, np.ones((3, 3)))[0] for one in mask[:, 0].numpy()])
        sizes = np.stack([np.bincount(one.ravel())[one] for one in labels])
        return torch.from_numpy(labels[:, None]), torch.from_numpy(sizes[:, None])

    given = logits("noisy", 3, 96, 96, 5)
    ours = cleaning.clean_masks(given, None)[2]
    theirs = gpu_peers._fill_and_drop(torch.from_numpy(given)[:, None], label)[:, 0].numpy()
    assert np.array_equal(theirs, ours)


class Tensor(np.ndarray[Any, Any]):
    """An array with what the benchmark asks of a tensor."""

    def cuda(self) -> np.ndarray[Any, Any]:
        return np.asarray(self)

    def copy_(self, other: np.ndarray[Any, Any], *, non_blocking: bool = False) -> None:
        self[...] = other

    def fill_(self, value: int) -> None:
        self[...] = value


class Event:
    """Events a millisecond apart."""

    count = 0

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        Event.count += 1
        self.at = Event.count

    def elapsed_time(self, later: Event) -> float:
        return float(later.at - self.at)


class Graph:
    def replay(self) -> None:
        """Nothing was captured."""


@contextlib.contextmanager
def capturing(graph: Graph) -> Iterator[None]:
    yield


def pretended() -> Any:
    """torch as the benchmark uses it, on arrays."""
    cuda = SimpleNamespace(
        Event=Event, CUDAGraph=Graph, graph=capturing, synchronize=lambda: None, set_sync_debug_mode=lambda mode: None,
        reset_peak_memory_stats=lambda: None, memory_allocated=lambda: 5_000_000,
        max_memory_allocated=lambda: 7_500_000,
    )  # fmt: skip
    return SimpleNamespace(
        cuda=cuda, uint8=np.uint8, from_numpy=lambda array: array.view(Tensor),
        empty=lambda shape, dtype, **_: np.zeros(shape, dtype).view(Tensor),
    )  # fmt: skip


def test_a_run_gives_a_row_for_every_step_the_graph_and_the_copy() -> None:
    torch = pretended()
    sets = gpu_kernels.chains(torch, "smooth", 2, SIZE)
    assert len(sets) == gpu_kernels.SETS
    rows = gpu_kernels.kernel_rows(torch, sets, 4, 4e12, size="small", objects=2, kind="smooth")
    assert [row["kernel"] for row in rows] == [*sets[0].steps, gpu_kernels.CHAIN, "copy"]
    for row in rows:
        assert row["p50_us"] == row["p99_us"] == 1000
        assert row["synchronisations"] == 0
        assert row["peak_mb"] == 2.5
    first = rows[0]
    assert first["graph_us"] == 1000 / (gpu_timing.GRAPH_ROUNDS * len(sets))
    assert first["over_floor"] == round(1000 / floor_us(bytes_moved(2, SIZE)["clean_masks"], 4e12), 2)


def test_the_ceiling_counts_reading_and_writing() -> None:
    assert gpu_timing.copy_bytes_per_s(pretended(), 1 << 20) == 2 * (1 << 20) / 1e-3
