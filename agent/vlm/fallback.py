"""A model whose server may go away: the tracks answer what was asked then, and whoever watches the server is told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from agent.backend import AlertQuery, Query
from agent.scene import Scene
from agent.types import Moment, Verdict
from agent.vlm.backend import VlmBackend
from agent.vlm.client import VlmClient
from agent.vlm.facts import FactsBackend
from agent.vlm.profiles import Profile
from stream.errors import ModelServerAway, ModelServerError


class FallingBack(VlmBackend):
    """`on_fault` hears of every call that failed; `heard_s` is when the server was last heard of, monotonic."""

    def __init__(self, client: VlmClient, profile: Profile, on_fault: Callable[[ModelServerError], None]) -> None:
        super().__init__(client, profile)
        self._on_fault = on_fault
        self.heard_s = time.monotonic()

    async def answer(self, query: Query) -> AsyncIterator[str]:
        said = False
        try:
            async for piece in super().answer(query):
                said, self.heard_s = True, time.monotonic()
                yield piece
        except ModelServerError as error:
            self._fault(error)
            if said or not isinstance(error, ModelServerAway):
                raise
            async for piece in FactsBackend(error).answer(query):
                yield piece

    async def describe(self, track_id: int, moment: Moment, scene: Scene) -> str | None:
        with self._noted():
            return await super().describe(track_id, moment, scene)

    async def verify(self, query: AlertQuery) -> Verdict:
        with self._noted():
            return await super().verify(query)

    async def choose(self, phrase: str, moment: Moment, scene: Scene, candidates: tuple[int, ...]) -> tuple[int, ...]:
        with self._noted():
            return await super().choose(phrase, moment, scene, candidates)

    async def write_down(self, wav: bytes, request: str) -> str:
        with self._noted():
            return await super().write_down(wav, request)

    @property
    def url(self) -> str:
        return self._client.url

    async def look(self) -> None:
        """Ask the server for something small. Raises `ModelServerError`."""
        await self._client.models()
        self.heard_s = time.monotonic()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except ModelServerError as error:
            self._fault(error)
            raise
        self.heard_s = time.monotonic()

    def _fault(self, error: ModelServerError) -> None:
        self.heard_s = float("-inf")
        self._on_fault(error)
