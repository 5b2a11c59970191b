"""Puts RTP packets back in order and gives out complete compressed pictures as soon as they are complete.

A picture ends with the packet that carries the RTP marker (RFC 6184 and RFC 7741, sections 5.1 and 4.1), so it leaves
without waiting for the next one; where a sender sets no marker, the next timestamp ends it. Pure: no clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.bitstream import is_keyframe, starts_picture
from stream.types import Codec

CAPACITY = 2048
"""Packets that may wait at once: two seconds of 12 Mbit/s."""

GIVE_UP_S = 0.3
ASK_AGAIN_S = 0.04
LEAST_REQUESTS = 4
"""Before a packet is given up: where the machine held up the receiver, time alone says nothing of the network."""
MAX_ASKED = 256
"""Sequence numbers in one request, so that the feedback fits one datagram."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet after depayloading. `data` is empty for padding."""

    seq: int
    timestamp: int
    marker: bool
    codec: Codec
    data: bytes


@dataclass(frozen=True, slots=True)
class Assembled:
    """One complete compressed picture; `timestamp` is its RTP timestamp (u32)."""

    codec: Codec
    timestamp: int
    keyframe: bool
    data: bytes


@dataclass(slots=True)
class _Gap:
    """A packet that is missing since `since_s`; `requests` counts the receiver's own, which it makes at once."""

    since_s: float
    asked_s: float
    requests: int = 1


class FrameAssembler:
    """Packets in, complete pictures out, in order.

    Sequence numbers are unwrapped inside. After a loss that was given up, or more packets than `capacity`, pictures
    are withheld until a keyframe, which the caller asks for while `needs_keyframe` is true.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._packets: dict[int, Packet] = {}
        self._missing: dict[int, _Gap] = {}
        self._restart_at: int | None = None
        self._trust_marker = True
        self.needs_keyframe = True
        self.withheld = 0
        """Pictures that were complete but could not be decoded for want of what was lost."""
        self._forget()

    def _forget(self) -> None:
        self._packets.clear()
        self._missing.clear()
        self._first: int | None = None  # first packet of the picture being collected
        self._scan = 0  # next packet to look at; everything from _first up to it is there
        self._highest = 0
        self._given_out = False
        self._beginning_lost = False
        self._last_timestamp: int | None = None

    @property
    def waiting(self) -> int:
        """Packets held for incomplete pictures."""
        return len(self._packets)

    @property
    def has_missing(self) -> bool:
        return bool(self._missing)

    def reset(self) -> None:
        """Start again with whatever packet comes next, from a keyframe."""
        self._forget()
        self.needs_keyframe = True

    def push(self, packet: Packet, now_s: float) -> list[Assembled]:
        """Take one packet; returns every picture that it completes, oldest first."""
        seq = self._unwrap(packet.seq)
        if seq is None:
            return []
        if self._first is None:
            self._first = self._scan = self._highest = seq
        elif seq < self._first:
            if self._given_out or self._highest - seq >= self._capacity:
                return []
            self._note_missing(seq + 1, self._first, now_s)
            self._first = self._scan = seq
        elif seq > self._highest:
            self._note_missing(self._highest + 1, seq, now_s)
            self._highest = seq
        self._missing.pop(seq, None)
        self._packets.setdefault(seq, packet)
        frames = self._collect()
        if len(self._packets) >= self._capacity or self._highest - self._first >= self._capacity:
            frames += self._skip_gap(self._highest if not self._missing else max(self._missing))
        return frames

    def missing(self, now_s: float) -> list[int]:
        """Sequence numbers (u16, oldest first) to ask for now: not asked for within the last 40 ms."""
        due = sorted(seq for seq, gap in self._missing.items() if now_s - gap.asked_s >= ASK_AGAIN_S)[:MAX_ASKED]
        for seq in due:
            gap = self._missing[seq]
            gap.asked_s, gap.requests = now_s, gap.requests + 1
        return [seq & 0xFFFF for seq in due]

    def expire(self, now_s: float) -> list[Assembled]:
        """Give up what has been missing for 300 ms and was asked for four times; returns the pictures that can go
        on after it."""
        expired = {seq: gap for seq, gap in self._missing.items() if now_s - gap.since_s >= GIVE_UP_S}
        if not any(gap.requests >= LEAST_REQUESTS for gap in expired.values()):
            return []
        return self._skip_gap(max(expired))

    def _unwrap(self, seq: int) -> int | None:
        """The sequence number without wraps; None for a packet that belongs nowhere.

        A jump counts as a restart of the sender once two packets in a row follow it (RFC 3550, A.1).
        """
        if self._first is None:
            return seq + 0x10000
        delta = ((seq - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if -self._capacity < delta < self._capacity:
            self._restart_at = None
            return self._highest + delta
        if self._restart_at == seq:
            self.reset()
            return seq + 0x10000
        self._restart_at = (seq + 1) & 0xFFFF
        return None

    def _note_missing(self, start: int, stop: int, now_s: float) -> None:
        for seq in range(start, stop):
            self._missing[seq] = _Gap(now_s, now_s)

    def _collect(self) -> list[Assembled]:
        """Give out the pictures that are complete."""
        frames: list[Assembled] = []
        assert self._first is not None
        while (packet := self._packets.get(self._scan)) is not None:
            begun = self._packets.get(self._first) if self._scan > self._first else None
            if not packet.data and begun is None:
                self._advance(self._scan + 1)
                continue
            if begun is not None and packet.data and packet.timestamp != begun.timestamp:
                self._give_out(frames)
                begun = None
            if begun is None and packet.timestamp == self._last_timestamp and self._trust_marker:
                # The last picture went on after its marker: this sender's markers mean nothing.
                self._trust_marker = False
                self.needs_keyframe = True
            self._scan += 1
            if packet.marker and self._trust_marker:
                self._give_out(frames)
        return frames

    def _give_out(self, frames: list[Assembled]) -> None:
        """Join the packets from `_first` up to `_scan` into a picture."""
        assert self._first is not None
        packets = [self._packets[seq] for seq in range(self._first, self._scan)]
        first, data = packets[0], b"".join(packet.data for packet in packets)
        self._advance(self._scan)
        self._last_timestamp = first.timestamp
        keyframe = is_keyframe(first.codec, data)
        whole = not self._beginning_lost or starts_picture(first.codec, first.data)
        self._beginning_lost = False
        if self.needs_keyframe and not (keyframe and whole):
            self.withheld += 1
            return
        self.needs_keyframe = False
        frames.append(Assembled(first.codec, first.timestamp, keyframe, data))

    def _advance(self, first: int) -> None:
        assert self._first is not None
        for seq in range(self._first, first):
            self._packets.pop(seq, None)
            self._missing.pop(seq, None)
        self._first = first
        self._scan = max(self._scan, first)
        self._given_out = True

    def _skip_gap(self, last: int) -> list[Assembled]:
        """Go on after packet `last` without what is missing before it."""
        self._scan = last + 1
        self._advance(last + 1)
        self._highest = max(self._highest, last)
        self._beginning_lost = True
        self.needs_keyframe = True
        return self._collect()
