"""What a stream looked like in the last minute, small enough to keep: the pictures that questions are asked about.

Two rings: the newest decoded frames, whole, for what is asked about now; and JPEGs of some of them, two a second, for
looking back. Both hold the tracks of their frames. Bounded by time, by count and by bytes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from agent.types import Moment
from agent.views import View
from stream.errors import FrameTooOld, NotFound
from stream.types import CLOCK_HZ, Frame, FrameRef, Track, TrackState, TrackUpdate

NEWEST_EVERY_S = 0.2
NEWEST_COUNT = 8
JPEG_EVERY_S = 0.5
JPEG_KEPT_S = 60.0
JPEG_MAX_BYTES = 8 * 1024 * 1024
JPEG_LONG_SIDE_PX = 640
JPEG_QUALITY = 80
SHOWN_BEFORE_S = 10.0
SHOWN_AFTER_S = 1.0
IN_SIGHT = frozenset({TrackState.LIVE, TrackState.TENTATIVE})
NEAR_S = 0.4
"""A frame this near stands for one that is no longer held."""
MOST_PROOFS = 100


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A JPEG of a frame, its long side at most 640 px, and the tracks on it (in pixels of the decoded frame)."""

    frame: FrameRef
    pts: int
    at: datetime
    width: int
    height: int
    tracks: tuple[Track, ...]
    jpeg: bytes

    def moment(self) -> Moment:
        """The keyframe as something to ask about; decodes the JPEG."""
        picture = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError("a keyframe cannot be decoded")
        return Moment(
            self.frame, self.pts, self.at, self.width, self.height, self.tracks, View(np.asarray(picture, np.uint8))
        )


@dataclass(frozen=True, slots=True)
class Shot:
    """A decoded frame with what was tracked on it."""

    frame: Frame
    update: TrackUpdate
    at: datetime
    view: View = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", View(self.frame))

    def kept(self) -> Shot:
        """The same, to be held for longer than a moment. Of what is not on the host few are there; may copy."""
        frame = self.frame.kept()
        return self if frame is self.frame else replace(self, frame=frame)

    def updated(self, update: TrackUpdate) -> Shot:
        """The same with what more is known of it. Keeps the view: what was made of the picture is still true."""
        shot = replace(self, update=update)
        object.__setattr__(shot, "view", self.view)
        return shot

    def moment(self) -> Moment:
        """The frame as something to ask about. All of one shot share what is cut out of its picture and encoded."""
        frame, tracks = self.frame, self.update.tracks
        return Moment(frame.ref, frame.pts, self.at, frame.width, frame.height, tracks, self.view)

    def keyframe(self) -> Keyframe:
        """The frame as JPEG. Takes milliseconds: not for the event loop."""
        frame, view = self.frame, self.view
        jpeg = view.jpeg(view.whole, JPEG_LONG_SIDE_PX, JPEG_QUALITY)
        return Keyframe(frame.ref, frame.pts, self.at, frame.width, frame.height, self.update.tracks, jpeg)


