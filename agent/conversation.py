"""Questions about a stream and their answers: asked, answered piece by piece, stopped, followed up."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.backend import Backend, Query, Turn
from agent.types import AgentError, Answer, AnswerFact, AnswerState, DeltaFact, Moment, Question, QuestionFact, Speech
from agent.worker import Job, Priority, Worker
from stream.errors import BadInput, NotFound, OnlookerError
from stream.facts import FactLog

log = logging.getLogger(__name__)

MAX_QUESTION_CHARS = 2000
MAX_ANSWER_CHARS = 4000
MAX_ANSWER_S = 120.0
DELTA_S = 0.05
"""Pieces that come faster than this go out together: each is a fact that every client gets."""
KEPT_TURNS = 100
MOST_PREVIOUS = 6
REFERENCE = re.compile(r"\[#(\d{1,9})\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and, once it is there, its answer."""

    question: Question
    answer: Answer | None = None


class Conversation:
    """The questions of one stream, shared by its viewers. Event loop only."""

    def __init__(self, facts: FactLog, worker: Worker, backend: Callable[[], Backend]) -> None:
        self._facts = facts
        self._worker = worker
        self._backend = backend
        self._turns: OrderedDict[str, Asked] = OrderedDict()

    def all(self) -> list[Asked]:
        """The last hundred, oldest first."""
        return list(self._turns.values())

    def get(self, question_id: str) -> Asked:
        """Raises `NotFound`."""
        try:
            return self._turns[question_id]
        except KeyError:
            raise NotFound("There is no such question.", code="unknown_question") from None

    def previous(self, follows: str | None) -> tuple[Turn, ...]:
        """The answered questions that one goes on from, oldest first. Raises `NotFound`."""
        turns: list[Turn] = []
        while follows is not None and len(turns) < MOST_PREVIOUS:
            asked = self._turns.get(follows)
            if asked is None:
                if not turns:
                    raise NotFound("There is no such question.", code="unknown_question")
                break
            if asked.answer is not None and asked.answer.state is not AnswerState.FAILED:
                turns.append(Turn(asked.question.text, asked.answer.text))
            follows = asked.question.follows
        return tuple(reversed(turns))

    def ask(self, query: Query) -> None:
        """Take a question on. Raises `LimitReached` (busy), and nothing is changed then."""
        question = query.question
        started_s = time.monotonic()

        async def work() -> None:
            await self._answer(query, started_s)

        def dropped() -> None:
            self._end(query, AnswerState.STOPPED, "", started_s, None)

        self._worker.submit(Job(Priority.QUESTION, question.id, work, dropped, question.asked_by))
        self._turns[question.id] = Asked(question)
        while len(self._turns) > KEPT_TURNS:
            self._turns.popitem(last=False)
        self._facts.publish(QuestionFact(question))

    def stop(self, *, client: str | None = None, question_id: str | None = None) -> list[str]:
        """Stop one question, or all of a client's; returns their ids. Raises `NotFound` for one that never was."""
        if question_id is not None:
            self.get(question_id)
            return self._worker.cancel(key=question_id)
        return self._worker.cancel(owner=client)

    async def _answer(self, query: Query, started_s: float) -> None:
        spoken = _Spoken(self._facts, query.question.id)
        state, error = AnswerState.DONE, None
        try:
            async with asyncio.timeout(MAX_ANSWER_S):
                async for piece in self._backend().answer(query):
                    spoken.add(piece)
                    if spoken.chars > MAX_ANSWER_CHARS:
                        error = AgentError("too_long", "The answer went on and on and was cut.", "Ask again.", True)
                        break
        except asyncio.CancelledError:
            spoken.flush()
            self._end(query, AnswerState.STOPPED, spoken.text, started_s, spoken.first_s)
            raise
        except TimeoutError:
            state = AnswerState.FAILED
            error = AgentError("vlm_unavailable", "The answer took more than two minutes.", "Ask again.", True)
        except OnlookerError as failed:
            state = AnswerState.FAILED
            error = AgentError(failed.code, failed.message, failed.action, failed.retryable)
        except Exception:
            log.exception("question %s failed", query.question.id)
            state = AnswerState.FAILED
            error = AgentError("vlm_unavailable", "The answer failed in the server.", "Look into its log.", True)
        if state is AnswerState.DONE and not spoken.text.strip():
            state = AnswerState.FAILED
            error = AgentError("vlm_unavailable", "The language model said nothing.", "Ask again.", True)
        spoken.flush()
        self._end(query, state, spoken.text, started_s, spoken.first_s, error)

    def _end(
        self,
        query: Query,
        state: AnswerState,
        text: str,
        started_s: float,
        first_s: float | None,
        error: AgentError | None = None,
    ) -> None:
        now_s = time.monotonic()
        question, moment = query.question, query.moment
        answer = Answer(
            question_id=question.id,
            state=state,
            text=text.strip(),
            track_ids=named_ids(text, query),
            frame=moment.frame,
            frame_at=moment.at,
            frame_age_ms=round((question.at - moment.at).total_seconds() * 1000, 1),
            ttft_ms=round(((first_s or now_s) - started_s) * 1000, 1),
            total_ms=round((now_s - started_s) * 1000, 1),
            backend=self._backend().name,
            error=error,
            language=self._backend().speaks(question.language),
        )
        if question.id in self._turns:
            self._turns[question.id] = Asked(question, answer)
        self._facts.publish(AnswerFact(answer))


