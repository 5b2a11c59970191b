"""Every error that a user can meet, in one tree.

OnlookerError                     code, message, action (what to do), retryable
├── BadInput                      bad_message, too_large, out_of_picture, empty_text, too_long, …
│   ├── UnknownWord               unknown_word: carries the nearest known words
│   └── FrameTooOld               frame_too_old
├── NotFound                      unknown_stream, unknown_track, unknown_prompt
├── Conflict                      stream id or publisher slot taken
├── LimitReached                  limit_reached, busy: caps; retry later
├── SourceError                   a source could not be opened or failed
├── MediaError                    an SDP, codec or bitstream that cannot be used
├── EngineError                   engine_unavailable
│   └── ModelMissing              model_missing
├── ModelServerError              vlm_unavailable
├── VoiceError                    voice_unavailable
│   └── VoiceMissing              voice_missing
├── StoreError                    store_unavailable
└── Unauthorized                  unauthorized
"""

from __future__ import annotations


class OnlookerError(Exception):
    """Base of all errors shown to a user.

    `code` is one of the wire protocol's codes, `action` says what the user can do about it.
    """

    code = "bad_message"
    status = 400
    retryable = False
    default_action = "Check the request."

    def __init__(self, message: str, *, action: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.action = action or self.default_action
        if code is not None:
            self.code = code


class BadInput(OnlookerError):
    """The request itself is wrong; sending it again unchanged will fail again."""


class UnknownWord(BadInput):
    code = "unknown_word"
    status = 422

    def __init__(self, word: str, nearest: tuple[str, ...]) -> None:
        known = ", ".join(nearest)
        super().__init__(
            f"“{word}” is not a thing this engine knows by name.",
            action=f"Try one of: {known}. Or click the thing." if known else "Click the thing instead.",
        )
        self.nearest = nearest


class FrameTooOld(BadInput):
    code = "frame_too_old"
    status = 409
    retryable = True
    default_action = "Click again on the present picture."


class NotFound(OnlookerError):
    code = "unknown_stream"
    status = 404
    default_action = "List what exists and use one of its ids."


class Conflict(OnlookerError):
    code = "busy"
    status = 409
    default_action = "Use another id, or end the one that is using it."


class LimitReached(OnlookerError):
    code = "limit_reached"
    status = 503
    retryable = True
    default_action = "Close something, or try again in a moment."


class SourceError(OnlookerError):
    status = 422
    default_action = "Check the source's address or file."


class MediaError(OnlookerError):
    status = 422
    default_action = "Send H.264 or VP8 video."


class EngineError(OnlookerError):
    code = "engine_unavailable"
    status = 503
    retryable = True
    default_action = "Run `onlooker doctor` to see why."


class ModelMissing(EngineError):
    code = "model_missing"
    default_action = "Run `onlooker models fetch`."


class ModelServerError(OnlookerError):
    """The language model's server is not there, failed, or sent what nobody can read."""

    code = "vlm_unavailable"
    status = 503
    default_action = "Run `onlooker doctor` to see why."

    def __init__(self, message: str, *, action: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, action=action)
        self.retryable = retryable


class ModelServerAway(ModelServerError):
    """Nobody answers at its address."""


class VoiceError(OnlookerError):
    """Speech cannot be turned into words now."""

    code = "voice_unavailable"
    status = 503
    retryable = True
    default_action = "Say it again, or type it."


class VoiceMissing(VoiceError):
    """What is needed for it is not installed."""

    code = "voice_missing"
    retryable = False
    default_action = "Run: pip install 'onlooker[voice]', then onlooker models fetch voice."


class StoreError(OnlookerError):
    """The event store cannot be opened, read or written."""

    code = "store_unavailable"
    status = 503
    retryable = True
    default_action = "See `/health` for why; what is live goes on without the store."


class Unauthorized(OnlookerError):
    code = "unauthorized"
    status = 401
    default_action = "Give the token that the server printed at its first start."
