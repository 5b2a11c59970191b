"""The prompts of one stream: those in force, those being applied to a track, and those that can still be restored."""

from __future__ import annotations

import time
from dataclasses import replace

from stream.errors import LimitReached, NotFound
from stream.facts import PromptFact
from stream.prompts import MAX_PROMPTS, PromptDraft, to_prompt
from stream.types import Prompt, PromptChange, PromptState

UNDO_S = 60.0


class PromptBook:
    """Bounded: at most `MAX_PROMPTS` in force, and what was removed is forgotten after 60 s."""

    def __init__(self, next_id: int) -> None:
        self.next_id = next_id
        self._active: dict[int, PromptFact] = {}
        self._refining: dict[int, PromptFact] = {}
        self._removed: dict[int, tuple[float, PromptFact]] = {}

    @property
    def active(self) -> tuple[PromptFact, ...]:
        return tuple(self._active.values())

    def number(self, draft: PromptDraft, size_px: tuple[int, int]) -> Prompt:
        """`draft` with an id of its own, in pixels of a `(width, height)` picture.

        Raises `BadInput`, or `LimitReached` when there are too many prompts.
        """
        if len(self._active) >= MAX_PROMPTS:
            raise LimitReached(f"A stream has at most {MAX_PROMPTS} prompts.", action="Remove one first.")
        prompt = to_prompt(draft, self.next_id, *size_px)
        self.next_id += 1
        return prompt

    def note(self, prompt: Prompt, change: PromptChange, size_px: tuple[int, int]) -> PromptFact:
        """The prompt's new state; a failed one is dropped, and so is a refinement that has been applied."""
        fact = PromptFact(prompt, change.state, change.message, change.track_ids, change.alternatives, size_px)
        refines = prompt.track_id is not None
        kept = self._refining if refines else self._active
        if change.state is PromptState.FAILED or (refines and change.state is PromptState.ACTIVE):
            kept.pop(prompt.id, None)
        else:
            kept[prompt.id] = fact
        return fact

    def changed(self, change: PromptChange) -> PromptFact | None:
        """What is news of a prompt, beside what was said of it before; None when it has been removed meanwhile."""
        fact = self._active.get(change.prompt_id) or self._refining.get(change.prompt_id)
        if fact is None:
            return None
        if change.message is None and change.state is fact.state:
            change = replace(change, message=fact.message)
        return self.note(fact.prompt, change, fact.picture_size_px)

    def get(self, prompt_id: int) -> PromptFact:
        """A prompt in force. Raises `NotFound`."""
        if prompt_id not in self._active:
            raise NotFound(f"There is no prompt {prompt_id}.", code="unknown_prompt")
        return self._active[prompt_id]

    def remove(self, prompt_id: int) -> PromptFact | None:
        """Take a prompt out of force, to be restored by choice; None when it is out already."""
        self._forget_old()
        fact = self._active.pop(prompt_id, None)
        if fact is not None:
            self._removed[prompt_id] = time.monotonic(), fact
        return fact

    def removed(self, prompt_id: int) -> PromptFact:
        """A prompt that can be restored. Raises `NotFound`."""
        self._forget_old()
        if prompt_id not in self._removed:
            raise NotFound(f"There is no removed prompt {prompt_id}.", code="unknown_prompt")
        return self._removed[prompt_id][1]

    def restore(self, fact: PromptFact) -> None:
        """Put a removed prompt back in force."""
        self._removed.pop(fact.prompt.id, None)
        self._active[fact.prompt.id] = fact

    def _forget_old(self) -> None:
        now_s = time.monotonic()
        self._removed = {key: entry for key, entry in self._removed.items() if now_s - entry[0] < UNDO_S}
