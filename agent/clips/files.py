"""The files of clips: a video and its annotations, whole or not there. Blocking: for a thread of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agent.clips.recorder import Finished
from agent.store.clips import Clip, EventInClip
from stream.mux import MEDIA_TYPES, Muxed, mux
from stream.types import TrackUpdate

ANNOTATIONS = ".jsonl"
PART = ".part"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where nothing more fits."""

Line = Callable[[TrackUpdate, int, float], str]
"""One line of annotations: an update, and the clip's own `pts` and time in seconds of its picture."""


class NoRoom(OSError):
    """Less is free on the disk than is to be left free."""


def write_clip(folder: Path, boot: str, finished: Finished, line: Line, spare_bytes: int) -> Clip:
    """Write what was recorded into `folder`; `spare_bytes` of its disk are left free.

    Raises `OSError` (`NoRoom` among them) or `MediaError`; then nothing of it is left.
    """
    part = finished.part
    muxed = mux(part.frames)
    lines = list(annotation_lines(finished, muxed, line))
    text = "".join(lines).encode()
    size = len(muxed.data) + len(text)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if shutil.disk_usage(folder).free - size < spare_bytes:
        raise NoRoom(errno.ENOSPC, f"less than {spare_bytes >> 20} MiB would be left free")
    video = folder / f"{part.id}{muxed.container.suffix}"
    # The video last: where it is, its annotations are.
    _write_whole([(folder / f"{part.id}{ANNOTATIONS}", text), (video, muxed.data)])
    first = part.frames[0]
    return Clip(
        part.id, boot, finished.stream, finished.at, muxed.container.suffix, first.codec, muxed.width, muxed.height,
        muxed.duration_s, len(muxed.pts), len(lines), size, _events(finished, muxed),
    )  # fmt: skip


def annotation_lines(finished: Finished, muxed: Muxed, line: Line) -> Iterator[str]:
    """One line of JSON for each picture that was looked at, in order."""
    for frame, pts in zip(finished.part.frames, muxed.pts, strict=True):
        update = finished.part.updates.get(frame.pts)
        if update is not None:
            yield line(update, pts, pts / muxed.container.clock_hz) + "\n"


def remove_files(folder: Path, clip_id: str) -> None:
    """Whatever there is of a clip."""
    for suffix in (*MEDIA_TYPES, ANNOTATIONS):
        for name in (f"{clip_id}{suffix}", f"{clip_id}{suffix}{PART}"):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()


def remove_parts(folder: Path) -> int:
    """What was being written when the server ended. Returns the number of files."""
    parts = list(folder.glob(f"*{PART}")) if folder.is_dir() else []
    for path in parts:
        path.unlink(missing_ok=True)
    return len(parts)


def ids_present(folder: Path) -> set[str]:
    """The clips of which there is any file."""
    if not folder.is_dir():
        return set()
    return {path.stem for path in folder.iterdir() if path.suffix in (*MEDIA_TYPES, ANNOTATIONS)}


def free_bytes(folder: Path) -> int:
    """On the disk of `folder`, or of the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _events(finished: Finished, muxed: Muxed) -> tuple[EventInClip, ...]:
    """Where in the file each of its events happened."""
    part = finished.part
    at = {(frame.epoch, frame.rtp): pts for frame, pts in zip(part.frames, muxed.pts, strict=True)}
    found: list[EventInClip] = []
    for moment in part.moments:
        offset_s: float | None = None
        if moment.event_id in part.at_home:
            exact = at.get((moment.frame.epoch, moment.frame.rtp))
            near_s = min(max(moment.at_s - part.first_s, 0.0), muxed.duration_s)
            offset_s = exact / muxed.container.clock_hz if exact is not None else near_s
        found.append(EventInClip(moment.event_id, offset_s))
    return tuple(found)


def _write_whole(files: Iterable[tuple[Path, bytes]]) -> None:
    """All of `files` or none, on the disk when this returns."""
    written: list[Path] = []
    try:
        for path, data in files:
            part = path.with_name(path.name + PART)
            written.append(part)
            _write_through(part, data)
        for part in list(written):
            path = part.with_name(part.name.removesuffix(PART))
            part.rename(path)
            written.append(path)
        _sync_folder(path.parent)
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
