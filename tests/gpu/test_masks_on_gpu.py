"""`kernels.masks` on torch tensors and CuPy arrays of a GPU: as the CPU backend, without waiting, and in a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from kernels import masks
from kernels.arrays import KernelInputError
from kernels.association import block_bytes, read_block
from tests.kernels.blobs import Kind, logits

torch = pytest.importorskip("torch")
cupy = pytest.importorskip("cupy")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SIZE = (720, 1280)
CODE_BYTES = 4096


@dataclass(frozen=True)
class Library:
    """How arrays come to the GPU and back."""

    to_device: Callable[[np.ndarray[Any, Any]], Any]
    to_host: Callable[[Any], np.ndarray[Any, Any]]


LIBRARIES = {
    "torch": Library(lambda a: torch.from_numpy(a).cuda(), lambda t: t.cpu().numpy()),
    "cupy": Library(lambda a: cupy.asarray(a), lambda a: a.get()),
}


@dataclass
class Frame:
    """Everything that one frame gives, to be written over by the next."""

    cleaned: masks.CleanMasks
    order: Any
    owners: masks.OwnerMap
    overlap: Any
    keep: Any
    codes: masks.RunLengths
    block: Any


def chain(values: Any, scores: Any, n_valid: Any, out: Frame | None = None) -> Frame:
    cleaned = masks.clean_masks(values, n_valid=n_valid, out=out and out.cleaned)
    order = masks.score_order(scores, n_valid=n_valid, out=out and out.order)
    owners = masks.upsample_owner(
        cleaned.logits, cleaned.stats, order, SIZE, n_valid=n_valid, with_bits=True, out=out and out.owners
    )
    given = {"n_a": n_valid, "n_b": n_valid}
    overlap = masks.iou(
        cleaned.bits, cleaned.bits, cleaned.stats, cleaned.stats, **given, out=out.overlap if out else None
    )
    keep = masks.nms(overlap, scores, n_valid=n_valid, out=out.keep if out else None)
    codes = masks.rle_coco(
        owners.bits, owners.stats, SIZE[1], capacity=CODE_BYTES, n_valid=n_valid, out=out and out.codes
    )
    block = masks.assoc_pack(
        overlap, scores, cleaned.stats, keep=keep, video=owners, codes=codes, n_valid=n_valid, m_valid=n_valid,
        out=out.block if out else None,
    )  # fmt: skip
    return Frame(cleaned, order, owners, overlap, keep, codes, block)


def inputs(kind: Kind, capacity: int, count: int, seed: int) -> tuple[np.ndarray[Any, Any], ...]:
    scores = np.random.default_rng(seed).random(capacity, np.float32)
    return logits(kind, capacity, 288, 288, seed), scores, np.array([count], np.int32)


def used(block: np.ndarray[Any, Any], capacity: int) -> bytes:
    """The bytes of a block that mean something."""
    assert block.nbytes == block_bytes(capacity, capacity, capacity * CODE_BYTES)
    return block.view(np.uint8)[: int(block[4])].tobytes()


def same(library: Library, gpu: Frame, cpu: Frame, capacity: int, count: int) -> None:
    np.testing.assert_array_equal(library.to_host(gpu.owners.owner), cpu.owners.owner)
    pairs = [*zip(gpu.cleaned, cpu.cleaned, strict=True), *zip(gpu.owners[1:4], cpu.owners[1:4], strict=True)]
    for a, b in (*pairs, (gpu.keep, cpu.keep)):
        np.testing.assert_array_equal(library.to_host(a)[:count], b[:count])
    assert masks.rle_strings(gpu.codes, count) == masks.rle_strings(cpu.codes, count)
    assert used(library.to_host(gpu.block), capacity) == used(cpu.block, capacity)


@pytest.mark.parametrize(("capacity", "count"), [(1, 1), (16, 0), (33, 33), (16, 9)])
@pytest.mark.parametrize("kind", ["smooth", "noisy", "crowded"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_the_chain_is_that_of_the_cpu(name: str, kind: Kind, capacity: int, count: int) -> None:
    library = LIBRARIES[name]
    given = inputs(kind, capacity, count, 3)
    gpu = chain(*(library.to_device(each) for each in given))
    same(library, gpu, chain(*given), capacity, count)
    assert type(gpu.block) is type(library.to_device(given[0]))


def test_bfloat16() -> None:
    half = torch.from_numpy(logits("smooth", 3, 288, 288)).cuda().bfloat16()
    made = masks.clean_masks(half)
    wanted = masks.clean_masks(half.float().cpu().numpy())
    for a, b in zip(made, wanted, strict=True):
        np.testing.assert_array_equal(a.cpu().numpy(), b)


def test_a_second_call_waits_for_nothing_and_allocates_nothing() -> None:
    given = [torch.from_numpy(each).cuda() for each in inputs("smooth", 16, 10, 1)]
    frame = chain(*given)
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        chain(*given, out=frame)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before


def test_a_captured_graph_takes_other_logits_and_other_counts() -> None:
    library, capacity = LIBRARIES["torch"], 16
    held = [library.to_device(each) for each in inputs("smooth", capacity, 10, 1)]
    frame = chain(*held)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        chain(*held, out=frame)
    for kind, count in (("noisy", 12), ("crowded", 3), ("empty", 16)):
        given = inputs(kind, capacity, count, 7)
        for target, source in zip(held, given, strict=True):
            target.copy_(torch.from_numpy(source))
        graph.replay()
        torch.cuda.synchronize()
        same(library, frame, chain(*given), capacity, count)


def test_the_block_reads_back_on_the_host() -> None:
    given = inputs("smooth", 4, 4, 2)
    block = chain(*(torch.from_numpy(each).cuda() for each in given)).block
    read = read_block(block.cpu().numpy().view(np.uint8))
    np.testing.assert_array_equal(read.rows["score"], given[1])


def test_arrays_of_two_places_are_refused() -> None:
    values = logits("smooth", 1, 288, 288)
    before = masks.clean_masks(values).bits
    with pytest.raises(KernelInputError, match="previous is on the host"):
        masks.clean_masks(torch.from_numpy(values).cuda(), previous=before)
    with pytest.raises(KernelInputError, match="torch tensor on cpu"):
        masks.clean_masks(torch.from_numpy(values))
    with pytest.raises(KernelInputError, match="cupy"):
        masks.clean_masks(torch.from_numpy(values).cuda(), previous=cupy.asarray(before))
