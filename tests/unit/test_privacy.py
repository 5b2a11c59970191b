"""What is hidden, where, and for how long: pure parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cpu import rle
from stream.errors import BadInput
from stream.privacy import mosaic
from stream.privacy.memory import KEPT_S, Memory, head_of
from stream.privacy.mosaic import CELLS, Part
from stream.privacy.settings import Style, Target, Zone, make_privacy, target_of
from stream.types import Frame, Rle

SQUARE = ((0.1, 0.1), (0.6, 0.1), (0.6, 0.6))


def noise(width: int, height: int, seed: int = 1) -> Frame:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 256, (height, width), np.uint8)
    uv = rng.integers(0, 256, ((height + 1) // 2, (width + 1) // 2, 2), np.uint8)
    return Frame(3, 1, 9000, 9000, None, 0.0, 0.0, y, uv)


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_are_read_as_they_are_meant() -> None:
    privacy = make_privacy(["person", " person ", "person:  HEAD", "licence  plate"], [Zone(SQUARE)])
    assert privacy is not None
    assert privacy.classes == ("person", "person: HEAD", "licence plate")
    assert privacy.words == "person, person: HEAD, licence plate, 1 zone"
    assert [target_of(name) for name in privacy.classes[:2]] == [Target("person"), Target("person", head=True)]
    assert make_privacy([], []) is None


@pytest.mark.parametrize(
    ("classes", "zones"),
    [
        ([""], []), (["x" * 81], []), (["person: foot"], []), ([": head"], []),
        ([f"c{i}" for i in range(17)], []), ([], [Zone(SQUARE)] * 33),
        ([], [Zone(((0, 0), (1, 1)))]), ([], [Zone(((0, 0), (1, 1), (1.2, 0)))]),
        ([], [Zone(((0, 0), (1, 1), (float("nan"), 0)))]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(classes: list[str], zones: list[Zone]) -> None:
    with pytest.raises(BadInput):
        make_privacy(classes, zones)


# --- hiding ----------------------------------------------------------------------------------------------------------


@given(
    size=st.tuples(st.integers(2, 90), st.integers(2, 70)),
    box=st.tuples(*[st.floats(-0.4, 1.4) for _ in range(4)]),
    style=st.sampled_from(Style),
)
def test_nothing_of_a_hidden_box_is_left_and_all_else_stays(
    size: tuple[int, int], box: tuple[float, ...], style: Style
) -> None:
    """What leaves does not depend on what was hidden, beyond the means of a few cells."""
    width, height = size
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    part = mosaic.box_part((x0, y0, x1, y1), width, height)
    frame = noise(width, height)
    before = frame.y.copy(), frame.uv.copy()
    out = mosaic.hidden(frame, [part] if part else [], style)
    assert np.array_equal(frame.y, before[0])
    assert np.array_equal(frame.uv, before[1])
    assert (out.index, out.pts, out.rtp, out.width, out.height) == (3, 9000, 9000, width, height)
    inside = np.zeros((height, width), bool)
    if part is not None:
        rows, columns = part.on.shape
        inside[part.y0 : part.y0 + rows, part.x0 : part.x0 + columns] = part.on[: height - part.y0, : width - part.x0]
        values = np.unique(out.y[inside]).size
        assert style is Style.BLUR or values <= CELLS * CELLS
    truth = np.zeros_like(inside)
    truth[
        max(0, round(y0 * height)) : max(0, round(y1 * height)), max(0, round(x0 * width)) : max(0, round(x1 * width))
    ] = True
    assert inside[truth].all()
    assert np.array_equal(out.y[~inside], frame.y[~inside])


def test_a_mask_is_grown_by_its_margin_on_every_side() -> None:
    on = np.zeros((60, 80), np.uint8)
    on[20:40, 30:50] = 1
    part = mosaic.mask_part(Rle((60, 80), rle(on)), 160, 120)
    assert part is not None
    whole = np.zeros((122, 162), np.uint8)
    whole[part.y0 : part.y0 + part.on.shape[0], part.x0 : part.x0 + part.on.shape[1]] = part.on
    assert whole[60, 60 - 8 : 100 + 8].all()
    assert whole[40 - 8 : 80 + 8, 80].all()
    assert not whole[60, : 60 - 12].any()
    assert mosaic.mask_part(Rle((60, 80), rle(np.zeros((60, 80), np.uint8))), 160, 120) is None


def test_where_parts_overlap_the_coarser_one_counts() -> None:
    small, large = mosaic.box_part((0.4, 0.4, 0.5, 0.5), 320, 240), mosaic.whole_part(320, 240)
    assert small is not None
    frame = noise(320, 240)
    both = mosaic.hidden(frame, [large, small], Style.PIXELATE)
    assert np.array_equal(both.y, mosaic.hidden(frame, [large], Style.PIXELATE).y)


def test_a_polygon_hides_its_inside_and_its_border() -> None:
    part = mosaic.zone_part(((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)), 200, 200)
    assert isinstance(part, Part)
    whole = np.zeros((200, 200), np.uint8)
    whole[part.y0 : part.y0 + part.on.shape[0], part.x0 : part.x0 + part.on.shape[1]] = part.on
    assert whole[50:140, 100].all()
    assert whole[46, 60:140].all()
    assert not whole[190, 10]


@pytest.mark.parametrize("style", Style)
def test_odd_sizes_are_hidden_to_the_last_pixel(style: Style) -> None:
    frame = noise(33, 21)
    out = mosaic.hidden(frame, [mosaic.whole_part(33, 21)], style)
    other = mosaic.hidden(noise(33, 21, seed=2), [mosaic.whole_part(33, 21)], style)
    assert np.abs(out.y.astype(int) - other.y).max() < 90  # means of noise, none of its values
    assert np.abs(out.uv[-1].astype(int) - 128).max() < 70


# --- memory ----------------------------------------------------------------------------------------------------------


def test_what_is_lost_stays_hidden_for_a_second_and_where_it_was_going() -> None:
    memory = Memory()
    for step in range(6):
        x = 0.1 + 0.02 * step
        assert memory.unseen([(x, 0.2, x + 0.1, 0.5)], step / 30) == []
    (place,) = memory.unseen([], 5 / 30 + 0.2)
    assert place[0] < 0.2
    assert place[2] > 0.3 + 0.02 * 6
    assert len(memory.unseen([], 5 / 30 + KEPT_S - 0.01)) == 1
    assert memory.unseen([], 5 / 30 + KEPT_S + 0.01) == []


def test_one_that_is_seen_leaves_no_trail_and_another_one_does_not_stand_for_it() -> None:
    memory = Memory()
    memory.unseen([(0.1, 0.1, 0.2, 0.3), (0.7, 0.1, 0.8, 0.3)], 0.0)
    assert memory.unseen([(0.12, 0.1, 0.22, 0.3), (0.7, 0.1, 0.8, 0.3)], 0.03) == []
    (place,) = memory.unseen([(0.14, 0.1, 0.24, 0.3)], 0.06)
    assert place[0] > 0.6


@given(st.lists(st.lists(st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)), max_size=6), max_size=30))
def test_whatever_comes_memory_is_bounded_and_within_the_picture(frames: list[list[tuple[float, float]]]) -> None:
    memory = Memory()
    for number, spots in enumerate(frames):
        for place in memory.unseen([(x, y, x + 0.1, y + 0.1) for x, y in spots], number / 10):
            assert all(0 <= value <= 1 for value in place)
            assert place[0] <= place[2]
            assert place[1] <= place[3]


def test_the_masks_of_tracks_are_kept_for_a_second_too() -> None:
    memory, one, two = Memory(), Rle((2, 2), "04"), Rle((2, 2), "13")
    assert memory.masks({1: one, 2: two}, 0.0) == [one, two]
    assert memory.masks({2: two}, 0.5) == [one, two]
    assert memory.masks({}, 1.2) == [two]
    assert memory.masks({}, 3.0) == []


def test_a_head_is_the_upper_part_of_one_who_stands() -> None:
    top = head_of((0.4, 0.1, 0.5, 0.7), 4 / 3)
    assert top[:3] == (0.4, 0.1, 0.5)
    assert 0.3 < top[3] < 0.4
    assert head_of((0.1, 0.5, 0.7, 0.6), 4 / 3) == (0.1, 0.5, 0.7, 0.6)
    cut = head_of((0.3, 0.4, 0.6, 1.0), 4 / 3)
    assert cut[3] > 0.85
