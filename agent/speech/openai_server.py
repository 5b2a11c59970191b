"""Any server with OpenAI's `/v1/audio/transcriptions`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agent.speech.guards import Transcript
from agent.speech.transcribe import wav_of
from agent.speech.types import F32, SAMPLE_RATE
from stream.errors import VoiceError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_S = 5.0
LEAST_S = 20.0
TIMES_SPOKEN = 2.0
_CODES = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi",
    "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "italian": "it",
    "japanese": "ja", "korean": "ko", "norwegian": "no", "polish": "pl", "portuguese": "pt", "romanian": "ro",
    "russian": "ru", "spanish": "es", "swedish": "sv", "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
"""`verbose_json` names languages in words, some servers in codes."""


class OpenAiTranscriber:
    """A `Transcriber`. `url` ends with `/v1`."""

    languages: tuple[str, ...] | None = None

    def __init__(self, url: str, *, model: str | None, api_key: str | None, least_s: float = LEAST_S) -> None:
        self._model = model or "whisper-1"
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._least_s = least_s
        self._verbose = True
        self._made: AsyncOpenAI | None = None

    @property
    def name(self) -> str:
        return self._model

    async def start(self) -> None:
        """Only whether it can be reached: servers differ in what else they can be asked."""
        openai = _openai()
        try:
            async with asyncio.timeout(2 * CONNECT_S):
                await self._client.models.list()
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise self._explained(error) from error
        except TimeoutError as error:
            raise self._unreachable() from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, openai.APIConnectionError):
                raise self._unreachable() from error

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        """The server takes one language; of several it is left to detect which."""
        language = languages[0] if len(languages) == 1 else None
        openai = _openai()
        wav = await asyncio.to_thread(wav_of, samples)
        within_s = self._least_s + TIMES_SPOKEN * len(samples) / SAMPLE_RATE
        try:
            async with asyncio.timeout(within_s):
                return _read(await self._asked(wav, language))
        except TimeoutError as error:
            raise VoiceError(f"The speech server has not answered for {within_s:.0f} s.") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._explained(error) from error

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    @property
    def _client(self) -> AsyncOpenAI:
        if self._made is None:
            openai = _openai()
            timeout = openai.Timeout(60.0, connect=CONNECT_S)
            key = self._api_key or "none"
            self._made = openai.AsyncOpenAI(base_url=self.url, api_key=key, timeout=timeout, max_retries=0)
        return self._made

    async def _asked(self, wav: bytes, language: str | None) -> Any:
        """In detail where the server knows how, which some refuse."""
        openai = _openai()
        given: dict[str, Any] = {
            "model": self._model,
            "file": ("speech.wav", wav, "audio/wav"),
            "response_format": "verbose_json" if self._verbose else "json",
            "temperature": 0,
        }
        if language is not None:
            given["language"] = language
        try:
            return await self._client.audio.transcriptions.create(**given)
        except openai.BadRequestError:
            if not self._verbose:
                raise
            self._verbose = False
            return await self._asked(wav, language)

    def _explained(self, error: Exception) -> VoiceError:
        openai = _openai()
        if isinstance(error, openai.APIConnectionError):
            return self._unreachable()
        if isinstance(error, openai.APIStatusError):
            if error.status_code in (401, 403):
                return VoiceError("The speech server wants a key.", action="Give it with voice.api_key_file.")
            if error.status_code == 404:
                return VoiceError(
                    f"The speech server has no model {self._model}, or transcribes nothing.",
                    action="Check voice.model.",
                )
            return VoiceError(f"The speech server failed ({error.status_code}).")
        return VoiceError("The speech server sent something that is no transcript.", action="Check voice.url.")

    def _unreachable(self) -> VoiceError:
        return VoiceError(
            f"The speech server at {self.url} does not answer.", action="Start it, or check voice.url; typing works."
        )


def _read(reply: Any) -> Transcript:
    """Raises `ValueError` where it is no transcript."""
    text = getattr(reply, "text", None)
    if not isinstance(text, str):
        raise ValueError("a reply without text")
    told = str(getattr(reply, "language", None) or "").casefold()
    language = _CODES.get(told, told if len(told) in (2, 3) and told.isalpha() else None)
    segments = getattr(reply, "segments", None) or ()
    return Transcript(
        text.strip(), language, _worst(segments, "no_speech_prob", max), _worst(segments, "avg_logprob", min),
        _worst(segments, "compression_ratio", max),
    )  # fmt: skip


def _worst(segments: Any, name: str, choose: Any) -> float | None:
    values = [getattr(segment, name, None) for segment in segments]
    known = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    return choose(known) if known else None


def _openai() -> ModuleType:
    # Imported at first use: it takes a second or more.
    import openai

    return openai
