"""The CPU backend gives what the NumPy twins give, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from kernels import masks
from kernels.association import block_bytes, read_block
from kernels.cpu.upsample import taps
from kernels.reference import association, cleaning, overlap, runlength, upsampling
from tests.kernels.blobs import KINDS, Kind, logits

SIZES = ((1, 1), (1, 40), (37, 1), (33, 65), (64, 64), (95, 31))
SMALL_LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 18), st.integers(1, 40)),
    elements=st.sampled_from([-2.0, -0.3, -0.0, 0.0, 1e-40, 0.3, 2.0]),
)


def poisoned(made: Any) -> Any:
    """Arrays of the same kind, full of what no kernel writes."""
    return type(made)(*(None if a is None else np.full_like(a, 113) for a in made))


def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> None:
    assert a is not None
    assert b is not None
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_clean_masks(kind: Kind, size: tuple[int, int]) -> None:
    given_logits = logits(kind, 3, *size, seed=4)
    previous = masks.clean_masks(logits("smooth", 3, *size, seed=5)).bits
    for before, hysteresis in ((None, 0.0), (previous, 0.7)):
        made = masks.clean_masks(given_logits, previous=before, hysteresis=hysteresis, delta=0.5)
        wanted = cleaning.clean_masks(given_logits, before, hysteresis=hysteresis, delta=0.5)
        for a, b in zip(made, wanted, strict=True):
            same(a, b)


@given(SMALL_LOGITS, st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.0, 0.3, 1.0]), st.data())
def test_clean_masks_of_anything(
    given_logits: NDArray[np.float32], max_hole: int, max_speck: int, hysteresis: float, data: st.DataObject
) -> None:
    was_on = data.draw(hnp.arrays(np.bool_, given_logits.shape))
    limits = {"max_hole": max_hole, "max_speck": max_speck}
    previous = cleaning.pack_bits(was_on)
    made = masks.clean_masks(given_logits, previous=previous, hysteresis=hysteresis, **limits)
    wanted = cleaning.clean_masks(given_logits, previous, hysteresis=hysteresis, **limits)
    for a, b in zip(made, wanted, strict=True):
        same(a, b)


@pytest.mark.parametrize(("count", "side"), [(33, 64), (3, 288)])
def test_clean_masks_of_many_and_at_the_size_of_sam(count: int, side: int) -> None:
    given_logits = logits("noisy", count, side, side, seed=1)
    for a, b in zip(masks.clean_masks(given_logits), cleaning.clean_masks(given_logits, None), strict=True):
        same(a, b)


def test_clean_masks_may_overwrite_the_masks_before() -> None:
    given_logits = logits("noisy", 4, 40, 50)
    before = masks.clean_masks(logits("crowded", 4, 40, 50))
    wanted = cleaning.clean_masks(given_logits, before.bits, hysteresis=0.5)
    made = masks.clean_masks(given_logits, previous=before.bits, hysteresis=0.5, out=before)
    assert made.bits is before.bits
    for a, b in zip(made, wanted, strict=True):
        same(a, b)


def test_clean_masks_takes_the_bits_of_bfloat16() -> None:
    half = cleaning.float32_to_bfloat16(logits("noisy", 3, 48, 70))
    wanted = cleaning.clean_masks(cleaning.bfloat16_to_float32(half), None)
    for a, b in zip(masks.clean_masks(half), wanted, strict=True):
        same(a, b)


def test_clean_masks_writes_what_is_valid_and_nothing_else() -> None:
    given_logits = logits("smooth", 5, 30, 40)
    out = poisoned(masks.clean_masks(given_logits))
    made = masks.clean_masks(given_logits, n_valid=np.array([3], np.int32), out=out)
    for ours, kept, wanted in zip(made, out, cleaning.clean_masks(given_logits, None), strict=True):
        assert ours is kept
        same(ours[:3], wanted[:3])
        assert (ours[3:] == 113).all()
    assert masks.clean_masks(given_logits, with_logits=False).logits is None


UPSAMPLED = (((1, 1), (7, 9)), ((24, 24), (60, 100)), ((40, 30), (95, 77)), ((33, 65), (33, 65)), ((50, 70), (31, 33)))


@given(st.integers(1, 400), st.integers(1, 4000))
def test_pixels_lie_where_the_twin_has_them(low: int, high: int) -> None:
    ours = taps(low, high)
    for a, b in zip((ours.first, ours.second, ours.far), upsampling.taps(high, low), strict=True):
        same(a, b)


def upsampled_as_the_twin(values: NDArray[np.float32], order: NDArray[np.int32], size: tuple[int, int]) -> None:
    cleaned = masks.clean_masks(values)
    assert cleaned.logits is not None
    made = masks.upsample_owner(cleaned.logits, cleaned.stats, order, size, with_bits=True)
    owner, *rest = upsampling.upsample_owner(cleaned.logits, order, *size)
    assert made.workspace is None
    same(made.owner, owner.astype(np.uint8))
    for a, b in zip(made[1:4], rest, strict=True):
        same(a, b)


@pytest.mark.parametrize(("low", "size"), UPSAMPLED, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_upsample_owner(kind: Kind, low: tuple[int, int], size: tuple[int, int]) -> None:
    order = np.random.default_rng(3).permutation(5).astype(np.int32)
    upsampled_as_the_twin(logits(kind, 5, *low, seed=2), order, size)


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (1079, 1917)], ids=str)
def test_upsample_owner_at_the_sizes_of_video(size: tuple[int, int]) -> None:
    upsampled_as_the_twin(logits("noisy", 2, 288, 288, seed=6), np.arange(2, dtype=np.int32), size)


@given(SMALL_LOGITS, st.tuples(st.integers(1, 60), st.integers(1, 90)), st.randoms(use_true_random=False))
def test_upsample_owner_of_anything(values: NDArray[np.float32], size: tuple[int, int], random: Any) -> None:
    order = list(range(len(values)))
    random.shuffle(order)
    cleaned = masks.clean_masks(values, max_hole=0, max_speck=0)
    made = masks.upsample_owner(values, cleaned.stats, np.array(order, np.int32), size, with_bits=True)
    owner, *rest = upsampling.upsample_owner(values, np.array(order, np.int32), *size)
    same(made.owner, owner.astype(np.uint8))
    for a, b in zip(made[1:4], rest, strict=True):
        same(a, b)


def test_upsample_owner_with_groups_and_what_is_valid() -> None:
    cleaned = masks.clean_masks(logits("crowded", 6, 36, 48))
    assert cleaned.logits is not None
    size, group = (70, 90), np.array([0, 2, 1, -1, 0, 1], np.int32)
    order = np.array([3, 1, 0, 2, 5, 4], np.int32)
    arguments = (cleaned.logits, cleaned.stats, order, size)
    out = poisoned(masks.upsample_owner(*arguments, group=group, groups=3, with_bits=True))
    n_valid = np.array([4], np.int32)
    made = masks.upsample_owner(*arguments, group=group, groups=3, n_valid=n_valid, with_bits=True, out=out)
    owner, *rest = upsampling.upsample_owner(cleaned.logits[:4], order[:4], *size, group, 3)
    same(made.owner, owner.astype(np.uint8))
    assert made.owner is out.owner
    for a, b in zip(made[1:4], rest, strict=True):
        same(a[:4], b)
        assert (a[4:] == 113).all()
    assert masks.upsample_owner(*arguments).bits is None


def test_owners_above_255_take_two_bytes() -> None:
    values = np.full((300, 4, 5), -1, np.float32)
    values[256] = 1
    order = np.arange(300, dtype=np.int32)
    made = masks.upsample_owner(values, masks.clean_masks(values).stats, order, (8, 9))
    same(made.owner, np.full((1, 8, 9), 257, np.uint16))


@pytest.mark.parametrize(("n", "m"), [(0, 3), (1, 1), (3, 0), (5, 33)])
@pytest.mark.parametrize("kind", ["noisy", "crowded", "empty", "full", "edge"])
def test_iou(kind: Kind, n: int, m: int) -> None:
    a = masks.clean_masks(logits(kind, n, 50, 70, seed=1))
    b = masks.clean_masks(logits("smooth", m, 50, 70, seed=2))
    same(masks.iou(a.bits, b.bits, a.stats, b.stats), overlap.iou_bits(a.bits, b.bits))
    same(masks.iou(a.bits, a.bits, a.stats, a.stats), overlap.iou_bits(a.bits, a.bits))


def test_iou_of_what_is_valid() -> None:
    a = masks.clean_masks(logits("crowded", 4, 20, 33))
    out = np.full((4, 4), 113, np.float32)
    n_a, n_b = np.array([2], np.int32), np.array([3], np.int32)
    masks.iou(a.bits, a.bits, a.stats, a.stats, n_a=n_a, n_b=n_b, out=out)
    wanted = np.full((4, 4), 113, np.float32)
    wanted[:2, :3] = overlap.iou_bits(a.bits[:2], a.bits[:3])
    same(out, wanted)


SCORES = st.lists(st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, float("nan"), float("inf")]), max_size=40)


@given(SCORES, st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 2**32 - 1))
def test_order_and_suppression(values: list[float], threshold: float, seed: int) -> None:
    scores = np.array(values, np.float32)
    share = np.random.default_rng(seed).choice(np.array([0, 0.1, 0.3, 0.9], np.float32), (len(scores), len(scores)))
    same(masks.score_order(scores), overlap.score_order(scores))
    same(masks.nms(share, scores, threshold=threshold), overlap.nms(share, scores, threshold))


def test_order_and_suppression_of_what_is_valid() -> None:
    scores, share = np.array([0.1, 0.9, 0.5, 2, 3], np.float32), np.full((5, 5), 0.9, np.float32)
    n_valid = np.array([3], np.int32)
    order = masks.score_order(scores, n_valid=n_valid, out=np.full(5, 113, np.int32))
    same(order, np.array([1, 2, 0, 113, 113], np.int32))
    keep = masks.nms(share, scores, n_valid=n_valid, out=np.full(5, 113, np.uint8))
    same(keep, np.array([0, 1, 0, 113, 113], np.uint8))


@pytest.mark.parametrize("size", [*SIZES, (540, 957)], ids=str)
@pytest.mark.parametrize("kind", ["random", "smooth", "empty", "full", "edge"])
def test_rle_coco(kind: Kind, size: tuple[int, int]) -> None:
    on = logits(kind, 2, *size, seed=8) > 0
    stats = upsampling.measure(on)
    codes = masks.rle_strings(masks.rle_coco(cleaning.pack_bits(on), stats, size[1], capacity=2**21))
    assert codes == [runlength.rle_coco(mask).decode() for mask in on]


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 70))), st.integers(1, 60))
def test_a_code_is_whole_or_said_not_to_fit(on: NDArray[np.bool_], capacity: int) -> None:
    out = poisoned(masks.rle_coco(cleaning.pack_bits(on), upsampling.measure(on), on.shape[2], capacity=capacity))
    made = masks.rle_coco(cleaning.pack_bits(on), upsampling.measure(on), on.shape[2], capacity=capacity, out=out)
    wanted = [runlength.rle_coco(mask).decode() for mask in on]
    assert masks.rle_strings(made) == [text if len(text) <= capacity else None for text in wanted]
    assert made.length.tolist() == [len(text) if len(text) <= capacity else -1 for text in wanted]


def test_codes_of_what_is_valid() -> None:
    on = logits("smooth", 3, 20, 40) > 0
    bits, stats, n_valid = cleaning.pack_bits(on), upsampling.measure(on), np.array([2], np.int32)
    out = poisoned(masks.rle_coco(bits, stats, 40))
    made = masks.rle_coco(bits, stats, 40, n_valid=n_valid, out=out)
    assert made.length[2] == 113
    assert (made.data[2] == 113).all()
    assert masks.rle_strings(made, 2) == [runlength.rle_coco(mask).decode() for mask in on[:2]]


@pytest.mark.parametrize("n", [0, 1, 33])
def test_the_whole_chain(n: int) -> None:
    cleaned = masks.clean_masks(logits("smooth", n, 64, 80))
    order = masks.score_order(np.linspace(0, 1, n, dtype=np.float32))
    made = masks.upsample_owner(cleaned.logits, cleaned.stats, order, (90, 120), with_bits=True)
    assert made.owner.shape == (1, 90, 120)
    assert made.owner.any() == bool(n)
    assert masks.iou(cleaned.bits, cleaned.bits, cleaned.stats, cleaned.stats).shape == (n, n)
    assert len(masks.rle_strings(masks.rle_coco(made.bits, made.stats, 120))) == n


@pytest.mark.parametrize(("n", "m", "valid", "tracks"), [(0, 4, 0, 4), (1, 0, 1, 0), (33, 9, 33, 9), (6, 5, 4, 2)])
@pytest.mark.parametrize("room", [0, 40, 10_000])
def test_assoc_pack(n: int, m: int, valid: int, tracks: int, room: int) -> None:
    random = np.random.default_rng(n)
    made = masks.clean_masks(logits("smooth", n, 40, 60))
    owners = masks.upsample_owner(made.logits, made.stats, np.arange(n, dtype=np.int32), (50, 80), with_bits=True)
    codes = masks.rle_coco(owners.bits, owners.stats, 80, capacity=60)
    share, scores = random.random((n, m), np.float32), random.random(n, np.float32)
    keep = random.integers(0, 2, n, np.uint8)
    capacity = block_bytes(n, m, room)
    out = np.full(capacity // 4, 0x71717171, np.uint32)
    block = masks.assoc_pack(
        share, scores, made.stats, keep=keep, video=owners, codes=codes, capacity=capacity, out=out,
        n_valid=np.array([valid], np.int32), m_valid=np.array([tracks], np.int32),
    )  # fmt: skip
    wanted = np.full(capacity, 0x71, np.uint8)
    association.assoc_pack(
        share[:valid, :tracks], scores[:valid], made.stats[:valid], wanted, keep=keep[:valid],
        video_stats=owners.stats[:valid], moments=owners.moments[:valid], codes=codes.data[:valid],
        lengths=codes.length[:valid],
    )  # fmt: skip
    assert block is out
    same(block.view(np.uint8), wanted)
    if room == 10_000:
        read = [code and code.decode() for code in read_block(block.view(np.uint8)).codes]
        assert read == masks.rle_strings(codes, valid)


def test_assoc_pack_of_the_least_and_with_room_for_all() -> None:
    share, scores, stats = np.full((2, 3), 0.5, np.float32), np.ones(2, np.float32), np.ones((2, 8), np.int32)
    block = masks.assoc_pack(share, scores, stats)
    wanted = np.zeros(block.nbytes, np.uint8)
    association.assoc_pack(share, scores, stats, wanted)
    used = 32 + 2 * 96 + 2 * 3 * 4
    same(block.view(np.uint8)[:used], wanted[:used])
    codes = masks.rle_coco(np.zeros((2, 4, 1), np.uint32), np.zeros((2, 8), np.int32), 32, capacity=100)
    packed = read_block(masks.assoc_pack(share, scores, stats, codes=codes).view(np.uint8))
    assert [code.decode() for code in packed.codes if code] == masks.rle_strings(codes)
