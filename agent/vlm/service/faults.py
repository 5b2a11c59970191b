"""What the service refuses, and OpenAI's form of it."""

from __future__ import annotations

from typing import Any

from stream.errors import BadInput, LimitReached, NotFound, OnlookerError

WRONG_REQUEST = "invalid_request_error"


class TooLarge(BadInput):
    code = "too_large"
    status = 413
    default_action = "Send less."


class Busy(LimitReached):
    """So many wait already that another would wait too long."""

    code = "busy"
    status = 429
    default_action = "Ask again in a moment."


class Stopped(LimitReached):
    code = "vlm_unavailable"
    status = 503
    default_action = "Start the service again; its log says why it ended."


class OutOfMemory(LimitReached):
    code = "out_of_memory"
    status = 503
    default_action = "Send fewer or smaller pictures, or less text."


class Failed(OnlookerError):
    code = "internal_error"
    status = 500
    retryable = True
    default_action = "Ask again; the service's log says what happened."


class UnknownModel(NotFound):
    code = "model_not_found"


def refuse(message: str, *, action: str = "Correct the request.", code: str = "bad_message") -> BadInput:
    """An error to raise for a request that cannot be answered as it is."""
    return BadInput(message, action=action, code=code)


def error_body(error: OnlookerError) -> dict[str, Any]:
    """OpenAI's form of an error."""
    kind = WRONG_REQUEST if error.status < 500 else "server_error"
    message = f"{error.message} {error.action}"
    return {"error": {"message": message, "type": kind, "param": None, "code": error.code}}
