"""Words of everyday English that mean one thing here and another there, and slips of the pen."""

from __future__ import annotations

from datetime import UTC

import pytest

from agent.facts_answer import FactsAnswer, FactsAnswerer
from tests.agent_questions.play import scene_at


def ask(at: float, text: str, previous: tuple[tuple[str, str], ...] = ()) -> FactsAnswer:
    return FactsAnswerer(UTC).answer(text, *scene_at(at), previous=previous)


@pytest.mark.parametrize(
    "text",
    [
        "How long has it been since the red cup left?", "How long ago did the red cup leave?",
        "When was the last time the red cup left?", "When did the red cup leave?", "The red cup left when?",
        "How much time has it been since the red cup left the picture?", "Has the red cup left?",
        "How many seconds has it been since the red cup left?", "Which cup left?",
    ],
)  # fmt: skip
def test_what_left_went_out(text: str) -> None:
    said = ask(95, text).text
    assert "red cup [#1] left" in said.casefold()
    assert "10:01:20" in said


@pytest.mark.parametrize(
    "text",
    [
        "When was the bag left?", "How long has it been since the bag was left?", "When was the bag left behind?",
        "Was the bag left here?", "Has the bag been left?", "How long ago was the bag left behind?",
    ],
)  # fmt: skip
def test_what_was_left_was_left_behind(text: str) -> None:
    said = ask(95, text).text
    assert "ackpack [#6] was left" in said
    assert "10:00:29" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Has the bag left?", "No, backpack [#6] is at the bottom."),
        ("How long has it been since the bag left?", "No bag left the picture so far."),
        ("How long has it been since #4 left?", "Person [#4] left the picture 14 s ago, at 10:01:20."),
        ("Where was the bag left?", "Backpack [#6] is at the bottom, there since 10:00:21."),
        ("When was the thing that left last seen?", "person [#4] was last seen at 10:01:20"),
        ("How many things were left behind?", "2 objects were left behind"),
        ("How many bags were left in total?", "1 bag was left behind"),
        ("How many people left in total?", "3 people left"),
        ("How many cups are left in total?", "There are 2 cups"),
        ("How many cups are left right now?", "There are 2 cups"),
    ],
)
def test_to_leave_to_be_left_and_to_be_left_over(text: str, says: str) -> None:
    assert says in ask(95, text).text


@pytest.mark.parametrize(
    "text",
    [
        "Where was the red cup left?", "How long has the red cup been left?", "Who was left?", "Was the dog left?",
        "How many people were left?", "How many people left a bag?",
        "Was everybody left?", "Has anybody been left?", "Who has been left alone?", "Was there anyone left?",
        "Were there any cups left?",
    ],
)  # fmt: skip
def test_what_is_not_kept_of_being_left_gets_an_honest_no(text: str) -> None:
    answer = ask(95, text)
    assert not answer.known, answer.text


def test_what_is_hidden_has_not_left_but_is_out_of_sight() -> None:
    assert ask(63, "How long has it been since the red cup left?").text.startswith("Red cup [#1] is out of sight")
    assert ask(63, "When did the blue cup leave?").text == "No blue cup left the picture so far."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("How many people are in the picture in total?", "There is 1 person"),
        ("How many people are there altogether?", "There is 1 person"),
        ("Overall, how many people are there?", "There is 1 person"),
        ("How many people in the picture in all?", "There is 1 person"),
        ("How many cups remain in total?", "There are 2 cups"),
        ("How many things do you see in total?", "There are 6 objects"),
        ("Are there more than 2 people in total?", "No, there is 1 person"),
        ("How many people were in the picture in total?", "I have seen 3 people"),
        ("How many people have you seen in total?", "I have seen 3 people"),
        ("How many people are there so far?", "I have seen 3 people"),
        ("How many different people are there in total?", "I have seen 3 people"),
        ("All in all, how many different people have shown up?", "3 people came in"),
        ("How many people in total?", "I have seen 3 people"),
        ("In total, how many people came in?", "3 people came in"),
    ],
)
def test_a_total_is_of_the_time_that_the_verb_says(text: str, says: str) -> None:
    assert ask(95, text).text.startswith(says)


def test_a_total_of_those_who_did_something_counts_those_who_are_gone_too() -> None:
    before = "Who came in?"
    said = ask(60, "How many is that in total?", ((before, ask(60, before).text),)).text
    assert said.startswith("I have seen 3")


@pytest.mark.parametrize(
    ("at", "text", "says"),
    [
        (95, "Is the red cup anywhere?", "No, red cup [#1] left the picture"),
        (95, "Can you find the red cup anywhere?", "Red cup [#1] left the picture on the right"),
        (95, "Is the dog anywhere near the cup?", "Yes, dog [#5] is near"),
        (95, "Did the blue cup go anywhere?", "No, blue cup [#2] is where it was"),
        (95, "Is anybody here at all right now?", "Yes, person [#3] is on the left"),
        (63, "Are any cups showing?", "Yes, blue cup [#2]"),
        (95, "Which things are you keeping an eye on?", "I see a blue cup [#2]"),
        (92, "Is the dog on the left or right side of the picture?", "Dog [#5] is in the bottom right"),
        (48, "Is #7 moving to the left or right?", "Person [#7] is moving to the left"),
        (92, "Which side did #4 leave, left or right?", "Person [#4] left the picture on the right"),
        (92, "Did #3 come in from the left or right?", "Person [#3] came in on the left"),
        (92, "Is the tv at the top or bottom?", "Tv [#8] is at the top"),
        (95, "What could you say about the dog?", "[#5] is a dog"),
        (95, "is the rucksak still there?", "Yes, backpack [#6] is at the bottom. (I read"),
        (95, "waht is on teh left?", "Person [#3] and cup [#10] are on the left"),
    ],
)
def test_everyday_words_are_understood(at: float, text: str, says: str) -> None:
    assert ask(at, text).text.startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "What is the tv showing?", "What is showing on the tv?", "Is the tv showing anything?", "What is #3 showing?",
        "Is #3 left or right of the dog?", "Is #3 to the left or right of the dog?", "Who is on the left or right?",
        "Can you keep an eye on the bag?", "Keep track of the dog", "What can you tell me about the dog's mood?",
        "Is there a dog anywhere else?", "How long is the dog here in total?",
    ],
)  # fmt: skip
def test_neighbours_of_everyday_words_get_an_honest_no(text: str) -> None:
    answer = ask(95, text)
    assert not answer.known, answer.text
