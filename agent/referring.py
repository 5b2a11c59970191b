"""Phrases that say which one: “the person holding a phone”.

The engine follows the concept, every person; the model looks at them and says which are meant; the others are let go,
unless another prompt follows them too. Whoever comes later is judged as well. Where no model can see, all are followed,
and the prompt says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.labels import is_narrower
from agent.types import Moment
from agent.worker import Job, Priority
from stream.engines.words import resolve
from stream.errors import ModelServerError, NotFound, OnlookerError, UnknownWord
from stream.facts import PromptFact
from stream.types import PromptKind, PromptState, Track, TrackState, TrackUpdate

if TYPE_CHECKING:
    from agent.loop import StreamAgent

SETTLED_S = 0.7
"""A candidate must have been there so long; those that come together are judged together."""
MOST_PHRASES = 32


@dataclass(slots=True)
class _Phrase:
    text: str
    label: str
    judged: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    let_go: set[int] = field(default_factory=set)
    """Whoever brings one of these back wants it back."""
    busy: bool = False

    def others(self, prompt_id: int, tracks: Iterable[Track]) -> set[int]:
        """Who is followed for this phrase alone and is known not to be meant."""
        own = {track.id for track in tracks if track.prompt_id == prompt_id}
        return (own & self.judged) - self.kept - self.let_go if self.kept else set()


class Referring:
    """The phrases of one stream. Event loop only."""

    def __init__(self, agent: StreamAgent) -> None:
        self._agent = agent
        self._phrases: dict[int, _Phrase] = {}

    def hear(self, fact: PromptFact) -> None:
        """A prompt was added, changed or removed."""
        prompt = fact.prompt
        if fact.state is not PromptState.ACTIVE:
            self._phrases.pop(prompt.id, None)
        elif prompt.kind is PromptKind.TEXT and prompt.id not in self._phrases and says_which(prompt.text or ""):
            text = prompt.text or ""
            self._phrases[prompt.id] = _Phrase(text, resolve(text).label)
            while len(self._phrases) > MOST_PHRASES:
                del self._phrases[next(iter(self._phrases))]

    def consider(self, update: TrackUpdate) -> None:
        """Have new candidates judged."""
        if not self._phrases or "image" not in self._agent.backend.can:
            return
        for prompt_id, phrase in self._phrases.items():
            new = {track.id for track in update.tracks if _is_candidate(track, prompt_id, phrase)} - phrase.judged
            if (new or phrase.others(prompt_id, update.tracks)) and not phrase.busy:
                phrase.busy = True
                self._submit(prompt_id, phrase, new)

    def _submit(self, prompt_id: int, phrase: _Phrase, new: set[int]) -> None:
        async def work() -> None:
            try:
                await self._judge(prompt_id, phrase, new)
            finally:
                phrase.busy = False

        def dropped() -> None:
            phrase.busy = False

        self._agent.worker.submit(Job(Priority.ALERT, f"phrase {prompt_id}", work, dropped))

    async def _judge(self, prompt_id: int, phrase: _Phrase, new: set[int]) -> None:
        agent = self._agent
        moment = await agent.moment()
        there = {track.id for track in moment.tracks if track.mask is not None}
        candidates = tuple(sorted((new | phrase.kept) & there))
        if new & set(candidates) and not await self._choose(prompt_id, phrase, moment, candidates):
            return
        others = phrase.others(prompt_id, moment.tracks)
        phrase.let_go |= others
        await self._let_go(others)

    async def _choose(self, prompt_id: int, phrase: _Phrase, moment: Moment, candidates: tuple[int, ...]) -> bool:
        """Whether it is known now which are meant."""
        agent = self._agent
        try:
            chosen = set(await agent.backend.choose(phrase.text, moment, agent.scene.snapshot(), candidates))
        except ModelServerError as error:
            phrase.judged |= set(candidates)
            self._say(prompt_id, f"The model could not say which are meant ({error.message}); all are followed.")
            return False
        phrase.judged |= set(candidates)
        if not chosen and not phrase.kept:
            self._say(prompt_id, f"The model sees none that is “{phrase.text}” yet; all are followed.")
            return False
        phrase.kept |= chosen
        # Not those who have gone for good: they would be more and more.
        named = sorted(phrase.kept & {track.id for track in moment.tracks})
        if named:
            names = ", ".join(f"#{track_id}" for track_id in named)
            self._say(prompt_id, f"The model took {names} for “{phrase.text}”.")
        return True

    async def _let_go(self, track_ids: set[int]) -> None:
        for track_id in sorted(track_ids):
            try:
                await self._agent.session.remove_track(track_id)
            except NotFound:
                continue

    def _say(self, prompt_id: int, message: str) -> None:
        try:
            self._agent.session.tell_prompt(prompt_id, message)
        except OnlookerError:
            self._phrases.pop(prompt_id, None)


def says_which(text: str) -> bool:
    """Whether a concept has more to it than the engine's word for it."""
    try:
        concept = resolve(text)
    except UnknownWord:
        return False
    return bool(concept.ignored) or is_narrower(concept.word)


def _is_candidate(track: Track, prompt_id: int, phrase: _Phrase) -> bool:
    seen = track.state is TrackState.LIVE and track.mask is not None
    # Where two prompts ask for the same thing, the engine follows it for one of them.
    meant = track.prompt_id == prompt_id or track.label == phrase.label
    return seen and meant and track.age_s >= SETTLED_S
