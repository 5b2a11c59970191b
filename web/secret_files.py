"""Secrets that the operator keeps in files of their own; what is in them is in no message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stream.errors import BadInput

T = TypeVar("T")


def read_secret(path: Path, what: str, key: str, parse: Callable[[str], T]) -> T:
    """What `parse` makes of the text of a file. `what` it is, such as `password`, and the `key` that names it are for
    messages. Raises `BadInput` for a file that cannot be read, or of which `parse` raises `ValueError`."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # Not the bytes that are no text: they are part of a secret.
        why = error.strerror if isinstance(error, OSError) else error
        why = "it is not text" if isinstance(error, UnicodeDecodeError) else why
        raise BadInput(f"The {what} in {path} cannot be used: {why}.", action=f"Correct {key}.") from None


def password_in(text: str) -> str:
    """Without the line's end, which editors add. Raises `ValueError` where nothing is left."""
    text = text.rstrip("\r\n")
    if not text:
        raise ValueError("it is empty")
    return text
