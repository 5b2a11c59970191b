"""Messages of clients, taken or refused in words. Pure functions."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import from_json

from stream.errors import BadInput
from web.protocol import CLIENT_MESSAGE
from web.protocol.client import ClientMessage
from web.protocol.parts import MAX_REF_CHARS

_CODES = {
    "string_too_short": "empty_text",
    "string_too_long": "too_long",
    "union_tag_invalid": "unknown_type",
}


def parse_client_message(text: str) -> ClientMessage:
    """The message in `text`. Raises `BadInput` with code `bad_message`, `unknown_type`, `empty_text` or `too_long`."""
    try:
        return CLIENT_MESSAGE.validate_json(text)
    except ValidationError as error:
        raise bad_input(error) from error


def ref_of(text: str) -> str | None:
    """The `ref` of a message that may be wrong otherwise."""
    try:
        message = from_json(text)
    except ValueError:
        return None
    ref = message.get("ref") if isinstance(message, dict) else None
    return ref if isinstance(ref, str) and len(ref) <= MAX_REF_CHARS else None


def bad_input(error: ValidationError) -> BadInput:
    """The first fault that pydantic found, with the place in words and nothing of the input."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    code = _CODES.get(fault["type"], "bad_message")
    if code == "unknown_type":
        return BadInput("This type of message is not known.", code=code, action="See /docs for the types.")
    place = ".".join(str(part) for part in fault["loc"][1:] or fault["loc"])
    message = f"{place}: {fault['msg']}" if place else fault["msg"]
    return BadInput(message, code=code, action="Correct the message and send it again.")
