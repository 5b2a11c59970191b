"""Single pictures on the weights that follow streams."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import cpu
from stream.engines.sam3.image import ImageMode, Segment
from stream.errors import BadInput
from stream.types import Point, Prompt, PromptKind, Rle
from tests.sam3_world import MASK, SIZE, Stage, Thing, World, draw, frame_of, still

CUP, MUG, DOG = (0.1, 0.1, 0.3, 0.4), (0.5, 0.5, 0.8, 0.8), (0.6, 0.1, 0.9, 0.3)


@pytest.fixture
def stage() -> Stage:
    return Stage(World({
        "cup": Thing("cup", still(*CUP), score=0.8), "mug": Thing("cup", still(*MUG), score=0.9),
        "dog": Thing("dog", still(*DOG), score=0.6), "puppy": Thing("animal", still(*DOG), score=0.55),
    }))  # fmt: skip


@pytest.fixture
def image(stage: Stage) -> ImageMode:
    return ImageMode(stage.engine.parts)


def box_px(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (value * SIZE[at % 2] for at, value in enumerate(box))
    return x0, y0, x1, y1


def shows(segment: Segment, box: tuple[float, float, float, float]) -> bool:
    mask = cpu.rle_decode(segment.mask.size, segment.mask.counts)
    drawn = (draw(box) > 0).numpy()
    near = np.allclose(segment.box_xyxy_px, box_px(box), atol=SIZE[0] / MASK)
    return near and bool((mask.astype(bool) == drawn).all())


def test_words_places_and_examples_together(image: ImageMode) -> None:
    painted = np.zeros((24, 32), np.uint8)
    painted[3:7, 20:28] = 1
    found = image.segment(
        frame_of(0, 0),
        [
            Prompt(4, PromptKind.POINTS, points=(Point(0.7 * SIZE[0], 0.6 * SIZE[1]),)),
            Prompt(1, PromptKind.TEXT, text="cup"),
            Prompt(2, PromptKind.BOX, box_xyxy_px=box_px(CUP)),
            Prompt(3, PromptKind.MASK, mask=Rle((24, 32), cpu.rle(painted))),
            Prompt(5, PromptKind.EXEMPLAR, box_xyxy_px=box_px(MUG)),
        ],
    )
    assert [one.prompt_id for one in found] == [4, 1, 1, 2, 3, 5, 5]
    assert [shows(one, box) for one, box in zip(found, (MUG, MUG, CUP, CUP, DOG, MUG, CUP), strict=True)] == [True] * 7
    assert [one.score for one in found[1:3]] == pytest.approx([0.9, 0.8])
    assert found[1].label == "cup"


def test_an_example_of_the_unwanted_holds_for_words(image: ImageMode) -> None:
    unwanted = Prompt(2, PromptKind.EXEMPLAR, box_xyxy_px=box_px(MUG), positive=False)
    (only,) = image.segment(frame_of(0, 0), [Prompt(1, PromptKind.TEXT, text="cup"), unwanted])
    assert shows(only, CUP)


def test_nothing_at_a_place_is_no_segment(image: ImageMode) -> None:
    click = Prompt(1, PromptKind.POINTS, points=(Point(5, 235),))
    assert image.segment(frame_of(0, 0), [click]) == []
    assert image.segment(frame_of(0, 0), []) == []


def test_everything_that_a_list_of_concepts_names(image: ImageMode, stage: Stage) -> None:
    found = image.propose(frame_of(0, 0), ["dog", "cup", "animal", "cat"])
    assert [one.label for one in found] == ["cup", "cup", "dog"]
    assert [one.prompt_id for one in found] == [None] * 3
    assert [one.label for one in image.propose(frame_of(0, 0), ["dog", "cup"], score_least=0.85)] == ["cup"]
    many = [f"thing {number}" for number in range(20)]
    stage.network.asked.clear()
    assert image.propose(frame_of(0, 0), many) == []
    assert [len(queries) for queries in stage.network.asked] == [8, 8, 4]


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(1, PromptKind.TEXT, text=" "),
        Prompt(1, PromptKind.POINTS, points=(Point(5, 5),), track_id=3),
        Prompt(1, PromptKind.BOX, box_xyxy_px=(0, 0, 9999, 5)),
    ],
)
def test_bad_prompts_are_refused(image: ImageMode, prompt: Prompt) -> None:
    with pytest.raises(BadInput):
        image.segment(frame_of(0, 0), [prompt])


def test_too_many_concepts_are_refused(image: ImageMode) -> None:
    with pytest.raises(BadInput):
        image.propose(frame_of(0, 0), [str(number) for number in range(65)])


def test_streams_are_not_disturbed(image: ImageMode, stage: Stage) -> None:
    stage.tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="cup"))
    before = stage.see(4)
    free = len(stage.stepper.bank.free)
    image.segment(frame_of(0, 0), [Prompt(1, PromptKind.BOX, box_xyxy_px=box_px(DOG))])
    assert len(stage.stepper.bank.free) == free
    assert [track.id for track in stage.see().tracks] == [track.id for track in before.tracks]
