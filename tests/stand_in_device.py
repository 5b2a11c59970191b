"""A device made of NumPy memory, whose queues run as late and in as bad an order as they may, and a decoder on it.

Work is only enqueued; it is done while somebody waits, and then the next piece is drawn from any queue whose head may
run. What is about to be written is poisoned first, so that whoever reads at a wrong time sees it.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from kernels.images import Nv12, Window, cut_out
from stream.hardware import Hardware
from stream.pictures import PyAvDecoder, nv12_planes
from stream.surfaces import DeviceError, Planes
from stream.types import U8, Codec

POISON = 0xEE


@dataclass
class Happening:
    done: bool = False


@dataclass
class _Work:
    run: Callable[[], None]
    may_run: Callable[[], bool] = lambda: True


class StandInDevice:
    """Implements `stream.surfaces.Device`. A thread has a queue, and so has every name given to `acting`."""

    words = "the stand-in"

    def __init__(self, seed: int = 0) -> None:
        self.bindable = True
        self.full = False
        self.allocated: list[Planes] = []
        self.reads = 0
        """Whole pictures that were copied to the host."""
        self.cuts: list[tuple[int, int]] = []
        """Sizes of the parts that were."""
        self._random = random.Random(seed)
        self._queues: dict[object, deque[_Work]] = {}
        self._lock = threading.RLock()
        self._local = threading.local()

    @contextlib.contextmanager
    def acting(self, name: str) -> Iterator[None]:
        """What is enqueued inside goes into the queue `name`."""
        self._local.actor = name
        try:
            yield
        finally:
            del self._local.actor

    def enqueue(self, run: Callable[[], None], may_run: Callable[[], bool] = lambda: True) -> None:
        """What a kernel would be."""
        with self._lock:
            key = getattr(self._local, "actor", None) or threading.get_ident()
            self._queues.setdefault(key, deque()).append(_Work(run, may_run))

    def drain(self) -> None:
        """Do all that is enqueued."""
        while self._step():
            pass
        assert not any(self._queues.values()), "the queues wait for each other"

    def _step(self) -> bool:
        with self._lock:
            ready = [queue for queue in self._queues.values() if queue and queue[0].may_run()]
            if not ready:
                return False
            self._random.choice(ready).popleft().run()
            return True

    # --- Device

    def bind(self) -> None:
        if not self.bindable:
            raise DeviceError("the context cannot be made")

    def empty(self, height: int, width: int) -> Planes:
        if self.full:
            raise DeviceError("out of memory")
        shapes = (height, width), ((height + 1) // 2, (width + 1) // 2, 2)
        planes = Planes(*(np.full(shape, POISON, np.uint8) for shape in shapes))
        self.allocated.append(planes)
        return planes

    def copy(self, source: Planes, target: Planes) -> None:
        if self.full:
            raise DeviceError("out of memory")
        for given, wanted in zip(source, target, strict=True):
            self.enqueue(lambda wanted=wanted: wanted.fill(POISON))
            self.enqueue(lambda given=given, wanted=wanted: np.copyto(wanted, given))

    def record(self) -> Happening:
        event = Happening()
        self.enqueue(lambda: setattr(event, "done", True))
        return event

    def wait(self, event: Any) -> None:
        self.enqueue(lambda: None, lambda: event.done)

    def finish(self, event: Any) -> None:
        while not event.done:
            assert self._step(), "an event that never happens"

    def read(self, planes: Planes, after: Any) -> tuple[U8, U8]:
        self.finish(after)
        self.reads += 1
        return planes.y.copy(), planes.uv.copy()

    def cut(self, picture: Nv12, window: Window, size: tuple[int, int], after: Any) -> U8:
        self.finish(after)
        self.cuts.append(size)
        return np.asarray(cut_out(picture, window, size=size), np.uint8)


@dataclass
class StandInDecoder:
    """Decodes on the host and says that the pictures are on the device; only two are, which are written in turn."""

    hardware: StandInHardware
    codec: Codec
    inner: PyAvDecoder

    def decode(self, packet: Any) -> Sequence[av.VideoFrame]:
        hardware = self.hardware
        hardware.decoded += 1
        if hardware.fails is not None:
            raise hardware.fails
        pictures = self.inner.decode(packet)
        hardware.made = {id(picture) for picture in pictures}
        return [] if hardware.holds_back else pictures


@dataclass
class StandInHardware:
    """What `stream.hardware.Hardware` needs, with faults to switch on."""

    device: StandInDevice = field(default_factory=StandInDevice)
    fails: Exception | None = None
    """Raised by every decoder from now on."""
    opens: bool = True
    here: bool = True
    holds_back: bool = False
    wrong: bool = False
    decoded: int = 0
    opened: int = 0
    made: set[int] = field(default_factory=set)
    """What the newest pictures of its decoder are known by."""
    _surfaces: list[Planes] = field(default_factory=list)

    def hardware(self) -> Hardware:
        return Hardware(
            self.device,
            self._open,
            lambda picture: self.here and id(picture) in self.made,
            self._planes,
            name="stand-in decoder",
        )

    def _open(self, codec: Codec, max_pixels: int) -> StandInDecoder:
        if not self.opens:
            raise DeviceError("no decoder of this kind")
        self.opened += 1
        return StandInDecoder(self, codec, PyAvDecoder(codec, max_pixels))

    def _planes(self, picture: av.VideoFrame) -> Planes:
        made = Planes(*(plane.copy() for plane in nv12_planes(picture)))
        if self.wrong:
            made.y[:] = 255 - made.y
        same = [surface for surface in self._surfaces if surface.size == made.size]
        if len(same) < 2:
            self._surfaces.append(made)
            return made
        # The older of two surfaces is overwritten as soon as the decoder has the next picture.
        oldest = same[0]
        self._surfaces = [surface for surface in self._surfaces if surface is not oldest] + [oldest]
        for given, wanted in zip(made, oldest, strict=True):
            np.copyto(wanted, given)
        return oldest
