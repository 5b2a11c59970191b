"""Which source a client may open. Files only below the folders that the operator allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream.errors import BadInput, SourceError
from stream.sources import demo
from stream.sources.base import Source
from stream.sources.file import FileSource
from web.api.shapes import NewSource

_NOT_YET = {
    "rtsp": "RTSP cameras cannot be opened",
    "http": "Video by HTTP cannot be opened",
    "v4l2": "Cameras of the server cannot be opened",
}


async def open_source(wanted: NewSource, allow_roots: Sequence[Path]) -> Source:
    """A source that has been looked at. Raises `BadInput` or `SourceError`."""
    if wanted.kind in _NOT_YET:
        action = "Publish it by WHIP, for example with FFmpeg or OBS; files and the demo clip can be opened."
        raise SourceError(f"{_NOT_YET[wanted.kind]} by this version.", action=action, code="unsupported_source")
    if wanted.kind == "demo":
        return demo_source()
    if not wanted.path:
        raise BadInput("A file source needs `path`.", action="Name the file.")
    source = file_source(allowed_file(wanted.path, allow_roots), loop=wanted.loop)
    await source.check()
    return source


def allowed_file(path: str, allow_roots: Sequence[Path]) -> Path:
    """`path` with links followed, if it is a file below an allowed folder; the answer does not tell whether files
    elsewhere exist. A relative path is looked for in each folder."""
    if not allow_roots:
        message = "No folder of this server may be opened."
        raise SourceError(message, action="Add the folder to sources.allow_roots in onlooker.toml.")
    if "\x00" not in path:
        for root in allow_roots:
            try:
                base = root.resolve(strict=True)
                found = (base / path).resolve(strict=True)
            except (OSError, RuntimeError):
                continue
            if found.is_relative_to(base) and found.is_file():
                return found
    raise SourceError("There is no such file in the allowed folders.", action="Check the path, or allow its folder.")


def file_source(path: Path, *, loop: bool) -> FileSource:
    return FileSource(path, loop=loop)


def demo_source() -> Source:
    return demo.demo_source()
