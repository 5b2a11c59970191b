"""A frame through all kernels gives on every backend the same block for the host, and the same picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.association import FrameBlock, read_block
from kernels.cuda.launch import Runner
from tests.kernels.chain import Chain, scene

SIZE = (90, 160)


def read(chain: Chain) -> FrameBlock:
    return read_block(chain.block.view(np.uint8))


def assert_same(ours: FrameBlock, theirs: FrameBlock) -> None:
    assert ours.rows.tobytes() == theirs.rows.tobytes()
    assert np.array_equal(ours.iou, theirs.iou)
    assert ours.codes == theirs.codes


def levels_apart(a: NDArray[Any], b: NDArray[Any]) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_frame(runner: Runner) -> None:
    given = scene("crowded", 3, SIZE, 1)
    ours, theirs = Chain(given, runner=runner), Chain(given)
    for chain in (ours, theirs):
        chain.run()
    block = read(ours)
    assert_same(block, read(theirs))
    assert len(block.rows) == 3
    assert all(block.codes)
    assert levels_apart(ours.picture.y, theirs.picture.y) <= 1
    assert levels_apart(ours.picture.uv, theirs.picture.uv) <= 1


def test_the_next_frame_into_the_same_arrays_with_fewer_objects(runner: Runner) -> None:
    """What a replayed graph does: the arrays stay, their contents and the number of objects change."""
    first, second = scene("smooth", 3, SIZE, 2), scene("edge", 3, SIZE, 3)
    ours, theirs = Chain(first, runner=runner), Chain(second)
    ours.run()
    for name in ("logits", "scores", "previous", "track_stats"):
        getattr(ours, name)[...] = getattr(second, name)
    for chain in (ours, theirs):
        chain.valid[0] = 2
        chain.run()
    assert len(read(ours).rows) == 2
    assert_same(read(ours), read(theirs))
