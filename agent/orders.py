"""Does what free words ask for, and can undo it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.commands import Command, Wish, understand
from agent.labels import singulars, stands_for
from agent.types import Speech
from stream.errors import BadInput, NotFound
from stream.prompts import PromptDraft
from stream.types import FrameRef, PromptKind

if TYPE_CHECKING:
    from agent.loop import StreamAgent

KEPT_UNDOS = 20
_PASSING = frozenset({"the", "a", "an", "this", "that", "my", "when", "if", "is", "are", "for", "any", "all", "every"})


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has become: the ids of what was made, changed or removed."""

    prompt_id: int | None = None
    track_id: int | None = None
    question_id: str | None = None
    watch_id: str | None = None


class Orders:
    """The commands of one client. Event loop only."""

    def __init__(self, agent: StreamAgent, client: str) -> None:
        self._agent = agent
        self._client = client
        self._undos: deque[Callable[[], Awaitable[Done]]] = deque(maxlen=KEPT_UNDOS)

    async def obey(
        self,
        text: str,
        *,
        track_ids: Iterable[int] = (),
        frame: FrameRef | None = None,
        follows: str | None = None,
        speech: Speech | None = None,
    ) -> Done:
        """Do what `text` asks for; the rest is for a question, as `StreamAgent.ask` takes it.

        Raises `OnlookerError` where it cannot be done, and nothing is changed then.
        """
        command = understand(text)
        match command.wish:
            case Wish.TRACK:
                return await self._track(command)
            case Wish.UNTRACK:
                return await self._untrack(command)
            case Wish.RESTORE:
                return await self._restore(command.track_ids)
            case Wish.RENAME:
                self._agent.session.rename_track(command.track_ids[0], command.text)
                return Done(track_id=command.track_ids[0])
            case Wish.WATCH:
                return self._watch(command.text)
            case Wish.UNWATCH:
                return self._unwatch(command.text)
            case Wish.UNDO:
                return await self._undo()
            case Wish.STOP:
                stopped = self._agent.conversation.stop(client=self._client)
                return Done(question_id=stopped[0] if stopped else None)
            case Wish.ASK:
                question = await self._agent.ask(
                    command.text, client=self._client, track_ids=track_ids, frame=frame, follows=follows, speech=speech
                )
                return Done(question_id=question.id)

    async def _track(self, command: Command) -> Done:
        if command.track_ids:
            return await self._restore(command.track_ids)
        fact = await self._agent.session.add_prompt(PromptDraft(PromptKind.TEXT, text=command.text))
        prompt_id = fact.prompt.id

        async def undo() -> Done:
            await self._agent.session.remove_prompt(prompt_id)
            return Done(prompt_id=prompt_id)

        self._undos.append(undo)
        return Done(prompt_id=prompt_id)

    async def _untrack(self, command: Command) -> Done:
        if command.track_ids:
            return await self._remove_tracks(command.track_ids)
        active = list(self._agent.session.prompts)
        if command.text:
            active = [fact for fact in active if _is_about(command.text, fact.prompt.text or "")]
        if active:
            return await self._remove_prompts(tuple(fact.prompt.id for fact in active))
        tracks = self._named(command.text)
        if not tracks:
            raise NotFound("Nothing like that is followed.", code="unknown_track", action="Name it by its number.")
        return await self._remove_tracks(tracks)

    async def _remove_prompts(self, prompt_ids: tuple[int, ...]) -> Done:
        for prompt_id in prompt_ids:
            await self._agent.session.remove_prompt(prompt_id)

        async def undo() -> Done:
            for prompt_id in prompt_ids:
                await self._agent.session.restore_prompt(prompt_id)
            return Done(prompt_id=prompt_ids[0])

        self._undos.append(undo)
        return Done(prompt_id=prompt_ids[0])

    async def _remove_tracks(self, track_ids: tuple[int, ...]) -> Done:
        self._require(track_ids)
        for track_id in track_ids:
            await self._agent.session.remove_track(track_id)
        self._undos.append(lambda: self._restore(track_ids))
        return Done(track_id=track_ids[0])

    async def _restore(self, track_ids: tuple[int, ...]) -> Done:
        """Those that are followed stay so."""
        there = {thing.id for thing in self._agent.scene.snapshot().visible}
        for track_id in track_ids:
            try:
                await self._agent.session.restore_track(track_id)
            except NotFound:
                if track_id not in there:
                    raise
        return Done(track_id=track_ids[0])

    def _watch(self, condition: str) -> Done:
        watch = self._agent.add_watch(condition)

        async def undo() -> Done:
            self._agent.remove_watch(watch.id)
            return Done(watch_id=watch.id)

        self._undos.append(undo)
        return Done(watch_id=watch.id)

    def _unwatch(self, condition: str) -> Done:
        watches = self._agent.watches.all()
        wanted = [watch for watch in watches if _words(condition) <= _words(watch.condition)]
        if len(wanted) != 1:
            many = "Several watches are like that." if wanted else "There is no such watch."
            raise NotFound(many, code="unknown_watch", action="Say its condition as it stands in the list.")
        watch = wanted[0]
        self._agent.remove_watch(watch.id)

        async def undo() -> Done:
            again = self._agent.add_watch(
                watch.condition, cooldown_s=watch.cooldown_s, severity=watch.severity, enabled=watch.enabled
            )
            return Done(watch_id=again.id)

        self._undos.append(undo)
        return Done(watch_id=watch.id)

    async def _undo(self) -> Done:
        if not self._undos:
            raise BadInput("There is nothing to undo.", code="bad_input", action="Say what to do.")
        return await self._undos.pop()()

    def _named(self, text: str) -> tuple[int, ...]:
        """The objects in sight that a phrase names. Raises `BadInput` where one of several is meant."""
        if not text:
            return ()
        visible = self._agent.scene.snapshot().visible
        found = tuple(thing.id for thing in visible if _is_about(text, thing.label))
        first, last = text.casefold().split()[0], text.casefold().split()[-1]
        plural = last != singulars(last)[-1] or first in ("all", "every", "any", "both", "each")
        if len(found) > 1 and not plural:
            names = ", ".join(f"#{track_id}" for track_id in found)
            raise BadInput(f"There are {len(found)} of them: {names}.", action="Say which number.")
        return found

    def _require(self, track_ids: tuple[int, ...]) -> None:
        known = {thing.id for thing in self._agent.scene.snapshot().objects}
        for track_id in track_ids:
            if track_id not in known:
                raise NotFound(f"There is no track {track_id}.", code="unknown_track")


def _is_about(phrase: str, name: str) -> bool:
    """Whether a phrase of the user's is another word for what is followed."""
    plain = " ".join(word for word in phrase.casefold().split() if word not in _PASSING)
    other = " ".join(word for word in name.casefold().split() if word not in _PASSING)
    return bool(plain and other) and (plain == other or stands_for(plain, other))


def _words(text: str) -> set[str]:
    plain = text.casefold().replace(",", " ").split()
    return {singulars(word)[-1] for word in plain if word not in _PASSING}
