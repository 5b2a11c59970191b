"""Which objects a word stands for."""

from __future__ import annotations

import pytest

from agent.labels import category, class_of, is_narrower, stands_for


@pytest.mark.parametrize(
    ("wanted", "label"),
    [
        ("person", "person"), ("people", "person"), ("cups", "red cup"), ("mug", "cup"), ("red cup", "red cup"),
        ("animals", "dog"), ("bag", "backpack"), ("luggage", "suitcase"), ("vehicles", "car"), ("Television", "tv"),
        ("gizmo", "gizmo"), ("gizmo", "green gizmo"), ("the red cups", "red cup"),
    ],
)  # fmt: skip
def test_words_stand_for_what_they_name(wanted: str, label: str) -> None:
    assert stands_for(wanted, label)


@pytest.mark.parametrize(
    ("wanted", "label"),
    [("person", "dog"), ("red cup", "blue cup"), ("red cup", "cup"), ("animals", "person"), ("gizmo", "cup")],
)
def test_words_do_not_stand_for_other_things(wanted: str, label: str) -> None:
    assert not stands_for(wanted, label)


def test_classes_and_categories() -> None:
    assert class_of("red cup") == "cup"
    assert class_of("Lucky the gizmo") == "lucky the gizmo"
    assert category("pets") == "animal"
    assert category("cup") is None
    assert is_narrower("women")
    assert is_narrower("puppy")
    assert not is_narrower("people")
