"""A lock between processes that the system frees when its holder ends, however that ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stream.errors import LimitReached

_RETRY_S = 0.25


@contextmanager
def exclusive(path: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it at most `wait_s`.

    The file stays, the lock on it does not. Raises `LimitReached` (code `busy`) where another process or thread
    holds it, `OSError` where the file cannot be made.
    """
    deadline_s = time.monotonic() + wait_s
    with path.open("ab") as file:
        while not _try_lock(file):
            if time.monotonic() >= deadline_s:
                raise LimitReached(
                    "The models are being fetched already.", code="busy", action="Wait until that has finished."
                )
            time.sleep(_RETRY_S)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
