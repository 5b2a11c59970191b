"""The language model server: found at start or whenever it comes up, and what is known of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

from agent.loop import Agents
from agent.vlm.backend import VlmBackend
from agent.vlm.client import VlmClient
from agent.vlm.profiles import Profile, probe
from agent.vlm.service.launch import DEFAULT_MODEL, GemmaProcess
from agent.vlm.service.model import check_installed
from stream.config import VlmConfig
from stream.errors import BadInput, ModelServerError

log = logging.getLogger(__name__)

GEMMA = "gemma"
"""In place of an address: a server of our own, started beside."""
AGAIN_S = 15.0
"""A server that is not there yet is asked again after so long."""


@dataclass(slots=True)
class VlmState:
    """`profile` once it has answered, `error` while it does not."""

    config: VlmConfig
    profile: Profile | None = None
    error: ModelServerError | None = None


class ModelServer:
    """Connects the agents to the configured server. An async context manager; event loop only."""

    def __init__(self, config: VlmConfig, agents: Agents) -> None:
        self.state = VlmState(config)
        self._agents = agents
        self._task: asyncio.Task[None] | None = None
        self._child: GemmaProcess | None = None

    async def __aenter__(self) -> ModelServer:
        config = self.state.config
        if config.url == GEMMA:
            self._child = GemmaProcess(config.model or DEFAULT_MODEL)
            self._task = asyncio.create_task(self._connect_child(self._child), name="language model")
        elif config.url is not None:
            self._task = asyncio.create_task(self._connect(config.url, config.model), name="language model")
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
            log.warning("%s %s", error.message, error.action)
            self.state.error = error
        else:
            await self._connect(url, None)

    async def _connect(self, url: str, model: str | None) -> None:
        """Until it has been found; the facts answer meanwhile."""
        config = self.state.config
        while self.state.profile is None:
            try:
                key = read_key(config.api_key_file)
                self.state.profile = await probe(url, model=model, api_key=key)
            except ModelServerError as error:
                if self.state.error is None or self.state.error.message != error.message:
                    log.warning("%s %s Trying again every %.0f s.", error.message, error.action, AGAIN_S)
                self.state.error = error
                await asyncio.sleep(AGAIN_S)
            else:
                self.state.error = None
                client = VlmClient(url, model=self.state.profile.model, api_key=key)
                self._agents.use(VlmBackend(client, self.state.profile))


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
