"""Speech: what turns it into words, and the microphone sessions of the clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agent.backend import Backend
from agent.speech.choice import find_whisper
from agent.speech.listener import Listener
from agent.speech.model_ears import ModelEars
from agent.speech.openai_server import OpenAiTranscriber
from agent.speech.service import SpeechService, said
from agent.speech.transcribe import Transcriber
from agent.speech.types import VoiceStatus
from agent.speech.vad import find_vad
from agent.speech.whisper import WhisperProcess, check_installed
from stream.config import VoiceConfig
from stream.errors import BadInput, LimitReached, NotFound, OnlookerError
from stream.hub import Answer
from stream.models.voice import VoiceStore
from stream.sources.microphone import Microphone
from stream.sources.webrtc import WebRtcConfig
from stream.tasks import end

log = logging.getLogger(__name__)

VLM = "vlm"
"""In place of an address: the language model that answers."""
IDLE_S = 60.0
"""A session without packets, or in which nothing has been listened to, ends after so long."""
LOOK_EVERY_S = 1.0


@dataclass(slots=True)
class _Client:
    stream_id: str
    listener: Listener
    microphone: Microphone | None = None
    task: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Voice:
    """An async context manager; event loop only. `idle_s` is for tests."""

    def __init__(
        self,
        config: VoiceConfig,
        store: VoiceStore,
        webrtc: WebRtcConfig,
        backend: Callable[[], Backend],
        *,
        max_sessions: int,
        idle_s: float = IDLE_S,
    ) -> None:
        self.service = SpeechService(
            lambda: make_transcriber(config, store, backend),
            lambda: find_vad(store),
            languages=(config.language,) if config.language else (),
        )
        self._webrtc = webrtc
        self._max_sessions = max_sessions
        self.idle_s = idle_s
        self._clients: dict[str, _Client] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> VoiceStatus:
        return self.service.status

    @property
    def sessions(self) -> int:
        """Microphones that are open."""
        return sum(client.microphone is not None for client in self._clients.values())

    async def __aenter__(self) -> Voice:
        self._task = asyncio.create_task(self.service.run(), name="speech")
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients.values():
            await end(client.task)
        await end(self._task)

    @contextlib.asynccontextmanager
    async def client(self, key: str, stream_id: str, listener: Listener) -> AsyncIterator[None]:
        """A client of a stream is there, and may open a microphone under its `key`."""
        client = self._clients[key] = _Client(stream_id, listener)
        try:
            yield
        finally:
            del self._clients[key]
            await end(client.task)

    async def open(self, stream_id: str, key: str, offer_sdp: str) -> Answer:
        """Answer the offer of a client's microphone; the one that it has is replaced.

        Raises `NotFound`, `BadInput`, `MediaError` or `LimitReached`.
        """
        client = self._clients.get(key)
        if client is None or client.stream_id != stream_id:
            action = "Open the stream's websocket first; its hello says where the microphone goes."
            raise NotFound("There is no such client.", code="unknown_client", action=action)
        async with client.turn:
            if client.microphone is None and self.sessions >= self._max_sessions:
                raise LimitReached(f"At most {self._max_sessions} microphones at once.")
            microphone, answer_sdp = await Microphone.accept(offer_sdp, self._webrtc)
            await end(client.task)
            if key not in self._clients:  # gone while its offer was answered
                await microphone.close()
                raise NotFound("The client has gone.", code="unknown_client")
            client.microphone = microphone
            client.task = asyncio.create_task(self._serve(client, microphone), name=f"microphone {microphone.id}")
            await asyncio.sleep(0)  # a task that is cancelled before it has begun never cleans up
        return Answer(microphone.id, answer_sdp)

    async def close(self, stream_id: str, session: str) -> None:
        """End a microphone session. Raises `NotFound`."""
        for client in self._clients.values():
            if client.stream_id == stream_id and client.microphone is not None and client.microphone.id == session:
                await end(client.task)
                return
        raise NotFound("There is no such session.")

    async def _serve(self, client: _Client, microphone: Microphone) -> None:
        fault: OnlookerError | None = None
        try:
            await microphone.connected()
            await self.service.load_detector()
            client.listener.connect()
            async with asyncio.TaskGroup() as tasks:
                idle = tasks.create_task(self._until_idle(client.listener, microphone))
                await microphone.run(client.listener.hear)
                idle.cancel()
        except* OnlookerError as group:
            fault = group.exceptions[0] if isinstance(group.exceptions[0], OnlookerError) else None
            log.info("microphone %s: %s", microphone.id, fault)
        finally:
            client.microphone = client.task = None
            client.listener.disconnect(said(fault) if fault is not None else None)
            await microphone.close()

    async def _until_idle(self, listener: Listener, microphone: Microphone) -> None:
        idle_s = 0.0
        while idle_s < self.idle_s:
            await asyncio.sleep(min(LOOK_EVERY_S, self.idle_s / 4))
            idle_s = max(time.monotonic() - microphone.packet_s, listener.unused_s)
        microphone.finish()


def microphone_address(stream_id: str, client: str) -> str:
    """Where a client opens its microphone session; `client` is known to it alone."""
    return f"/v1/streams/{stream_id}/microphone?client={client}"


def make_transcriber(config: VoiceConfig, store: VoiceStore, backend: Callable[[], Backend]) -> Transcriber:
    """As configured. Raises `VoiceMissing`, `ModelMissing`, `VoiceError` or `BadInput` with what to do about it."""
    from web.vlm import read_key

    if config.url == VLM:
        return ModelEars(backend)
    if config.url is not None:
        return OpenAiTranscriber(config.url, model=config.model, api_key=read_key(config.api_key_file))
    check_installed()
    return WhisperProcess(find_whisper(config.model, store), device=config.device)


def check_voice(config: VoiceConfig) -> None:
    """Raises `BadInput` for an address that is none."""
    if config.url not in (None, VLM) and not str(config.url).startswith(("http://", "https://")):
        raise BadInput(f"{config.url} is no address of a speech server.", action=f"Give http://host:port/v1, or {VLM}.")
