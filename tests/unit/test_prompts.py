"""Drafts in [0, 1] become prompts in pixels, or say what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import BadInput
from stream.prompts import MAX_CONCEPT_CHARS, MAX_POINTS, PromptDraft, check_label, to_prompt
from stream.types import PromptKind, Rle

unit = st.floats(0, 1)


@given(x=unit, y=unit, width=st.integers(1, 4096), height=st.integers(1, 4096))
def test_a_click_in_the_picture_is_a_pixel_of_the_picture(x: float, y: float, width: int, height: int) -> None:
    prompt = to_prompt(PromptDraft(PromptKind.POINTS, points=((x, y, True),)), 1, width, height)
    (point,) = prompt.points
    assert 0 <= point.x_px < width
    assert 0 <= point.y_px < height


def test_a_box_may_be_dragged_in_any_direction() -> None:
    prompt = to_prompt(PromptDraft(PromptKind.BOX, box_xyxy=(0.75, 0.5, 0.25, 0.0)), 1, 640, 480)
    assert prompt.box_xyxy_px == (160, 0, 480, 240)


def test_words_lose_surplus_space() -> None:
    assert to_prompt(PromptDraft(PromptKind.TEXT, text="  red \n cup "), 1, 10, 10).text == "red cup"


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (PromptDraft(PromptKind.TEXT), "empty_text"),
        (PromptDraft(PromptKind.TEXT, text=" \n "), "empty_text"),
        (PromptDraft(PromptKind.TEXT, text="x" * (MAX_CONCEPT_CHARS + 1)), "too_long"),
        (PromptDraft(PromptKind.TEXT, text="cup", positive=False), "unsupported_prompt"),
        (PromptDraft(PromptKind.POINTS), "unsupported_prompt"),
        (PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, False),)), "unsupported_prompt"),
        (PromptDraft(PromptKind.POINTS, points=((0.5, 1.01, True),)), "out_of_picture"),
        (PromptDraft(PromptKind.POINTS, points=((float("nan"), 0.5, True),)), "out_of_picture"),
        (PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, True),) * (MAX_POINTS + 1)), "too_long"),
        (PromptDraft(PromptKind.BOX), "unsupported_prompt"),
        (PromptDraft(PromptKind.BOX, box_xyxy=(0.1, 0.1, 0.1, 0.5)), "unsupported_prompt"),
        (PromptDraft(PromptKind.BOX, box_xyxy=(-0.1, 0.1, 0.4, 0.5)), "out_of_picture"),
        (PromptDraft(PromptKind.MASK), "unsupported_prompt"),
    ],
)
def test_a_draft_that_cannot_be_meant_is_refused_with_its_code(draft: PromptDraft, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        to_prompt(draft, 1, 640, 480)
    assert caught.value.code == code
    assert caught.value.action


def test_a_negative_click_refines_a_track() -> None:
    draft = PromptDraft(PromptKind.POINTS, points=((0.5, 0.5, False),), track_id=3)
    assert to_prompt(draft, 1, 640, 480).points[0].positive is False


def test_a_mask_is_kept_as_it_is() -> None:
    mask = Rle((4, 4), "0@")
    assert to_prompt(PromptDraft(PromptKind.MASK, mask=mask), 1, 640, 480).mask is mask


def test_a_name_has_one_to_eighty_characters() -> None:
    assert check_label("  my   cup ") == "my cup"
    for bad in ("", "  ", "x" * 81):
        with pytest.raises(BadInput):
            check_label(bad)
