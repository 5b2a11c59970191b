"""The language model server: found at start or whenever it comes up, missed when it goes away, found again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.agents import Agents
from agent.vlm.client import VlmClient
from agent.vlm.facts import FactsBackend
from agent.vlm.fallback import FallingBack
from agent.vlm.profiles import Profile, probe
from agent.vlm.service.launch import DEFAULT_MODEL, GemmaProcess
from agent.vlm.service.model import check_installed
from stream.config import VlmConfig
from stream.errors import BadInput, ModelServerAway, ModelServerError

log = logging.getLogger(__name__)

GEMMA = "gemma"
"""In place of an address: a server of our own, started beside."""
AGAIN_S = 15.0
"""A server that is not there yet is asked again after so long, and one that has said nothing for so long whether it is
still there."""
LOOK_S = 5.0
MOST_MISSES = 2
"""A server that is only slow to say that it is there is missed after so many times."""


@dataclass(slots=True)
class VlmState:
    """`profile` while it answers, `error` while it does not."""

    config: VlmConfig
    profile: Profile | None = None
    error: ModelServerError | None = None


class ModelServer:
    """Connects the agents to the configured server. An async context manager; event loop only."""

    def __init__(self, config: VlmConfig, agents: Agents) -> None:
        self.state = VlmState(config)
        self.wanted: Callable[[], bool] = lambda: True
        """Whether anybody cares now whether the server is there."""
        self._agents = agents
        self._doubt = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._child: GemmaProcess | None = None

    async def __aenter__(self) -> ModelServer:
        config = self.state.config
        if config.url == GEMMA:
            self._child = GemmaProcess(config.model or DEFAULT_MODEL)
            self._task = asyncio.create_task(self._connect_child(self._child), name="language model")
        elif config.url is not None:
            self._task = asyncio.create_task(self._keep(config.url, config.model), name="language model")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._child is not None:
            await asyncio.to_thread(self._child.stop)

    async def _connect_child(self, child: GemmaProcess) -> None:
        """The facts answer until it has loaded, and where it cannot."""
        try:
            url = await asyncio.to_thread(child.wait)
        except ModelServerError as error:
            self._without(error)
        else:
            await self._keep(url, None)

    def doubt(self) -> None:
        """Somebody wants to know: find out soon whether the server is still there, unless that is known."""
        self._doubt.set()

    async def _keep(self, url: str, model: str | None) -> None:
        while True:
            backend = await self._found(url, model)
            await self._lost(backend)
            await backend.close()

    async def _found(self, url: str, model: str | None) -> FallingBack:
        """Wait until the server answers; the facts answer meanwhile."""
        config = self.state.config
        while True:
            try:
                key = read_key(config.api_key_file)
                profile = await probe(url, model=model, api_key=key)
            except ModelServerError as error:
                self._without(error)
                await asyncio.sleep(AGAIN_S)
            else:
                if self.state.error is not None:
                    log.warning("The language model server at %s answers.", url)
                backend = FallingBack(VlmClient(url, model=profile.model, api_key=key), profile, self._failed)
                self.state.profile, self.state.error = profile, None
                self._agents.use(backend)
                return backend

    async def _lost(self, backend: FallingBack) -> None:
        """Wait until the server does not answer any more."""
        misses = 0
        while self.state.error is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._doubt.wait()
            doubted = self._doubt.is_set()
            self._doubt.clear()
            known = time.monotonic() - backend.heard_s < AGAIN_S
            if self.state.error is not None or known or not (doubted or self.wanted()):
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await backend.look()
            except ModelServerAway as error:
                self._without(error)
            except TimeoutError:
                misses += 1
                if misses >= MOST_MISSES:
                    self._without(
                        ModelServerAway(f"The language model server at {backend.url} hangs.", action="Restart it.")
                    )
            except ModelServerError:
                misses = 0  # it is there, and says no to this
            else:
                misses = 0

    def _failed(self, error: ModelServerError) -> None:
        """A call did: either nobody is there, or that is to be found out."""
        if isinstance(error, ModelServerAway):
            self._without(error)
        self._doubt.set()

    def _without(self, error: ModelServerError) -> None:
        """The tracks alone answer, and that is said."""
        before = self.state.error
        if before is None or before.message != error.message:
            log.warning("%s %s", error.message, error.action)
            self._agents.use(FactsBackend(error))
        self.state.profile, self.state.error = None, error


def read_key(path: Path | None) -> str | None:
    """The key in the operator's file. Raises `ModelServerError` where it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ModelServerError(f"{path} cannot be read.", action="Correct vlm.api_key_file.") from error


def check_vlm(config: VlmConfig) -> None:
    """Raises `BadInput` for an address that is none, `Missing` where our own server's packages are."""
    if config.url == GEMMA:
        check_installed()
    elif config.url is not None and not config.url.startswith(("http://", "https://")):
        raise BadInput(
            f"{config.url} is no address of a language model server.", action="Give http://host:port/v1, or gemma."
        )
