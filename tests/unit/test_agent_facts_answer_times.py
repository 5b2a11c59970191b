"""A time, an order or a line that a question names is part of its answer, or there is none."""

from __future__ import annotations

from datetime import UTC

import pytest

from agent.facts_answer import FactsAnswer, FactsAnswerer
from tests.agent_questions.play import scene_at


def ask(at: float, text: str) -> FactsAnswer:
    return FactsAnswerer(UTC).answer(text, *scene_at(at))


@pytest.mark.parametrize(
    "text",
    [
        "At 10:00:24, where was the dog?", "Where was the dog at 10:00:24?", "Hi, at 10:00:24, where was the dog?",
        "Around 10:00:24, could you tell me where the dog was?", "26 seconds ago, where was the dog?",
        "At 10:00:24, where was #5?", "Where is the dog at 10:00:24?",
    ],
)  # fmt: skip
def test_a_moment_is_honoured_wherever_it_is_said(text: str) -> None:
    assert ask(50, text).text == "Dog [#5] was in the bottom left at 10:00:24."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("At 10:00:20, where was the dog?", "not in sight at 10:00:20"),
        ("At 10:00:24, was the dog at the door?", "No, dog [#5] was not at the door"),
        ("At 10:00:30, how many people?", "There were 2 people"),
        ("At 10:00:47, who was on the left?", "Person [#3] was on the left at 10:00:47"),
        ("Is the dog here at 10:00:26?", "Yes, dog [#5] was in sight at 10:00:26"),
        ("Were there any people before 10:00:04?", "No, person [#3], person [#4] and person [#7] were not"),
        ("At 10:00:30, where was the red cup and where was the blue cup?", "blue cup [#2] was in the bottom right at"),
        ("As of 10:00:30, how many people had come in?", "2 people came in: person [#3] at 10:00:05"),
        ("When did #3 come in in the last minute?", "10:01:10"), ("When did #3 come in again?", "back at 10:01:10"),
        ("At the door, who was there at 10:00:10?", "Nobody has been at the door in that time"),
        ("Where was the red cup first?", "in the bottom right when I first saw it"),
        ("Where did #3 last appear?", "on the left at 10:01:10"), ("Where did the dog first appear?", "at 10:00:22"),
        ("Did the dog disappear?", "Yes, dog [#5] went out of sight at 10:00:29"),
    ],
)  # fmt: skip
def test_an_answer_is_about_the_time_that_was_asked_about(text: str, says: str) -> None:
    assert says.casefold() in ask(95, text).text.casefold()


@pytest.mark.parametrize(
    "text",
    [
        "This morning, where was the dog?", "Last night, was anybody here?", "On Sunday, who came in?",
        "In the first minute, how many people came in?", "A minute later, who came in?", "Who was here then?",
        "Who came in a minute later?",
        "I was distracted at 10:00:24, where was the dog?", "Where was the dog? I mean at 10:00:24.",
        "At 10:00:24, which way was the dog going?", "At 10:00:24, who was moving?", "Where was the red cup at first?",
        "Was the dog gone at 10:00:40?", "When was the dog last seen before 10:00:50?", "Who was here earlier?",
        "Where was the person on the left at 10:00:30?", "Where was the one who left at 10:00:24?",
        "Did the dog stay until 10:00:40?", "Where was #3 until now?", "Where is the dog at 10:05:00?",
        "Was anybody here at 9 o'clock?", "How long was the dog here in total?",
        "How many people were there just before #3 left?",
    ],
)  # fmt: skip
def test_a_time_that_an_answer_would_pass_over_gets_an_honest_no(text: str) -> None:
    answer = ask(95, text)
    assert not answer.known, answer.text


@pytest.mark.parametrize(
    "text",
    [
        "What was the second thing that happened?", "Who was the second person at the door?", "Who was seen last?",
        "Who was at the desk the longest?", "What is the biggest thing you have seen?", "Did the dog leave twice?",
        "Is #4 the first person?", "What's the biggest thing that left?",
        "Did anyone meet at the door?", "When did the dog leave the second time?",
    ],
)  # fmt: skip
def test_an_order_or_place_that_is_not_kept_gets_an_honest_no(text: str) -> None:
    answer = ask(95, text)
    assert not answer.known, answer.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("When did somebody last go through the gate?", "[#4] crossed the gate at 10:01:17"),
        ("Who came through the gate last?", "[#4] crossed the gate at 10:01:17"),
        ("Who last crossed the gate?", "[#4] crossed the gate at 10:01:17"),
        ("How often did #4 walk through the gate?", "2 times"),
        ("Has the dog been through the gate?", "Yes, dog [#5] crossed the gate at 10:00:26"),
        ("Who went through the door?", "Person [#3] came to the door at 10:01:10"),
    ],
)
def test_to_go_through_a_line_is_to_cross_it(text: str, says: str) -> None:
    assert says in ask(95, text).text


@pytest.mark.parametrize(
    "text",
    [
        "Who went to the gate?",
        "When did #4 come to the gate?",
        "Who left through the gate?",
        "When was #3 at the gate?",
    ],
)
def test_to_come_to_a_line_is_not_to_cross_it(text: str) -> None:
    answer = ask(95, text)
    assert not answer.known, answer.text


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        (("Where was the dog at 10:00:24?", "And the red cup?"), "Red cup [#1] was in the bottom right at 10:00:24"),
        (("At 10:00:24, where was the dog?", "And #3?"), "Person [#3] was on the right at 10:00:24"),
        (("Who was here at 10:00:10?", "Where?"), "Person [#3] was in the middle at 10:00:10"),
        (("Who was here at 10:00:10?", "Where were they?"), "Person [#3] was in the middle at 10:00:10"),
        (("Where was the dog at 10:00:24?", "Who was there?"), "Person [#3] and person [#4] at 10:00:24"),
        (("When did the dog first come in?", "Where?"), "Dog [#5] came in on the left at 10:00:22"),
    ],
)
def test_a_moment_holds_for_what_goes_on_from_it(turns: tuple[str, str], says: str) -> None:
    first, then = turns
    previous = ((first, ask(95, first).text),)
    assert says in FactsAnswerer(UTC).answer(then, *scene_at(95), previous=previous).text
