"""What is done to SAM's masks and prompts without SAM."""

from __future__ import annotations

import numpy as np

from stream.engines.light.appearance import Memory, histogram, look_at
from stream.engines.light.samprompts import missing_place, strange_islands


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red thing seen in two pieces, and a green piece; the mask has all three."""
    image = np.full((80, 80, 3), 128, np.uint8)
    on = np.zeros((80, 80), np.uint8)
    for rows, colour in ((slice(40, 70), (20, 20, 220)), (slice(25, 35), (20, 20, 220)), (slice(5, 15), (20, 220, 20))):
        image[rows, 30:50] = colour
        on[rows, 30:50] = 1
    return image, on


def test_an_island_of_other_colours_is_strange_and_one_of_the_same_is_not() -> None:
    image, on = scene()
    red = histogram(image[40:70, 30:50])
    strange = strange_islands(on, image, [red], 0.5)
    assert strange[5:15, 30:50].all()
    assert strange.sum() == 200


def test_the_largest_part_is_never_strange() -> None:
    image, on = scene()
    blue = histogram(np.full((4, 4, 3), (220, 20, 20), np.uint8))
    strange = strange_islands(on, image, [blue], 0.5)
    assert not strange[40:70].any()
    assert strange.sum() == 400


def test_a_mask_in_one_piece_has_no_islands() -> None:
    image, on = scene()
    on[:40] = 0
    assert not strange_islands(on, image, [histogram(image)], 0.99).any()


def covered() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red thing with a blue one across its middle; the mask of its upper part, and the blue one's."""
    image = np.full((80, 80, 3), 128, np.uint8)
    image[10:70, 30:50] = (20, 20, 220)
    image[30:50, 10:70] = (220, 20, 20)
    upper, across = np.zeros((2, 80, 80), np.uint8)
    upper[10:30, 30:50] = 1
    across[30:50, 10:70] = 1
    return image, upper, across


def test_the_part_beyond_what_covers_the_middle_is_found_by_its_colours() -> None:
    image, upper, across = covered()
    memory = Memory.of(look_at(image, upper))
    box = (120.0, 40.0, 200.0, 280.0)
    place = missing_place(image, memory, box, upper | across, 50)
    assert place is not None
    assert 120 < place[0] < 200
    assert 200 < place[1] < 280


def test_nothing_is_missing_where_the_colours_are_another_s_or_outside_of_the_box() -> None:
    image, upper, across = covered()
    memory = Memory.of(look_at(image, upper))
    assert missing_place(image, memory, (120.0, 40.0, 200.0, 200.0), upper | across, 50) is None
    image[50:70] = 128
    assert missing_place(image, memory, (120.0, 40.0, 200.0, 280.0), upper | across, 50) is None
