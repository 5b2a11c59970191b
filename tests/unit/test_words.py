"""What people type comes out as a name the detector knows, or as a refusal that helps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engines import vocabulary
from stream.engines.words import COCO_NAMES, resolve, split_concepts
from stream.errors import UnknownWord

PLAIN = {
    "person": "person", "people": "person", "Persons": "person", "PEOPLE": "person", "human": "person",
    "bike": "bicycle", "motorbike": "motorcycle", "motorcycles": "motorcycle", "plane": "airplane",
    "phone": "cell phone", "mobile": "cell phone", "smartphone": "cell phone", "Cell Phones": "cell phone",
    "cellphone": "cell phone", "sofa": "couch", "telly": "tv", "television": "tv", "TVs": "tv", "mug": "cup",
    "lorry": "truck", "lorries": "truck", "table": "dining table", "plant": "potted plant", "ball": "sports ball",
    "notebook computer": "laptop", "fridge": "refrigerator", "rucksack": "backpack", "purse": "handbag",
    "glass": "wine glass", "wine glasses": "wine glass", "a glass of wine": "wine glass", "knives": "knife",
    "mice": "mouse", "buses": "bus", "sheep": "sheep", "scissors": "scissors", "a pair of scissors": "scissors",
    "skis": "skis", "ski": "skis", "benches": "bench", "toothbrushes": "toothbrush", "ties": "tie", "vases": "vase",
    "couches": "couch", "doughnuts": "donut", "hot dogs": "hot dog", "traffic lights": "traffic light",
    "teddy bears": "teddy bear", "hairdryer": "hair drier", "broccoli": "broccoli", "oranges": "orange",
    "all of the people": "person", "Please track the dog!": "dog", "show me every car": "car",
    "a group of people": "person", "bunch of bananas": "banana", "  the   cat ": "cat", "“cat”": "cat",
    "someone": "person", "giraffes": "giraffe",
}  # fmt: skip


@pytest.mark.parametrize(("text", "label"), PLAIN.items())
def test_names_plurals_and_synonyms(text: str, label: str) -> None:
    concept = resolve(text)
    assert concept.label == label
    assert concept.ignored == ()
    assert concept.note is None


@pytest.mark.parametrize(
    ("text", "label", "word"),
    [
        ("man", "person", "man"), ("women", "person", "woman"), ("the children", "person", "child"),
        ("pedestrians", "person", "pedestrian"), ("guy", "person", "guy"), ("puppy", "dog", "puppy"),
        ("kitty", "cat", "kitty"), ("puppies", "dog", "puppy"), ("taxi", "car", "taxi"), ("monitor", "tv", "monitor"),
        ("screen", "tv", "screen"), ("geese", "bird", "goose"), ("football", "sports ball", "football"),
    ],
)  # fmt: skip
def test_a_kind_of_thing_is_followed_as_the_thing_and_that_is_said(text: str, label: str, word: str) -> None:
    concept = resolve(text)
    assert (concept.label, concept.word, concept.ignored) == (label, word, ())
    assert concept.note == f"“{word}” is followed as any {label}."


@pytest.mark.parametrize(
    ("text", "label", "ignored"),
    [
        ("the red cup", "cup", ("red",)),
        ("red wine glass", "wine glass", ("red",)),
        ("two dogs", "dog", ("two",)),
        ("black and white cat", "cat", ("black", "and", "white")),
        ("man with a red hat", "person", ("with", "red", "hat")),
        ("person in the car", "person", ("in", "car")),
        ("person walking", "person", ("walking",)),
        ("dog jumping", "dog", ("jumping",)),
        ("the bottle of water", "bottle", ("of", "water")),
        ("Anna's backpack", "backpack", ("anna",)),
        ("big double-decker bus", "bus", ("big", "double", "decker")),
        ("an orange cup", "cup", ("orange",)),
        ("the remote control on the sofa", "remote", ("on", "sofa")),
    ],
)
def test_what_is_not_understood_is_reported(text: str, label: str, ignored: tuple[str, ...]) -> None:
    concept = resolve(text)
    assert (concept.label, concept.ignored) == (label, ignored)
    assert concept.note is not None
    assert " ".join(ignored) in concept.note


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("helmet", "person"), ("persn", "person"), ("bicylce", "bicycle"), ("dog house", "dog"),
        ("glasses", "wine glass"),
        ("mouse pad", "mouse"), ("vehicles", "car"), ("bag", "backpack"), ("animals", "dog"), ("tree", "potted plant"),
        ("red helmets", "person"), ("burger", "sandwich"), ("umbrela", "umbrella"),
    ],
)  # fmt: skip
def test_an_unknown_word_gets_the_nearest_known_ones(text: str, first: str) -> None:
    with pytest.raises(UnknownWord) as caught:
        resolve(text)
    assert caught.value.nearest[0] == first
    assert len(caught.value.nearest) <= 3
    assert text in caught.value.message
    assert first in caught.value.action


@pytest.mark.parametrize("text", ["", "   ", "the", "!?", "☃", "of", "0" * 10_000, "xqzzv"])
def test_nothing_to_go_by_is_an_unknown_word_too(text: str) -> None:
    with pytest.raises(UnknownWord) as caught:
        resolve(text)
    assert caught.value.code == "unknown_word"
    assert "click" in caught.value.action.casefold()
    assert len(caught.value.message) < 200


def names_for(text: str) -> tuple[str, ...]:
    try:
        return (resolve(text).label,)
    except UnknownWord as error:
        return error.nearest


@given(st.text())
def test_any_text_gives_a_known_name_or_an_unknown_word(text: str) -> None:
    given_back = names_for(text)
    assert set(given_back) <= set(COCO_NAMES)
    assert len(given_back) <= 3


@given(
    st.sampled_from(COCO_NAMES),
    st.sampled_from(["{}", "the {}", "{}s", " {} ", "A {}!", "every {}", "find my {}", "{} over there"]),
    st.booleans(),
)
def test_every_name_is_understood_in_every_dress(name: str, dress: str, upper: bool) -> None:
    text = dress.format(name)
    assert resolve(text.upper() if upper else text).label == name


@given(st.sampled_from(sorted(vocabulary.SAME | vocabulary.NARROWER)), st.sampled_from(["{}", "the small {}"]))
def test_every_synonym_is_understood(word: str, dress: str) -> None:
    expected = (vocabulary.SAME | vocabulary.NARROWER)[word]
    assert resolve(dress.format(word)).label == expected


def test_the_tables_name_known_things_only() -> None:
    assert len(COCO_NAMES) == len(set(COCO_NAMES)) == 80
    known = set(COCO_NAMES)
    assert set(vocabulary.SAME.values()) <= known
    assert set(vocabulary.NARROWER.values()) <= known
    assert not set(vocabulary.SAME) & set(vocabulary.NARROWER)
    assert not known & (set(vocabulary.SAME) | set(vocabulary.NARROWER))
    for nearest in (*vocabulary.RELATED.values(), *vocabulary.AMBIGUOUS.values()):
        assert set(nearest) <= known
    assert not set(vocabulary.RELATED) & (known | set(vocabulary.SAME) | set(vocabulary.NARROWER))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("person, dog and cup", ["person", "dog", "cup"]),
        ("fork, knife, and spoon", ["fork", "knife", "spoon"]),
        ("cat", ["cat"]),
        ("cars & trucks / buses", ["cars", "trucks", "buses"]),
        ("people or dogs", ["people", "dogs"]),
        ("android phone", ["android phone"]),
        ("black and white cat, red cup", ["black white cat", "red cup"]),
        ("dog, dog, dog", ["dog"]),
        ("orange and banana", ["orange", "banana"]),
        ("", []),
        (" , and ; ", []),
        ("the and a", []),
        ("hot dog\npizza", ["hot dog", "pizza"]),
        ("red", ["red"]),
    ],
)
def test_several_concepts_in_one_text(text: str, parts: list[str]) -> None:
    assert split_concepts(text) == parts


@given(st.text(max_size=200))
def test_splitting_never_fails_and_never_gives_empty_parts(text: str) -> None:
    parts = split_concepts(text)
    assert all(part.strip() for part in parts)
    assert len(parts) == len(set(parts))
