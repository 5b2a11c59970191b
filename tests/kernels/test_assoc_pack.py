"""`assoc_pack` gives its twin's block byte for byte, and the block reads back as what went in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.association import HEADER, ROW, block_bytes, read_block
from kernels.cuda.association import assoc_pack
from kernels.cuda.launch import Runner
from kernels.reference import association as twin

CODE_CAPACITY = 50
OPTIONAL = ("keep", "video_stats", "moments", "codes", "lengths")


def frame(objects: int, tracks: int, seed: int) -> dict[str, Any]:
    """Random arrays of one frame; some codes are empty, one is full, one was too long."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, CODE_CAPACITY + 1, objects, dtype=np.int32)
    lengths[1::5], lengths[2::7], lengths[3::11] = 0, CODE_CAPACITY, -1
    return {
        "iou": rng.random((objects, tracks), np.float32),
        "scores": rng.random(objects, np.float32),
        "stats": rng.integers(0, 288 * 288, (objects, 8), dtype=np.int32),
        "keep": rng.integers(0, 2, objects, dtype=np.uint8),
        "video_stats": rng.integers(0, 1 << 30, (objects, 8), dtype=np.int32),
        "moments": rng.integers(0, 1 << 63, (objects, 2), dtype=np.uint64),
        "codes": rng.integers(48, 112, (objects, CODE_CAPACITY), dtype=np.uint8),
        "lengths": lengths,
    }


def pack(runner: Runner, given: dict[str, Any], n: int, m: int, size: int) -> np.ndarray[Any, Any]:
    out = np.full(size, 0xA5, np.uint8)
    valid = np.array([n], np.int32), np.array([m], np.int32)
    for launch in assoc_pack(n_valid=valid[0], m_valid=valid[1], out=out.view(np.uint32), **given):
        runner.run(launch)
    return out


def check(runner: Runner, given: dict[str, Any], n: int, m: int, size: int) -> np.ndarray[Any, Any]:
    """Run and compare all bytes with the twin, those that are not in use too."""
    got = pack(runner, given, n, m, size)
    want = np.full(size, 0xA5, np.uint8)
    valid = {name: array[:n, :m] if name == "iou" else array[:n] for name, array in given.items()}
    twin.assoc_pack(out=want, **valid)
    assert np.array_equal(got, want)
    return got


def check_sizes(runner: Runner) -> None:
    """All of a frame, a part of it, and too little room for the codes, down to none."""
    given = frame(33, 40, 1)
    room = block_bytes(33, 40, int(given["lengths"].clip(0).sum()))
    for n, m in ((33, 40), (20, 7), (1, 1), (0, 5), (9, 0)):
        check(runner, given, n, m, room)
    for short in (16, 320, room - block_bytes(33, 40)):
        check(runner, given, 33, 40, room - short)


def check_races(runner: Runner) -> None:
    """Small enough for the race checker, with codes for more than one warp."""
    given = frame(70, 3, 6)
    check(runner, given, 69, 3, block_bytes(70, 3, 70 * CODE_CAPACITY))
    check(runner, given, 70, 2, block_bytes(70, 3, 90))


def test_sizes(scheduled_runner: Runner) -> None:
    check_sizes(scheduled_runner)


@pytest.mark.parametrize("objects", [0, 1, 33])
@pytest.mark.parametrize("tracks", [0, 1, 200])
def test_number_of_objects_and_tracks(runner: Runner, objects: int, tracks: int) -> None:
    check(runner, frame(objects, tracks, 2), objects, tracks, block_bytes(objects, tracks, 33 * CODE_CAPACITY))


@pytest.mark.parametrize("missing", [OPTIONAL, ("codes", "lengths"), ("keep",), ("video_stats", "moments")])
def test_parts_that_are_not_given(runner: Runner, missing: tuple[str, ...]) -> None:
    given = {name: array for name, array in frame(5, 6, 3).items() if name not in missing}
    check(runner, given, 4, 6, block_bytes(5, 6, 5 * CODE_CAPACITY))


def test_the_block_reads_back_as_what_went_in(runner: Runner) -> None:
    given = frame(12, 9, 4)
    block = read_block(check(runner, given, 12, 9, block_bytes(12, 9, 12 * CODE_CAPACITY)))
    assert np.array_equal(block.iou, given["iou"])
    assert np.array_equal(block.rows["score"], given["scores"])
    for name in ("stats", "keep", "video_stats", "moments"):
        assert np.array_equal(block.rows[name], given[name])
    want = [None if k < 0 else code[:k].tobytes() for code, k in zip(given["codes"], given["lengths"], strict=True)]
    assert block.codes == want


def test_a_code_is_whole_or_missing(runner: Runner) -> None:
    given = frame(33, 4, 5)
    used = int(given["lengths"].clip(0).sum())
    block = read_block(check(runner, given, 33, 4, block_bytes(33, 4, used // 2)))
    whole = [code for code in block.codes if code is not None]
    assert 0 < len(whole) < len(block.codes)
    for code, row, length in zip(block.codes, given["codes"], given["lengths"], strict=True):
        assert code is None or code == row[:length].tobytes()


def test_checked(checked_runner: Runner) -> None:
    check_races(checked_runner)


def test_a_block_that_is_too_small_is_refused() -> None:
    given = frame(3, 4, 7)
    out = np.zeros(block_bytes(3, 4) // 4 - 4, np.uint32)
    with pytest.raises(ValueError, match="3 objects and 4 tracks need a block of 368 bytes, not 352"):
        assoc_pack(n_valid=None, m_valid=None, out=out, **given)
    del given["lengths"]
    with pytest.raises(ValueError, match="go together"):
        assoc_pack(n_valid=None, m_valid=None, out=np.zeros(1000, np.uint32), **given)


@pytest.mark.parametrize("fill", [0, 0xA5, 0x7F])
def test_a_block_that_was_never_packed_is_refused(fill: int) -> None:
    block = np.full(block_bytes(2, 2), fill, np.uint8)
    with pytest.raises(ValueError, match="not a packed block"):
        read_block(block)


def test_the_layout_has_no_gaps() -> None:
    assert HEADER.itemsize == 32
    assert ROW.itemsize == 96
