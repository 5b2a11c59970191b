"""What answers: the one seam between the agent's loop and whatever stands behind it, a model or the facts alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.keyframes import Keyframe
from agent.scene import Scene
from agent.tools import Tools
from agent.types import Event, Moment, Question, Verdict, Watch
from stream.errors import ModelServerError

Sense = Literal["image", "audio", "tools"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was answered before, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Query:
    """All that an answer may draw on, frozen when the question starts.

    `previous` are the turns that the question goes on from, oldest first; `keyframes` pictures of what went before,
    oldest first; `wav` is the question's sound, where it was spoken.
    """

    question: Question
    moment: Moment
    scene: Scene
    previous: tuple[Turn, ...] = ()
    keyframes: tuple[Keyframe, ...] = ()
    tools: Tools | None = None
    wav: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Whether what `watch` waits for is seen: the event that proposes it and pictures from before, oldest first."""

    watch: Watch
    event: Event
    moment: Moment
    scene: Scene
    keyframes: tuple[Keyframe, ...] = ()


class Backend(Protocol):
    """Raises `ModelServerError` where it cannot answer; is cancelled by cancelling the task that waits for it."""

    name: str
    is_model: bool
    missing: ModelServerError | None
    """Why this answers in place of a model that was asked for."""

    @property
    def can(self) -> frozenset[Sense]: ...

    def speaks(self, language: str | None) -> str | None:
        """The language (ISO 639) that a question in `language` is answered in, where that is known."""
        ...

    def answer(self, query: Query) -> AsyncIterator[str]:
        """Pieces of the answer's text as they come, objects named as `[#3]`."""
        ...

    async def describe(self, track_id: int, moment: Moment, scene: Scene) -> str | None:
        """A short description of a track from its look; None where the backend has no eyes."""
        ...

    async def verify(self, query: AlertQuery) -> Verdict:
        """Decide an alert."""
        ...

    async def choose(self, phrase: str, moment: Moment, scene: Scene, candidates: tuple[int, ...]) -> tuple[int, ...]:
        """Which of the tracks `candidates` are what `phrase` means; all of them where it cannot tell."""
        ...

    async def close(self) -> None: ...