class Keyframes:
    """The rings of one stream. Event loop only; `Shot.keyframe` and `moment` of what it hands out may run elsewhere."""

    def __init__(self) -> None:
        self._newest: deque[Shot] = deque(maxlen=NEWEST_COUNT)
        self._current: Shot | None = None
        self._jpegs: deque[Keyframe] = deque()
        self._proofs: OrderedDict[FrameRef, Keyframe] = OrderedDict()
        self._bytes = 0
        self._due_at: datetime | None = None
        self._since: datetime | None = None

    def offer(self, frame: Frame, update: TrackUpdate, at: datetime) -> Shot | None:
        """Take note of a frame and its tracks, or of what more is known of the last one. Returns the shot where a JPEG
        of it is due: `add` its keyframe then."""
        if self._newest and self._newest[-1].frame.ref == frame.ref:
            self._current = self._newest[-1] = self._newest[-1].updated(update)
            return None
        self._current = Shot(frame, update, at)
        if self._newest and (at - self._newest[-1].at).total_seconds() < NEWEST_EVERY_S:
            return None
        self._current = self._current.kept()
        self._newest.append(self._current)
        # Of frames that are held whole alone: a smaller picture is never the only one of a frame just past.
        if self._due_at is not None and at < self._due_at:
            return None
        self._due_at = max(at, (self._due_at or at) + timedelta(seconds=JPEG_EVERY_S))
        return self._current

    def forget(self) -> None:
        """Let go of every picture so far, also of those that are still being encoded."""
        self._newest.clear()
        self._jpegs.clear()
        self._proofs.clear()
        self._current, self._due_at, self._bytes = None, None, 0
        self._since = datetime.now(UTC)

    def add(self, keyframe: Keyframe) -> None:
        """Keep the JPEG of a shot, and let go of those that are too old or too much."""
        if self._since is not None and keyframe.at < self._since:
            return
        # More may have become known of the frame while it was being encoded.
        known = next((shot.update.tracks for shot in self._newest if shot.frame.ref == keyframe.frame), keyframe.tracks)
        self._jpegs.append(replace(keyframe, tracks=known))
        self._bytes += len(keyframe.jpeg)
        oldest = keyframe.at - timedelta(seconds=JPEG_KEPT_S)
        while len(self._jpegs) > 1 and (self._jpegs[0].at < oldest or self._bytes > JPEG_MAX_BYTES):
            self._bytes -= len(self._jpegs.popleft().jpeg)

    @property
    def newest_jpeg(self) -> Keyframe | None:
        """None where there has been no picture."""
        return self._jpegs[-1] if self._jpegs else None

    @property
    def bytes_held(self) -> int:
        return self._bytes

    def find(self, ref: FrameRef | None = None) -> Shot | Keyframe:
        """The frame that `ref` names, or the nearest one that is still held; without `ref` the newest. Of a frame with
        nothing within 0.4 s any more, what is kept for what happened on it.

        Raises `NotFound` where there has been no picture, `FrameTooOld` where none of these is held.
        """
        if self._current is None:
            raise NotFound("There has been no picture yet.", action="Wait for the picture.")
        if ref is None:
            return self._given(self._current)
        held: list[Shot | Keyframe] = [self._current, *reversed(self._newest), *reversed(self._jpegs)]
        near = [(abs(_after_s(ref_of(item), ref)), item) for item in held if ref_of(item).epoch == ref.epoch]
        apart_s, item = min(near, key=lambda pair: pair[0], default=(float("inf"), self._current))
        if apart_s <= NEAR_S:
            return self._given(item)
        if ref in self._proofs:
            return self._proofs[ref]
        raise FrameTooOld("That picture is no longer kept.", action="Ask about the present picture.")

    def proof(self, ref: FrameRef) -> Shot | Keyframe:
        """What shows best what happened on the frame `ref`, which may be an earlier one; where nothing has, what `find`
        finds. Raises `NotFound` or `FrameTooOld`."""
        return self._proofs.get(ref) or self.find(ref)

    def keep_proof(self, ref: FrameRef, keyframe: Keyframe) -> None:
        """Keep the picture that shows what happened on the frame `ref`; the newest hundred are kept."""
        if self._since is not None and keyframe.at < self._since:
            return
        self._proofs[ref] = keyframe
        while len(self._proofs) > MOST_PROOFS:
            self._proofs.popitem(last=False)

    def showing(self, ref: FrameRef, track_ids: Collection[int]) -> Shot | Keyframe:
        """The held frame nearest to `ref` on which one of `track_ids` is in sight, from 10 s before to 1 s after it;
        what `find` finds where there is none. Raises `NotFound` or `FrameTooOld`."""
        near: list[tuple[float, Shot | Keyframe]] = []
        for item in (*self._newest, *self._jpegs, *((self._current,) if self._current else ())):
            after_s = _after_s(ref_of(item), ref)
            if ref_of(item).epoch != ref.epoch or not -SHOWN_BEFORE_S <= after_s <= SHOWN_AFTER_S:
                continue
            if any(track.id in track_ids and track.state in IN_SIGHT for track in tracks_of(item)):
                near.append((abs(after_s), item))
        return self._given(min(near, key=_first)[1]) if near else self.find(ref)

    def _given(self, item: Shot | Keyframe) -> Shot | Keyframe:
        """Whoever is given a picture may hold it for as long as an answer takes."""
        if item is not self._current:
            return item
        self._current = self._current.kept()
        return self._current

    def between(self, since: datetime, until: datetime) -> Iterator[Keyframe]:
        """The JPEGs of that time, oldest first."""
        return (keyframe for keyframe in tuple(self._jpegs) if since <= keyframe.at <= until)


def ref_of(item: Shot | Keyframe) -> FrameRef:
    return item.frame.ref if isinstance(item, Shot) else item.frame


def tracks_of(item: Shot | Keyframe) -> tuple[Track, ...]:
    return item.update.tracks if isinstance(item, Shot) else item.tracks


def _after_s(one: FrameRef, other: FrameRef) -> float:
    """How much later `one` is than `other`, a frame of the same epoch, across the wrap of the RTP clock."""
    ticks = (one.rtp - other.rtp) % 2**32
    return (ticks if ticks < 2**31 else ticks - 2**32) / CLOCK_HZ


def _first(pair: tuple[float, object]) -> float:
    return pair[0]