class _Spoken:
    """An answer as far as it has come, told to the clients in pieces."""

    def __init__(self, facts: FactLog, question_id: str) -> None:
        self._facts = facts
        self._question_id = question_id
        self._pieces: list[str] = []
        self._untold = ""
        self._told_s = float("-inf")
        self._n = 0
        self.chars = 0
        self.first_s: float | None = None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        now_s = time.monotonic()
        self.first_s = self.first_s or now_s
        self._pieces.append(piece)
        self._untold += piece
        self.chars += len(piece)
        if now_s - self._told_s >= DELTA_S:
            self._told_s = now_s
            self.flush()

    def flush(self) -> None:
        if self._untold:
            self._facts.publish(DeltaFact(self._question_id, self._n, self._untold))
            self._n += 1
            self._untold = ""


def named_ids(text: str, query: Query) -> tuple[int, ...]:
    """The objects that a text names as `[#3]` and that exist, in the order of their first naming."""
    known = {track.id for track in query.moment.tracks} | {thing.id for thing in query.scene.objects}
    return tuple(i for i in dict.fromkeys(int(number) for number in REFERENCE.findall(text)) if i in known)


def new_question(
    text: str,
    *,
    client: str,
    moment: Moment,
    track_ids: Iterable[int],
    follows: str | None,
    speech: Speech | None = None,
) -> Question:
    """Raises `BadInput` where the text is empty or too long."""
    text = " ".join(text.split())
    if not text:
        raise BadInput("There is nothing to answer.", code="empty_text", action="Type a question.")
    if len(text) > MAX_QUESTION_CHARS:
        raise BadInput(
            f"A question has at most {MAX_QUESTION_CHARS} characters.", code="too_long", action="Ask it shorter."
        )
    ids = tuple(dict.fromkeys(track_ids))
    language = speech.language if speech is not None else None
    return Question(
        uuid.uuid4().hex, text, client, moment.frame, datetime.now(UTC), ids, follows, speech is not None, language
    )


async def listen(facts: FactLog, question_id: str, after: int) -> AsyncIterator[QuestionFact | DeltaFact | AnswerFact]:
    """The facts of one question, from fact `after` on to its answer; the stream's end ends them too."""
    subscription = facts.subscribe(after, updates=False)
    try:
        while True:
            news, _ = await subscription.next()
            if not news:
                return
            for fact in news:
                body = fact.body
                if (isinstance(body, QuestionFact) and body.question.id == question_id) or (
                    isinstance(body, DeltaFact) and body.question_id == question_id
                ):
                    yield body
                elif isinstance(body, AnswerFact) and body.answer.question_id == question_id:
                    yield body
                    return
    finally:
        subscription.close()
