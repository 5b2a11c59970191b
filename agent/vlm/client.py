"""One client for every language model server: OpenAI's chat completions, streamed, never retried behind one's back.

A retry would ask again about a frame that is stale by then; whoever asked decides.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agent.vlm.text import Cleaner
from stream.errors import ModelServerAway, ModelServerError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Message = Mapping[str, Any]
Schema = Mapping[str, Any]

CONNECT_S = 5.0
FIRST_TOKEN_S = 60.0
NEXT_TOKEN_S = 20.0
MAX_CHARS = 8000
"""A model that goes on beyond this has lost its way."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is None where they were no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: text, or, as the last, the tools to call."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str | None = None
    """Why the model stopped: `stop`, `length`, `tool_calls`; set on the last piece."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask. `extra` goes into the request's body as it is (a backend's own switches)."""

    max_tokens: int = 512
    temperature: float = 1.0
    top_p: float = 0.95
    schema: Schema | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str | None


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


class VlmClient:
    """A server at `url` (as `http://host:port/v1`) and one of its models. Raises `ModelServerError` throughout."""

    def __init__(self, url: str, *, model: str, api_key: str | None = None) -> None:
        self.url = url
        self.model = model
        self._api_key = api_key
        self._made: AsyncOpenAI | None = None

    async def models(self) -> list[dict[str, Any]]:
        """What the server lists: `id`, `owned_by` and whatever it adds."""
        openai = _openai()
        try:
            page = await self._client.models.list()
            return [model.model_dump() for model in page.data]
        except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
            raise self._explained(error) from error

    async def stream(self, messages: Sequence[Message], asking: Asking) -> AsyncIterator[Piece]:
        """The answer in pieces, cleaned of thoughts and special tokens; the last carries `finish`.

        Closing the iterator, or cancelling the task that waits for it, ends the request at once.
        """
        openai = _openai()
        cleaner, calls, chars = Cleaner(), dict[int, _PartialCall](), 0
        finish: str | None = None
        try:
            async with asyncio.timeout(FIRST_TOKEN_S) as deadline:
                response = await self._client.chat.completions.create(**self._body(messages, asking))
                async with response:
                    async for chunk in response:
                        deadline.reschedule(asyncio.get_running_loop().time() + NEXT_TOKEN_S)
                        text, reason = _read(chunk, calls)
                        finish = reason or finish
                        chars += len(text)
                        if (certain := cleaner.feed(text)) != "":
                            yield Piece(certain)
                        if chars > MAX_CHARS:
                            finish = "length"
                            break
        except TimeoutError as error:
            raise _too_slow() from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, _transport_error()) as error:
            raise self._explained(error) from error
        yield Piece(cleaner.end(), tuple(_whole(call) for call in calls.values()), finish or "stop")

    async def complete(self, messages: Sequence[Message], asking: Asking) -> Completion:
        """The whole answer."""
        text: list[str] = []
        last = Piece()
        async for last in self.stream(messages, asking):
            text.append(last.text)
        return Completion("".join(text).strip(), last.tool_calls, last.finish)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    @property
    def _client(self) -> AsyncOpenAI:
        if self._made is None:
            openai = _openai()
            timeout = openai.Timeout(FIRST_TOKEN_S, connect=CONNECT_S)
            key = self._api_key or "none"
            self._made = openai.AsyncOpenAI(base_url=self.url, api_key=key, timeout=timeout, max_retries=0)
        return self._made

    def _body(self, messages: Sequence[Message], asking: Asking) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": asking.max_tokens,
            "temperature": asking.temperature,
            "top_p": asking.top_p,
            "stream": True,
        }
        if asking.schema is not None:
            named = {"name": "answer", "schema": dict(asking.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if asking.tools:
            body["tools"] = list(asking.tools)
        if asking.extra:
            body["extra_body"] = dict(asking.extra)
        return body

    def _explained(self, error: Exception) -> ModelServerError:
        openai = _openai()
        if isinstance(error, openai.APITimeoutError):
            return _too_slow()
        if isinstance(error, openai.APIStatusError):
            return _refused(error.status_code, str(error.message))
        if isinstance(error, openai.APIConnectionError) and not isinstance(error.__cause__, _transport_error()):
            return self._unreachable()
        if isinstance(error, openai.APIConnectionError):
            return _cut_off() if _began(error) else self._unreachable()
        if isinstance(error, _transport_error()):
            return _cut_off()
        return ModelServerError(
            "The language model server sent something that is no answer.",
            action="Check that the address given with --vlm is an OpenAI-compatible server.",
        )

    def _unreachable(self) -> ModelServerAway:
        return ModelServerAway(
            f"The language model server at {self.url} does not answer.",
            action="Start it, or check the address given with --vlm.",
        )


def _openai() -> ModuleType:
    # Imported at first use: it takes a second or more, and most runs have no model.
    import openai

    return openai


def _transport_error() -> type[Exception]:
    import httpx2

    error: type[Exception] = httpx2.HTTPError
    return error


def _began(error: Exception) -> bool:
    """Whether the connection stood before it failed."""
    import httpx2

    return isinstance(error.__cause__, httpx2.RemoteProtocolError | httpx2.ReadError)


def _read(chunk: Any, calls: dict[int, _PartialCall]) -> tuple[str, str | None]:
    """A chunk's text and why the model stopped, if it did; parts of tool calls are put together in `calls`.

    Raises `ValueError` where it is no chunk.
    """
    choices = chunk.choices
    if not isinstance(choices, list):
        raise ValueError("a chunk without choices")
    if not choices:
        return "", None  # usage comes so
    delta = choices[0].delta
    for part in getattr(delta, "tool_calls", None) or ():
        call = calls.setdefault(part.index or 0, _PartialCall())
        call.id = part.id or call.id
        if part.function is not None:
            call.name += part.function.name or ""
            call.arguments += part.function.arguments or ""
    text = getattr(delta, "content", None) or ""
    if not isinstance(text, str):
        raise ValueError("a chunk whose content is no text")
    return text, choices[0].finish_reason


def _whole(call: _PartialCall) -> ToolCall:
    try:
        arguments = json.loads(call.arguments or "{}")
    except json.JSONDecodeError:
        arguments = None
    return ToolCall(call.id, call.name, arguments if isinstance(arguments, dict) else None)


def _refused(status: int, message: str) -> ModelServerError:
    if status in (401, 403):
        return ModelServerError("The language model server wants a key.", action="Give it with vlm.api_key_file.")
    if status == 404:
        return ModelServerError("The language model server does not have this model.", action="Check vlm.model.")
    if status == 429:
        return ModelServerError("The language model server is busy.", action="Ask again in a moment.", retryable=True)
    if status < 500:
        return ModelServerError(
            f"The language model server refused the request ({status}): {message[:200]}",
            action="Run `onlooker doctor` to see what it can do.",
        )
    return ModelServerError(
        f"The language model server failed ({status}).", action="Ask again; look into its log.", retryable=True
    )


def _too_slow() -> ModelServerError:
    return ModelServerError("The language model took too long.", action="Ask again in a moment.", retryable=True)


def _cut_off() -> ModelServerError:
    return ModelServerError(
        "The connection to the language model was cut.", action="Ask again; look into its log.", retryable=True
    )
