"""What all microphones of a server share: one transcriber, kept running, and the detector's weights."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.speech.guards import Transcript
from agent.speech.transcribe import Transcriber
from agent.speech.types import F32, VoiceStatus
from agent.speech.vad import Vad, VadModel
from agent.types import AgentError
from stream.errors import ModelMissing, OnlookerError, VoiceError

log = logging.getLogger(__name__)

AGAIN_S = 5.0
SLOWEST_AGAIN_S = 60.0
"""What cannot be started is tried again after the one, later ever more rarely up to the other."""
MOST_WAITING = 4


class SpeechService:
    """`make` and `find_detector` raise `OnlookerError` where something is missing, and are asked again. `languages` may
    be spoken where nobody says which. Event loop only."""

    def __init__(
        self, make: Callable[[], Transcriber], find_detector: Callable[[], Path], *, languages: tuple[str, ...] = ()
    ) -> None:
        self.languages = languages
        self.status = VoiceStatus()
        self._make = make
        self._find_detector = find_detector
        self._transcriber: Transcriber | None = None
        self._vad: VadModel | None = None
        self._wanted = asyncio.Event()
        self._used = False
        self._waiting = 0

    async def run(self) -> None:
        """Keep the transcriber running, from its first use on, until cancelled."""
        again_s = AGAIN_S
        try:
            while True:
                self._wanted.clear()
                if await self._started():
                    again_s = AGAIN_S
                    await self._wanted.wait()
                    continue
                try:
                    async with asyncio.timeout(again_s):
                        await self._wanted.wait()
                except TimeoutError:
                    again_s = min(2 * again_s, SLOWEST_AGAIN_S)
        finally:
            if self._transcriber is not None:
                await self._transcriber.close()

    def use(self) -> None:
        """Somebody may speak soon: the transcriber is started, if it has not been; until then it takes no memory."""
        if not self._used:
            self._used = True
            self._wanted.set()

    def try_again(self) -> None:
        """Something that was missing may be there now."""
        self._wanted.set()

    async def load_detector(self) -> None:
        """Before the first `detector`. Where the weights are missing there is none."""
        if self._vad is None:
            try:
                self._vad = await asyncio.to_thread(lambda: VadModel(self._find_detector()))
            except ModelMissing as error:
                log.warning("%s %s", error.message, error.action)

    def detector(self) -> Vad | None:
        """For one microphone; None where the weights are missing."""
        return Vad(self._vad) if self._vad is not None else None

    def require_detector(self) -> None:
        """Raises `ModelMissing` where there is none."""
        if self._vad is None:
            self._find_detector()

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        """As `Transcriber.transcribe`. Raises `OnlookerError`, with the reason where there is no transcriber."""
        transcriber = self._transcriber
        if transcriber is None or not self.status.ready:
            raise self._unready()
        if self._waiting >= MOST_WAITING:
            raise VoiceError("Too much is being said at once.", action="Wait a moment, or type it.")
        self._waiting += 1
        try:
            return await transcriber.transcribe(samples, languages=languages)
        except VoiceError as error:
            log.warning("%s", error.message)
            self.status = VoiceStatus(transcriber.name, error=said(error))
            self._wanted.set()
            raise
        finally:
            self._waiting -= 1

    async def _started(self) -> bool:
        try:
            if self._transcriber is None:
                self._transcriber = self._make()
            if self._used:
                await self._transcriber.start()
        except OnlookerError as error:
            name = self._transcriber.name if self._transcriber is not None else None
            if self.status.error is None or self.status.error.message != error.message:
                log.info("%s %s", error.message, error.action)
            self.status = VoiceStatus(name, error=said(error))
            return False
        self.status = VoiceStatus(self._transcriber.name, True, self._transcriber.languages)
        return True

    def _unready(self) -> VoiceError:
        error = self.status.error
        if error is None:
            return VoiceError("The speech model is still being loaded.", action="Try again in a moment, or type it.")
        unready = VoiceError(error.message, action=error.action)
        unready.code, unready.retryable = error.code, error.retryable
        return unready


def said(error: OnlookerError) -> AgentError:
    return AgentError(error.code, error.message, error.action, error.retryable)
