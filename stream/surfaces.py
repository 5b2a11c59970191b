"""Decoded pictures in the memory of a device: a pool of buffers for each stream, and frames that hold one of them.

The decoder's thread copies each picture into a buffer and lets the decoder's own surface go. Whoever works on the
buffer does so inside `Surface.reading`: its work then waits for the copy, and the buffer is not written again before
that work is done, however early the frame is let go. Threads meet through events only. A buffer goes back to the pool
with the last reference to its frame; a pool with none left gives None, which is a drop. Whoever holds frames for longer
than a moment says so with `kept`: a few more buffers are for them, and what is beyond those is copied to the host, so
that nobody who looks back takes the room of what comes.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from kernels.images import Nv12, Window, cut_out
from stream.types import U8, Colour, Frame

CAPACITY = 8
"""Buffers a stream: one being filled, one waiting, up to two in a step, and those that are looked at meanwhile."""

KEPT = 12
"""Buffers a stream beside those, for frames that are kept."""

UNTAGGED = Colour()


class DeviceError(Exception):
    """A device refused: its context cannot be made or was lost, or its memory is full."""


class Planes(NamedTuple):
    """NV12: `y` `(H, W)` and `uv` `(ceil(H/2), ceil(W/2), 2)`, uint8, both of the host (NumPy) or of one device."""

    y: Any
    uv: Any

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        return int(self.y.shape[0]), int(self.y.shape[1])


class Device(Protocol):
    """What is asked of a device. Each thread has its own queue of work there, in order; `copy` and what `reading`
    encloses are put into the queue of the calling thread. All raise `DeviceError`."""

    @property
    def words(self) -> str:
        """Which device it is."""
        ...

    def bind(self) -> None:
        """Make the device usable on the calling thread, with a queue of its own."""
        ...

    def empty(self, height: int, width: int) -> Planes:
        """New planes with whatever was in the memory."""
        ...

    def copy(self, source: Planes, target: Planes) -> None:
        """Enqueue a copy; `source` may be a decoder's pitched planes, or the host's, and must live until it is done."""
        ...

    def record(self) -> Any:
        """An event that happens once what the calling thread enqueued so far is done."""
        ...

    def wait(self, event: Any) -> None:
        """Let the calling thread's queue wait for `event`, not the thread."""
        ...

    def finish(self, event: Any) -> None:
        """Block the calling thread until `event` has happened."""
        ...

    def read(self, planes: Planes, after: Any) -> tuple[U8, U8]:
        """A copy on the host, not writable, made after the event `after`. Blocks the calling thread, which may be any,
        until it is there; waits for nothing else."""
        ...

    def cut(self, picture: Nv12, window: Window, size: tuple[int, int], after: Any) -> U8:
        """A part of a picture, as `kernels.images.cut_out` makes it: made on the device, and only that copied. As
        `read` in all else."""
        ...


class _Buffer:
    """Planes, and the events of those who read them last."""

    def __init__(self, planes: Planes) -> None:
        self.planes = planes
        self.readers: list[Any] = []


class Surface:
    """One picture in a buffer of a pool, which gets it back when this is let go."""

    def __init__(self, pool: SurfacePool, buffer: _Buffer) -> None:
        self._pool = pool
        self._buffer = buffer
        self._filled: Any = None
        self._host: tuple[U8, U8] | None = None
        self._kept = False
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._pool.give_back(self._buffer, kept=self._kept)

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        return self._buffer.planes.size

    @contextlib.contextmanager
    def reading(self) -> Iterator[Planes]:
        """The planes on the device, for work that the calling thread enqueues inside; any thread."""
        self._pool.device.wait(self._filled)
        try:
            yield self._buffer.planes
        finally:
            self._buffer.readers.append(self._pool.device.record())

    def on_host(self) -> tuple[U8, U8]:
        """Both planes on the host, copied at the first call, for which the calling thread waits."""
        with self._lock:
            if self._host is None:
                self._host = self._pool.device.read(self._buffer.planes, self._filled)
            return self._host

    def cut(self, window: Window, size: tuple[int, int], colour: Colour) -> U8:
        """What is in `window`, as `Frame.cut`; only that is copied, and the calling thread waits for it."""
        if self._host is not None:
            picture = Nv12(*self._host, colour.matrix, colour.full_range)
            return np.asarray(cut_out(picture, window, size=size), np.uint8)
        picture = Nv12(*self._buffer.planes, colour.matrix, colour.full_range)
        return self._pool.device.cut(picture, window, size, self._filled)

    def keep(self) -> bool:
        """Hold the buffer for as long as this lives, beside the stream's others. False where too many are kept."""
        # Not the lock under which the picture is copied: who keeps it may be the event loop.
        with self._pool.keeping:
            self._kept = self._kept or self._pool.permit()
            return self._kept

    def fill(self, source: Planes, *, host: tuple[U8, U8] | None) -> None:
        """Copy a picture in, and wait until `source` may be let go. `host`: the same on the host, where it is known."""
        device = self._pool.device
        for event in self._buffer.readers:
            device.wait(event)
        self._buffer.readers.clear()
        device.copy(source, self._buffer.planes)
        self._filled, self._host = device.record(), host
        device.finish(self._filled)


