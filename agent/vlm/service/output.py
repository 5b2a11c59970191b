"""Tokens as an answer: text without thoughts and special tokens, tool calls, and stop texts."""

from __future__ import annotations

from typing import Any

from agent.vlm.service.calls import Call, CallFinder, held_back, read_call
from agent.vlm.text import Cleaner


class Output:
    """One answer. `feed` gives what can be told of it; `stopped` is set when a stop text has come."""

    def __init__(self, tokenizer: Any, *, stop: tuple[str, ...] = (), tools: bool = False) -> None:
        from tokenizers.decoders import DecodeStream

        self._decoder = DecodeStream(skip_special_tokens=False)
        self._tokenizer = tokenizer.backend_tokenizer
        self._cleaner = Cleaner()
        self._finder = CallFinder() if tools else None
        self._stop = stop
        self._held = ""
        self.stopped = False

    def feed(self, token: int) -> str:
        """The text that is certain after `token`."""
        piece = self._decoder.step(self._tokenizer, token) or ""
        if self._finder is not None:
            piece = self._finder.feed(piece)
        return self._until_stop(self._cleaner.feed(piece))

    def end(self) -> str:
        rest = self._cleaner.feed(self._finder.end()) if self._finder is not None else ""
        text = self._until_stop(rest + self._cleaner.end())
        held, self._held = self._held, ""
        return text + ("" if self.stopped else held)

    def calls(self) -> tuple[Call, ...]:
        """The calls that can be read; text that only looks like one is dropped."""
        found: list[Call] = []
        for text in self._finder.calls if self._finder is not None else ():
            try:
                found.append(read_call(text))
            except ValueError:
                continue
        return tuple(found)

    def _until_stop(self, text: str) -> str:
        """`text` up to the first stop text; what could become one is held back."""
        if self.stopped:
            return ""
        self._held += text
        ends = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            certain, self._held = self._held[: min(ends)], ""
            return certain
        keep = max((held_back(self._held, stop) for stop in self._stop), default=0)
        certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain
