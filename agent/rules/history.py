"""Where objects have been in the last hour, small enough to keep: what rules are tried on.

A look takes 30 bytes, an object of it 16: an hour of 10 objects is 3.4 MB, of 27 or more objects `MOST_BYTES`, and then
covers less than an hour. Boxes are kept to 1/65535 of the picture. In memory only.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stream.types import Track, TrackState, TrackUpdate

KEPT = timedelta(hours=1)
PERIOD = timedelta(seconds=0.2)
MOST_BYTES = 8 * 1024 * 1024
MOST_TRACKS = 255
"""Of one look."""
_CHUNK = timedelta(minutes=1)
_LOOK = struct.Struct("<dIIqHHBx")
_TRACK = struct.Struct("<IHBx4H")
_STATES = (TrackState.TENTATIVE, TrackState.LIVE, TrackState.LOST, TrackState.GONE)
_LARGEST = 65535


@dataclass(slots=True)
class _Chunk:
    """About a minute. The labels of its objects stand in `labels`, and are let go with it."""

    began_at: datetime
    data: bytearray = field(default_factory=bytearray)
    labels: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0


class TrackHistory:
    """Not thread-safe; what `snapshot` returns is."""

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()
        self._newest: datetime | None = None

    @property
    def size_bytes(self) -> int:
        return sum(chunk.size_bytes for chunk in self._chunks)

    @property
    def since(self) -> datetime | None:
        """When it begins, None where it is empty."""
        return self._chunks[0].began_at if self._chunks else None

    @property
    def until(self) -> datetime | None:
        """Its newest look."""
        return self._newest

    def add(self, update: TrackUpdate, at: datetime) -> None:
        """Take in an update, if enough time has passed since the one before."""
        if self._newest is not None and timedelta() <= at - self._newest < PERIOD:
            return
        self._newest = at
        if not self._chunks or at - self._chunks[-1].began_at >= _CHUNK or len(self._chunks[-1].labels) >= _LARGEST:
            self._chunks.append(_Chunk(at))
        _write(self._chunks[-1], update, at)
        while len(self._chunks) > 1 and (at - self._chunks[1].began_at > KEPT or self.size_bytes > MOST_BYTES):
            self._chunks.popleft()

    def snapshot(self) -> Recorded:
        """What is kept now, to be read in another thread."""
        return Recorded(tuple((bytes(chunk.data), tuple(chunk.labels)) for chunk in self._chunks))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A part of the past: chunks of looks, each with the labels in it."""

    chunks: tuple[tuple[bytes, tuple[str, ...]], ...]

    def updates(self) -> Iterator[tuple[TrackUpdate, datetime]]:
        """The looks, oldest first, as updates of the tracker without masks, scores and ages."""
        for data, labels in self.chunks:
            offset = 0
            while offset < len(data):
                when, epoch, rtp, pts, width, height, count = _LOOK.unpack_from(data, offset)
                offset += _LOOK.size
                tracks = []
                for track_id, label, state, *box in _TRACK.iter_unpack(data[offset : offset + count * _TRACK.size]):
                    pixels = tuple(v / _LARGEST * (width, height)[i % 2] for i, v in enumerate(box))
                    tracks.append(_track(track_id, labels[label], pixels, _STATES[state]))
                offset += count * _TRACK.size
                at = datetime.fromtimestamp(when, UTC)
                yield TrackUpdate(epoch, 0, pts, rtp, None, width, height, tuple(tracks)), at


def _track(number: int, label: str, pixels: tuple[float, ...], state: TrackState) -> Track:
    x0, y0, x1, y1 = pixels
    return Track(number, label, 1.0, (x0, y0, x1, y1), None, state, None, 0.0)


def _write(chunk: _Chunk, update: TrackUpdate, at: datetime) -> None:
    tracks = update.tracks[:MOST_TRACKS]
    before = len(chunk.data)
    width, height = update.width, update.height
    chunk.data += _LOOK.pack(at.timestamp(), update.epoch, update.rtp, update.pts, width, height, len(tracks))
    for track in tracks:
        if track.label not in chunk.labels:
            chunk.size_bytes += 64 + 4 * len(track.label)
        label = chunk.labels.setdefault(track.label, len(chunk.labels))
        box = (
            round(min(1.0, max(0.0, value / (width, height)[i % 2])) * _LARGEST)
            for i, value in enumerate(track.box_xyxy_px)
        )
        chunk.data += _TRACK.pack(track.id, label, _STATES.index(track.state), *box)
    chunk.size_bytes += len(chunk.data) - before
