"""What another object covers stays a part of a mask, faintly."""

import numpy as np
import pytest

from stream.engines.grid import ON, Patch
from stream.engines.light.hiding import FAINT, SURE, seen_part, with_hidden
from tests.unit.light_world import BLUE, RED, Player, World, overlap


def patch(x0: int, y0: int, x1: int, y1: int) -> Patch:
    return Patch(x0, y0, np.full((y1 - y0, x1 - x0), 255, np.uint8))


BEFORE, LEFT, COVER = patch(10, 10, 50, 50), patch(10, 10, 30, 50), patch(30, 0, 70, 60)


def test_what_is_covered_stays_faint_and_what_is_seen_sure() -> None:
    both = with_hidden(LEFT, BEFORE, [COVER], 2000)
    assert both.box() == BEFORE.box()
    assert both.cut((40, 20, 41, 21)).item() == FAINT
    assert both.cut((15, 20, 16, 21)).item() == 255
    assert ON <= FAINT < SURE


def test_between_two_masks_that_do_not_quite_meet_nothing_is_missing() -> None:
    both = with_hidden(patch(10, 10, 28, 50), BEFORE, [COVER], 2000)
    assert (both.cut((10, 10, 50, 50)) >= ON).all()


@pytest.mark.parametrize(
    ("others", "most"),
    [
        pytest.param([], 2000, id="nothing covers it"),
        pytest.param([patch(52, 0, 70, 60)], 2000, id="what is beside it covers nothing"),
        pytest.param([COVER], 1000, id="it would be larger than the object"),
    ],
)
def test_a_mask_that_shrank_for_another_reason_is_as_it_is_seen(others: list[Patch], most: float) -> None:
    assert with_hidden(LEFT, BEFORE, others, most) is LEFT


def test_what_was_not_part_of_it_is_not_kept() -> None:
    both = with_hidden(LEFT, LEFT, [COVER], 2000)
    assert both.area() == LEFT.area()


def test_the_faint_part_is_no_part_of_what_is_seen_while_it_is_covered() -> None:
    low = np.array([[255, FAINT, FAINT]], np.uint8)
    assert seen_part(low, np.array([[1, 1, 0]], np.uint8)).tolist() == [[255, 0, FAINT]]


def test_an_object_comes_out_from_behind_another_at_once() -> None:
    """Answers come ten pictures late, in which the other one moves by 30 of the object's 40 pixels."""
    world = World(things={"cup": (RED, (140, 100)), "person": (BLUE, (60, 100))})
    player = Player(world, latency=10)
    player.box(1, "cup")
    player.box(2, "person")
    player.step(30)
    cup = next(t.id for t in player.tracks.values() if t.prompt_id == 1)
    player.step(17, person=(3, 0))
    player.step(20)
    shares = []
    for _ in range(10):
        tracks = player.step(1, person=(-3, 0))
        shares.append(overlap(tracks[cup].mask, world, "cup"))
    assert overlap(player.tracks[cup].mask, world, "cup") > 0.9, shares
