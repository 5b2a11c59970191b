"""What goes well with the clips and what does not, in words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agent.clips.files import FULL, NoRoom
from stream.errors import OnlookerError


class ClipError(OnlookerError):
    """A clip could not be kept."""

    code = "clips_unavailable"
    status = 503
    retryable = True
    default_action = "See /health for why."


@dataclass(frozen=True, slots=True)
class ClipsState:
    """`error` is what is wrong now; `given_up` counts clips that were lost since the start, `written` those that were
    not; `bytes` is what all take."""

    where: Path
    error: ClipError | None
    given_up: int
    written: int
    recording: int
    bytes: int


def explained(error: OSError, folder: Path) -> tuple[str, str]:
    """What to tell of a file that could not be written."""
    if isinstance(error, NoRoom):
        return f"Clips are given up: {error.strerror} on the disk of {folder}.", (
            "Free some space, or lower clips.max_gb; kept clips do not go by themselves."
        )
    if error.errno in FULL:
        return f"Clips are given up: there is no room left in {folder}.", (
            "Free some space, or lower clips.max_gb; kept clips do not go by themselves."
        )
    return f"Clips cannot be written to {folder}: {os.strerror(error.errno or 0)}.", (
        "Give Onlooker a data directory that it may write to: ONLOOKER_DATA_DIR."
    )
