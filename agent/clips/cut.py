"""A clip in the making: which pictures go into which file, and which events share it. Values only, no clock, no I/O."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from stream.ring import Format, RingFrame
from stream.types import EncodedFrame, FrameRef, TrackUpdate

MOST_BYTES = 64 * 1024 * 1024
"""A file of more is ended; the rest of its time follows in another."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An event to be shown: `at_s` is when its picture came, on the monotonic clock. `keep`: it stays however old."""

    event_id: str
    frame: FrameRef
    at_s: float
    keep: bool = False


@dataclass(slots=True)
class Part:
    """What becomes one file: pictures of one format, from a keyframe on, with what was tracked on them."""

    format: Format
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    frames: list[EncodedFrame] = field(default_factory=list)
    bytes: int = 0
    moments: list[Moment] = field(default_factory=list)
    at_home: set[str] = field(default_factory=set)
    """Ids of the events that happen in this file and not in one beside it."""
    updates: dict[int, TrackUpdate] = field(default_factory=dict)
    """By the stream's own `pts`."""
    ended_s: float = 0.0

    @property
    def first_s(self) -> float:
        return self.frames[0].received_s

    @property
    def end(self) -> tuple[int, int]:
        """Epoch and `pts` of the last picture: updates up to there belong to it."""
        return self.frames[-1].epoch, self.frames[-1].pts

    def add(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        self.bytes += len(frame.data)

    def note(self, update: TrackUpdate) -> None:
        """Take what was tracked, if it may be on a picture of this part."""
        if update.epoch == self.format[0] and self.frames and update.pts >= self.frames[0].pts:
            self.updates[update.pts] = update

    def holds(self, ref: FrameRef) -> bool:
        return any(frame.rtp == ref.rtp and frame.epoch == ref.epoch for frame in reversed(self.frames))


class Cut:
    """What is recorded for one event or several near each other: one file, or more where the format changes."""

    def __init__(self, moment: Moment, before_s: float, after_s: float) -> None:
        self.moments = [moment]
        self.start_s = moment.at_s - before_s
        self.end_s = moment.at_s + after_s
        self.ended = False
        self._begun = False
        self._before_s = before_s
        self._after_s = after_s
        self._part: Part | None = None
        self._all_there_was = False
        """The file that is being filled begins with the first picture that was kept of the stream."""

    @property
    def part(self) -> Part | None:
        """The file that is being filled."""
        return self._part

    def takes(self, moment: Moment, longest_s: float) -> bool:
        """Whether another event may share this: what it wants from before is in, it begins before the end, and the
        whole stays short."""
        if self.ended or self._part is None:
            return False
        first_s = self._part.first_s
        since_s = moment.at_s if self._all_there_was else moment.at_s - self._before_s
        return (
            first_s <= since_s
            and moment.at_s - self._before_s <= self.end_s
            and moment.at_s + self._after_s - first_s <= longest_s
        )

    def share(self, moment: Moment) -> None:
        self.moments.append(moment)
        self.end_s = max(self.end_s, moment.at_s + self._after_s)
        if self._part is not None:
            self._part.moments.append(moment)
            self._part.at_home.add(moment.event_id)

    def take(self, held: RingFrame) -> list[Part]:
        """Add one picture. Returns the parts that are complete by it."""
        frame = held.frame
        if self.ended:
            return []
        if frame.received_s > self.end_s:
            return self.finish()
        done: list[Part] = []
        part = self._part
        if part is not None and (part.format != held.format or (part.bytes > MOST_BYTES and frame.keyframe)):
            done.append(part)
            part = None
        if part is None:
            self._all_there_was = not self._begun and frame.received_s > self.start_s
            self._begun = True
            part = self._part = Part(held.format, moments=list(self.moments))
        part.add(frame)
        return done

    def settle(self, parts: Sequence[Part]) -> Part:
        """Of all parts begun so far, in order, the one in which the event happened: that has its picture, or else the
        last."""
        (moment,) = self.moments
        home = next((part for part in parts if part.holds(moment.frame)), parts[-1])
        home.at_home.add(moment.event_id)
        return home

    def finish(self) -> list[Part]:
        """It takes no more. Returns what is complete by that."""
        self.ended = True
        part, self._part = self._part, None
        return [part] if part is not None else []
