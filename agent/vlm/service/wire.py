"""OpenAI's chat completions on the wire: whole answers, and streams of chunks."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

from agent.vlm.service.calls import Call
from agent.vlm.service.faults import error_body
from agent.vlm.service.worker import Done
from stream.errors import OnlookerError

OWNER = "onlooker"
LAST = b"data: [DONE]\n\n"


class Answer:
    """The frame around one answer."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}
        self._chunk_head = {**self._head, "object": "chat.completion.chunk"}

    def whole(self, text: str, done: Done) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text or None if done.calls else text}
        if done.calls:
            message["tool_calls"] = _tool_calls(done.calls)
        choice = {"index": 0, "message": message, "finish_reason": done.finish, "logprobs": None}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": _usage(done)}

    def first(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def last(self, done: Done, *, usage: bool) -> bytes:
        parts: list[bytes] = []
        if done.calls:
            calls = [{"index": i, **call} for i, call in enumerate(_tool_calls(done.calls))]
            parts.append(self._chunk({"tool_calls": calls}))
        parts.append(self._chunk({}, done.finish))
        if usage:
            parts.append(_event({**self._chunk_head, "choices": [], "usage": _usage(done)}))
        return b"".join([*parts, LAST])

    def broken(self, error: OnlookerError) -> bytes:
        """An error after the answer has begun."""
        return _event(error_body(error)) + LAST

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**self._chunk_head, "choices": [choice]})


def model_list(name: str, created: int, details: dict[str, Any]) -> dict[str, Any]:
    """`details` are what clients of OpenAI's API do not know: which inputs, how much context."""
    entry = {"id": name, "object": "model", "created": created, "owned_by": OWNER, **details}
    return {"object": "list", "data": [entry]}


def _tool_calls(calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{secrets.token_hex(8)}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in calls
    ]


def _usage(done: Done) -> dict[str, int]:
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.answer_tokens,
        "total_tokens": done.prompt_tokens + done.answer_tokens,
    }


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
