"""The videos of a folder, one after the other in the order of their names, as if they were one camera."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from stream.errors import SourceError
from stream.sources.demux import Layout, inspect
from stream.sources.file import FileSource

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".flv", ".mpg", ".mpeg"})


class FolderSource(FileSource):
    """Plays what is in `path` when a round begins, once or again and again; what is added meanwhile is played in the
    next round."""

    def __init__(self, path: Path, *, loop: bool) -> None:
        super().__init__(path, loop=loop, kind="folder")

    async def check(self) -> None:
        """Raises `SourceError` where there is no video at all."""
        await asyncio.to_thread(videos_in, self.path)

    def files(self) -> Sequence[Path]:
        return videos_in(self.path)

    def layout(self, path: Path) -> Layout | None:
        """One that cannot be read is passed over, and said."""
        try:
            found = inspect(path)
        except SourceError as error:
            self.note = f"{error.message} It is passed over."
            return None
        self.note = found.note
        return found


def videos_in(folder: Path) -> list[Path]:
    """In natural order, `cam-2.mp4` before `cam-10.mp4`; not those in folders below. Raises `SourceError` where there
    are none."""
    try:
        found = [entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    except OSError:
        raise SourceError(f"The folder {folder.name} cannot be read.", action="Check the path.") from None
    if not found:
        raise SourceError(f"There is no video in the folder {folder.name}.", action="Put MP4 or MKV files there.")
    return sorted(found, key=lambda path: _natural(path.name))


def first_video(folder: Path) -> Path:
    """Raises `SourceError`."""
    return videos_in(folder)[0]


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