class SurfacePool:
    """At most `capacity` buffers of one size, and `kept` more. Filled by one thread; surfaces are kept and let go on
    any."""

    def __init__(self, device: Device, capacity: int = CAPACITY, kept: int = KEPT) -> None:
        self.device = device
        self._capacity = capacity
        self._free: list[_Buffer] = []
        # Without a lock, since surfaces may be let go by the garbage collector in the middle of anything.
        self._returned: deque[_Buffer] = deque()
        self._most_kept = kept
        self._permits = deque([None] * kept)
        self.keeping = threading.Lock()
        self._out = 0

    @property
    def in_use(self) -> int:
        """All that are out, those that are kept among them."""
        return self._out - len(self._returned)

    @property
    def kept(self) -> int:
        return self._most_kept - len(self._permits)

    def fill(self, source: Planes, *, host: tuple[U8, U8] | None = None) -> Surface | None:
        """A copy of `source` on the device; None where all buffers are in use. Raises `DeviceError`."""
        buffer = self._take(*source.size)
        if buffer is None:
            return None
        surface = Surface(self, buffer)
        surface.fill(source, host=host)
        return surface

    def permit(self) -> bool:
        """Whether one more surface may be kept; counted from now on."""
        try:
            self._permits.pop()
        except IndexError:
            return False
        return True

    def give_back(self, buffer: _Buffer, *, kept: bool) -> None:
        """Called by surfaces that are let go."""
        # In this order one that is on its way back counts as in use rather than as neither.
        if kept:
            self._permits.append(None)
        self._returned.append(buffer)

    def _take(self, height: int, width: int) -> _Buffer | None:
        while self._returned:
            self._free.append(self._returned.popleft())
            self._out -= 1
        if self._out - self.kept >= self._capacity:
            return None
        others = [buffer for buffer in self._free if buffer.planes.size != (height, width)]
        self._free = [buffer for buffer in self._free if buffer.planes.size == (height, width)]
        for buffer in others:
            # Its memory may be used again by this thread's queue: after those who still read it.
            for event in buffer.readers:
                self.device.wait(event)
        buffer = self._free.pop(0) if self._free else _Buffer(self.device.empty(height, width))
        self._out += 1
        return buffer


class DeviceFrame(Frame):
    """A frame on a device; `y` and `uv` are copied to the host when they are first asked for. With planes of one's own
    (`dataclasses.replace`) it is an ordinary frame."""

    __slots__ = ("surface",)
    surface: Surface

    def __new__(  # type: ignore[misc]
        cls, index: int, epoch: int, pts: int, rtp: int, captured_unix_us: int | None, received_s: float,
        decoded_s: float, y: U8 | None = None, uv: U8 | None = None, colour: Colour = UNTAGGED,
        surface: Surface | None = None,
    ) -> Frame:  # fmt: skip
        if y is not None and uv is not None:
            return Frame(index, epoch, pts, rtp, captured_unix_us, received_s, decoded_s, y, uv, colour)
        return super().__new__(cls)

    def __init__(
        self, index: int, epoch: int, pts: int, rtp: int, captured_unix_us: int | None, received_s: float,
        decoded_s: float, y: None = None, uv: None = None, colour: Colour = UNTAGGED, *, surface: Surface,
    ) -> None:  # fmt: skip
        given = {
            "index": index, "epoch": epoch, "pts": pts, "rtp": rtp, "captured_unix_us": captured_unix_us,
            "received_s": received_s, "decoded_s": decoded_s, "colour": colour, "surface": surface,
        }  # fmt: skip
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def y(self) -> U8:
        return self.surface.on_host()[0]

    @property
    def uv(self) -> U8:
        return self.surface.on_host()[1]

    def cut(self, window: Window, size: tuple[int, int]) -> U8:
        return self.surface.cut(window, size, self.colour)

    def kept(self) -> Frame:
        return self if self.surface.keep() else replace(self, y=self.y, uv=self.uv)

    @property
    def width(self) -> int:
        return self.surface.size[1]

    @property
    def height(self) -> int:
        return self.surface.size[0]
