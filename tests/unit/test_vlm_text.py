"""What models write around their answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vlm.text import Cleaner, clean, parse_object

MESSY = [
    ("<think>it is a cup</think>\nA cup [#3].", "A cup [#3]."),
    ("<|channel>thought\nhm<channel|>Two people.", "Two people."),
    ("<|channel|>analysis<|message|>hm<|end|>Two people.", "Two people."),
    ("A dog.<end_of_turn>", "A dog."),
    ("<start_of_turn>model\nA dog.<eos>", "A dog."),
    ("3 < 4 and <b>bold</b> stay", "3 < 4 and <b>bold</b> stay"),
    ("a <| b", "a <| b"),
    ("<think>never ends", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "cleaned"), MESSY)
def test_thoughts_and_special_tokens_go_and_the_rest_stays(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.sampled_from([text for text, _ in MESSY]), st.lists(st.integers(1, 7), min_size=60, max_size=60))
def test_it_is_the_same_however_the_text_is_cut_into_pieces(text: str, sizes: list[int]) -> None:
    cleaner, out, at = Cleaner(), "", 0
    for size in sizes:
        out += cleaner.feed(text[at : at + size])
        at += size
    assert (out + cleaner.end()).strip() == clean(text)


def test_plain_text_is_handed_on_at_once() -> None:
    cleaner = Cleaner()
    assert [cleaner.feed(piece) for piece in ("A ", "red ", "cup")] == ["A ", "red ", "cup"]
    assert cleaner.end() == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"verdict": "yes", "ids": [3]}', {"verdict": "yes", "ids": [3]}),
        ('```json\n{"verdict": "no"}\n```', {"verdict": "no"}),
        ('Here you are: {"a": {"b": 1}} and more', {"a": {"b": 1}}),
        ('<think>{"no": 1}</think>{"yes": 1}', {"yes": 1}),
        ('{"verdict": "yes", "ids": [3, 4], "reason": "the bag is al', {"verdict": "yes", "ids": [3, 4]}),
        ('{"verdict": "yes", "ids": [3', {"verdict": "yes", "ids": [3]}),
        ("no object at all", None),
        ("[1, 2]", None),
        ("{broken", None),
        ("", None),
    ],
)
def test_an_object_is_found_in_what_models_write(text: str, value: dict[str, object] | None) -> None:
    found = parse_object(text)
    if value is None or found is None:
        assert found == value
    else:
        assert {key: found.get(key) for key in value} == value


@given(st.text(alphabet='{}[]",:a1 \\', max_size=60))
def test_no_text_is_too_broken_to_read(text: str) -> None:
    assert isinstance(parse_object(text), dict | None)
