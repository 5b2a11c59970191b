"""Asks the facts answerer the questions of the composed scene, each at its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import cache

from agent.facts_answer import FactsAnswerer
from agent.perceive import Perception
from agent.scene import Scene, SceneLog
from agent.types import Moment
from tests.agent_questions import story
from tests.agent_questions.scoring import Asked, Judged, judge

Turns = tuple[tuple[str, str], ...]


def play(questions: Sequence[Asked]) -> list[Judged]:
    """The verdict on the answer to each question, in the order of `questions`, which is that of time."""
    log, perception, answerer = SceneLog(story.REGIONS), Perception((), story.REGIONS), FactsAnswerer(UTC)
    turns: dict[str, Turns] = {}
    judged: list[Judged] = []
    for update, when in story.updates():
        log.update(update, when)
        for event in perception.step(update, when):
            log.add_event(event)
        while len(judged) < len(questions) and story.at(questions[len(judged)].at) <= when:
            asked = questions[len(judged)]
            previous = turns[asked.follows] if asked.follows is not None else ()
            answer = answerer.answer(
                asked.text, log.snapshot(), story.moment(update, when), track_ids=asked.track_ids, previous=previous
            )
            turns[asked.id] = (*previous, (asked.text, answer.text))
            judged.append(judge(asked, answer.text, answer.track_ids, answer.known))
    return judged


@cache
def scene_at(until: float) -> tuple[Scene, Moment]:
    """What is known at second `until`, and the moment of a question then."""
    log, perception = SceneLog(story.REGIONS), Perception((), story.REGIONS)
    for update, when in story.updates(until):
        log.update(update, when)
        for event in perception.step(update, when):
            log.add_event(event)
    return log.snapshot(), story.moment(update, when)
