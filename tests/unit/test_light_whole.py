"""The whole of an object out of a part of it, by what moves along: which mask is taken, and when it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from stream.engines.flow import Flow, FlowHistory
from stream.engines.grid import Grid, Patch, patch_iou, shrink
from stream.engines.light import planner
from stream.engines.light.appearance import Memory, look_at
from stream.engines.light.crops import Crop
from stream.engines.light.motion import off_background
from stream.engines.light.sam import Sam
from stream.engines.light.samcrops import Seen
from stream.engines.light.samprompts import Prompted
from stream.engines.light.samrefresh import Refresher
from stream.engines.light.samwhole import Company, largest_whole, moves_beside, prompts_for_more
from stream.engines.light.sight import Answer, Ask, More, Sighting, Target, View
from stream.engines.light.tuning import TUNING
from stream.types import Point, Prompt, PromptKind
from tests.unit.light_world import BLUE, RED, ColourSight, Player, World, overlap, without_half


def square(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    on = np.zeros((80, 80), np.uint8)
    on[y0:y1, x0:x1] = 1
    return on


def logits(on: np.ndarray) -> np.ndarray:
    return np.where(on > 0, 5.0, -5.0).astype(np.float32)


NOTHING = square(0, 0, 0, 0)
PART, WHOLE, MORE = square(20, 20, 60, 40), square(20, 20, 60, 58), square(20, 20, 60, 62)
MOST = 2.5 * float(PART.sum())
TOGETHER = Company(NOTHING, square(18, 18, 62, 60))


def test_the_largest_mask_that_moves_along_is_the_whole() -> None:
    everything = square(0, 0, 80, 50)
    offers = [(logits(PART), 0.99), (logits(WHOLE), 0.9), (logits(MORE), 0.9), (logits(everything), 0.99)]
    found = largest_whole(offers, PART, MOST, NOTHING, TOGETHER, None, TUNING)
    assert found is not None
    assert ((found[0] > 0) == MORE).all()


@pytest.mark.parametrize(
    ("offer", "quality", "others", "limit"),
    [
        pytest.param(WHOLE, 0.5, NOTHING, None, id="SAM does not believe in it"),
        pytest.param(WHOLE, 0.9, square(20, 48, 60, 58), None, id="the rest is another object's"),
        pytest.param(WHOLE, 0.9, NOTHING, (70.0, 70.0, 250.0, 190.0), id="the user's box ends before"),
        pytest.param(square(20, 40, 60, 60), 0.9, NOTHING, None, id="the part is not in it"),
        pytest.param(square(4, 20, 60, 40), 0.9, NOTHING, None, id="it grows to what stands still"),
    ],
)
def test_no_other_mask_is_taken_for_the_whole(
    offer: np.ndarray, quality: float, others: np.ndarray, limit: tuple[float, float, float, float] | None
) -> None:
    assert largest_whole([(logits(offer), quality)], PART, MOST, others, TOGETHER, limit, TUNING) is None


def test_a_mask_that_is_larger_than_it_may_be_is_not_taken() -> None:
    assert largest_whole([(logits(WHOLE), 0.9)], PART, float(WHOLE.sum()), NOTHING, TOGETHER, None, TUNING) is None


def test_nothing_moves_beside_a_mask_but_the_flow_that_trails_at_its_edge() -> None:
    trailing = Company(NOTHING, square(17, 17, 63, 43))
    assert moves_beside(PART, NOTHING, trailing, TUNING) is None
    assert moves_beside(PART, square(0, 40, 80, 80), TOGETHER, TUNING) is None
    beside = moves_beside(PART, NOTHING, TOGETHER, TUNING)
    assert beside is not None
    assert beside[50, 40] == 1
    assert not beside[:43].any()


def test_sam_is_asked_for_more_with_a_point_where_something_moves_and_a_box_around_both() -> None:
    beside = moves_beside(PART, NOTHING, TOGETHER, TUNING)
    assert beside is not None
    part = Prompted([(160.0, 120.0), (300.0, 40.0)], [1, 0], (80.0, 80.0, 240.0, 160.0))
    asked = list(prompts_for_more(part, beside))
    assert asked[0] == (part, False)
    more, boxed = asked[-1]
    assert boxed
    assert more.labels == [1, 1, 0]
    assert more.points[0][1] > 43 * 4
    assert more.box[0] <= 80
    assert more.box[3] == 60 * 4


class Halving(ColourSight):
    """Takes a thing for its left half, and sees at some looks that more moves along."""

    def __init__(self, more: Sequence[More]) -> None:
        super().__init__()
        self.more = list(more)
        self.targets: list[Target] = []
        self.whole = False

    def first(self, view: View, ask: Ask) -> Answer | None:
        answer = super().first(view, ask)
        box = answer.patch.box() if answer else None
        if answer is None or box is None:
            return None
        half = without_half(answer.patch, box[2] - 1, box[1])
        return replace(answer, patch=half, look=self._look(view, half))

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        self.targets += targets
        out = {}
        for target in targets:
            whole = super().refresh(view, [target], pad)[target.id]
            box = whole.patch.box()
            assert box is not None
            more = self.more.pop(0) if self.more else More.NOTHING
            if self.whole:
                out[target.id] = whole
            elif more is More.SEEN and (target.agreed or 0) + 1 >= TUNING.more_looks:
                self.whole = True
                out[target.id] = replace(whole, more=More.TAKEN)
            else:
                half = without_half(whole.patch, box[2] - 1, box[1])
                out[target.id] = replace(whole, patch=half, look=self._look(view, half), more=more)
        return out


def played(more: Sequence[More], prompt: Prompt) -> tuple[Player, Halving]:
    sight = Halving(more)
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (200, 200))}), sight=sight)
    play.step(2)
    play.tracker.add_prompt(prompt)
    play.step(12, cup=(2, 0))
    return play, sight


CLICK = Prompt(1, PromptKind.POINTS, points=(Point(230, 240),))


SEEN, NO, UNKNOWN = More.SEEN, More.NOTHING, More.UNKNOWN


def test_looks_that_do_not_agree_leave_the_part() -> None:
    play, _ = played([SEEN, NO, SEEN, NO, UNKNOWN, SEEN], CLICK)
    (track,) = play.tracks.values()
    assert overlap(track.mask, play.world, "cup") < 0.6


@pytest.mark.parametrize("more", [(SEEN, SEEN), (SEEN, UNKNOWN, SEEN)])
def test_two_looks_that_agree_make_a_part_the_whole_with_its_memory(more: Sequence[More]) -> None:
    play, _ = played(more, CLICK)
    (track,) = play.tracks.values()
    assert overlap(track.mask, play.world, "cup") > 0.85
    scene = play.tracker._scene
    assert scene is not None
    (thing,) = scene.objects.values()
    assert thing.agreed == 0
    assert thing.area > 6000
    assert thing.id == 1


def test_no_more_is_wanted_of_what_the_user_has_settled() -> None:
    play, sight = played([], CLICK)
    assert sight.targets[-1].agreed == 0
    (track,) = play.tracks.values()
    box = track.box_xyxy_px
    play.tracker.add_prompt(Prompt(2, PromptKind.BOX, box_xyxy_px=box, track_id=track.id))
    play.step(5, cup=(2, 0))
    assert sight.targets[-1].agreed is None


def test_no_more_is_wanted_of_what_was_seen_to_move_often_enough() -> None:
    play, sight = played([], CLICK)
    scene = play.tracker._scene
    assert scene is not None
    (thing,) = scene.objects.values()
    thing.moving_looks = TUNING.more_within
    play.step(3, cup=(2, 0))
    assert sight.targets[-1].agreed is None


def test_a_box_that_the_user_drew_limits_what_may_be_added() -> None:
    play, sight = played([], Prompt(1, PromptKind.BOX, box_xyxy_px=(200, 200, 280, 280)))
    limit = sight.targets[-1].limit
    assert limit is not None
    scene = play.tracker._scene
    assert scene is not None
    (thing,) = scene.objects.values()
    asked = 200 + 2 * 12, 200, 280 + 2 * 12, 280
    slack = TUNING.box_slack * 80
    target = planner.target(thing, scene.now_s, TUNING)
    assert target is not None
    assert target.limit == pytest.approx(
        (asked[0] - slack, asked[1] - slack, asked[2] + slack, asked[3] + slack), abs=4
    )


class Offering:
    """SAM that sees the upper half of a thing where it is asked with the half's box, else the whole of it."""

    def __init__(self, crop: Crop) -> None:
        self.crop = crop

    def decode(
        self,
        embedding: np.ndarray,
        points: Sequence[tuple[float, float]],
        labels: Sequence[int],
        box: tuple[float, float, float, float] | None = None,
        mask_logits: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        half = box is not None and box[3] < self.crop.point_in(0, 240)[1]
        seen = self.crop.mask_in(UPPER if half else TALL)
        return np.stack([logits(seen >= 128)] * 4), np.full(4, 0.95, np.float32)


def solid(x0: int, y0: int, x1: int, y1: int) -> Patch:
    return Patch(x0, y0, np.full((y1 - y0, x1 - x0), 255, np.uint8))


TALL, UPPER = solid(200, 150, 280, 310), solid(200, 150, 280, 230)


def refreshed(*, moves: bool, agreed: int | None = None) -> Sighting:
    """A look at a thing, red above and blue below, of which the red half is known."""
    grid = Grid.of(640, 480)
    picture = np.full((480, 640, 3), 128, np.uint8)
    picture[150:230, 200:280] = RED
    picture[230:310, 200:280] = BLUE
    flow = np.zeros((240, 320, 2), np.float32)
    if moves:
        flow[75:155, 100:140] = [-3, 1]
    masks = {1: UPPER}
    view = View(1, 0.0, grid, picture, shrink(picture, grid.flow), FlowHistory(grid, 1.5), masks, masks, Flow.of(flow))
    crop = Crop.around((200, 150, 280, 310), 1.7, 320)
    image = shrink(crop.image(picture, grid), (80, 80))
    seen = Seen(crop, image, np.random.default_rng(1).normal(size=(1, 16, 20, 20)).astype(np.float32))
    look = look_at(image, (crop.mask_in(UPPER) >= 128).astype(np.uint8), seen.embedding)
    target = Target(1, UPPER, Memory.of(look), float(UPPER.area()), agreed=agreed)
    refresher = Refresher(cast(Sam, Offering(crop)), TUNING)
    sighting = refresher.refresh(view, seen, target, off_background(grid.flow_xy(), flow))
    assert sighting is not None
    return sighting


def test_a_look_at_a_part_says_that_more_moves_along_and_a_second_one_takes_it() -> None:
    first = refreshed(moves=True, agreed=0)
    assert first.more is More.SEEN
    assert patch_iou(first.patch, UPPER) > 0.9
    second = refreshed(moves=True, agreed=1)
    assert second.more is More.TAKEN
    assert patch_iou(second.patch, TALL) > 0.9


def test_a_look_at_what_stands_still_or_is_settled_keeps_the_part() -> None:
    still = refreshed(moves=False, agreed=1)
    assert still.more is More.NOTHING
    assert patch_iou(still.patch, UPPER) > 0.9
    settled = refreshed(moves=True)
    assert settled.more is not More.TAKEN
    assert patch_iou(settled.patch, UPPER) > 0.9
