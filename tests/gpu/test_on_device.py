"""The kernels on a real device: through torch and CuPy, on streams, in a graph, without waiting or allocating."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from kernels import masks
from kernels.association import FrameBlock, read_block
from kernels.reference.cleaning import float32_to_bfloat16
from tests.kernels.blobs import KINDS, Kind
from tests.kernels.chain import Chain, Scene, scene

SIZE = (720, 1280)


def on_host(array: Any) -> np.ndarray[Any, Any]:
    return array.get() if hasattr(array, "get") else array.cpu().numpy()


def block_of(chain: Chain) -> FrameBlock:
    block = chain.block if isinstance(chain.block, np.ndarray) else on_host(chain.block)
    return read_block(block.view(np.uint8))


def assert_same(ours: Chain, theirs: Chain) -> None:
    """The block, byte for byte as far as it is in use, and the picture to one level."""
    a, b = block_of(ours), block_of(theirs)
    assert a.rows.tobytes() == b.rows.tobytes()
    assert np.array_equal(a.iou, b.iou)
    assert a.codes == b.codes
    for plane, other in ((ours.picture.y, theirs.picture.y), (ours.picture.uv, theirs.picture.uv)):
        assert np.abs(on_host(plane).astype(int) - other.astype(int)).max() <= 1


def put_with(torch: Any) -> Any:
    return lambda array: torch.from_numpy(array).cuda()


def cpu(given: Scene) -> Chain:
    chain = Chain(given)
    chain.run()
    return chain


@pytest.mark.parametrize("kind", KINDS)
def test_torch_tensors_give_what_the_cpu_gives(torch: Any, kind: Kind) -> None:
    given = scene(kind, 33, SIZE, 1)
    ours = Chain(given, put_with(torch))
    ours.run()
    assert_same(ours, cpu(given))


def test_cupy_arrays_give_what_the_cpu_gives(torch: Any) -> None:
    given = scene("smooth", 5, SIZE, 2)
    ours = Chain(given, importlib.import_module("cupy").asarray)
    ours.run()
    assert_same(ours, cpu(given))


def test_bfloat16(torch: Any) -> None:
    given = scene("noisy", 5, SIZE, 3)
    ours = Chain(given, put_with(torch), put_logits=lambda array: torch.from_numpy(array).cuda().to(torch.bfloat16))
    theirs = Chain(given, put_logits=float32_to_bfloat16)
    for chain in (ours, theirs):
        chain.run()
    assert_same(ours, theirs)


def test_one_hundred_objects_at_1080p(torch: Any) -> None:
    given = scene("crowded", 100, (1080, 1920), 4)
    ours = Chain(given, put_with(torch))
    ours.run()
    assert_same(ours, cpu(given))


def test_work_goes_to_the_current_stream_of_torch(torch: Any) -> None:
    """The inputs come late on the same stream: kernels on another one would not wait for them."""
    given = scene("smooth", 10, SIZE, 5)
    ours = Chain(given, put_with(torch))
    ours.run()
    late = ours.logits.clone()
    ours.logits.zero_()
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(50_000_000)
        ours.logits.copy_(late)
        ours.run()
    torch.cuda.synchronize()
    assert_same(ours, cpu(given))


def test_a_graph_is_replayed_with_other_contents_and_fewer_objects(torch: Any) -> None:
    first, second = scene("smooth", 16, SIZE, 6), scene("crowded", 16, SIZE, 7)
    ours = Chain(first, put_with(torch))
    ours.run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ours.run()
    theirs = Chain(second)
    for name in ("logits", "scores", "previous", "track_stats", "palette"):
        getattr(ours, name).copy_(torch.from_numpy(getattr(second, name)))
    for plane, other in ((ours.frame.y, second.frame.y), (ours.frame.uv, second.frame.uv)):
        plane.copy_(torch.from_numpy(other))
    for count in (16, 7, 0, 1):
        ours.valid.fill_(count)
        theirs.valid[0] = count
        graph.replay()
        torch.cuda.synchronize()
        theirs.run()
        assert_same(ours, theirs)


def test_a_frame_neither_waits_nor_allocates(torch: Any) -> None:
    ours = Chain(scene("smooth", 10, SIZE, 8), put_with(torch))
    ours.run()
    torch.cuda.synchronize()
    allocations = torch.cuda.memory_stats()["allocation.all.allocated"]
    torch.cuda.set_sync_debug_mode("error")
    try:
        ours.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == allocations


def test_one_copy_brings_a_frame_to_the_host(torch: Any) -> None:
    given = scene("smooth", 10, SIZE, 9)
    ours = Chain(given, put_with(torch))
    pinned = None
    for _ in range(2):
        ours.run()
        pinned = torch.empty(ours.block.shape, dtype=ours.block.dtype, pin_memory=True) if pinned is None else pinned
        pinned.copy_(ours.block, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        done.synchronize()
    block, theirs = read_block(pinned.numpy().view(np.uint8)), block_of(cpu(given))
    assert block.rows.tobytes() == theirs.rows.tobytes()
    assert block.codes == theirs.codes


def test_an_array_on_the_host_beside_one_on_the_device_is_refused(torch: Any) -> None:
    given = scene("smooth", 2, SIZE, 10)
    with pytest.raises(masks.KernelInputError):
        masks.clean_masks(torch.from_numpy(given.logits).cuda(), previous=given.previous)
