"""A CUDA GPU as torch has it: the device of decoded pictures, in torch's primary context."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from kernels.images import Nv12, Window, cut_out
from stream.surfaces import DeviceError, Planes
from stream.types import U8


class TorchDevice:
    """Implements `stream.surfaces.Device`. A thread's queue is its current CUDA stream. Raises `DeviceError` where
    torch is missing or finds no such GPU."""

    def __init__(self, index: int = 0) -> None:
        try:
            self._torch: Any = importlib.import_module("torch")
        except ImportError as error:
            raise DeviceError("torch is not installed") from error
        self.index = index
        self._launches = importlib.util.find_spec("cupy") is not None
        with _refusals(self._torch):
            if not self._torch.cuda.is_available():
                raise DeviceError("torch finds no CUDA GPU")
            self._name = str(self._torch.cuda.get_device_name(index))

    @property
    def words(self) -> str:
        return self._name

    def bind(self) -> None:
        """Beside that, torch's context is current on the thread then, which FFmpeg takes for its own."""
        torch = self._torch
        with _refusals(torch):
            torch.cuda.set_device(self.index)
            torch.cuda.set_stream(torch.cuda.Stream(self.index))
            # Selecting a device binds its context at the first call only.
            torch.empty(1, device=f"cuda:{self.index}")

    def empty(self, height: int, width: int) -> Planes:
        torch, where = self._torch, f"cuda:{self.index}"
        with _refusals(torch):
            return Planes(
                torch.empty((height, width), dtype=torch.uint8, device=where),
                torch.empty(((height + 1) // 2, (width + 1) // 2, 2), dtype=torch.uint8, device=where),
            )

    def copy(self, source: Planes, target: Planes) -> None:
        """Planes of a decoder are capsules of DLPack: of 8 bits, or of 16 of which the upper 8 are taken."""
        torch = self._torch
        with _refusals(torch):
            if isinstance(source.y, np.ndarray):
                for given, wanted in zip(source, target, strict=True):
                    # From pageable memory, so that it is there when this returns.
                    wanted.copy_(torch.from_numpy(given))
                return
            # FFmpeg works on the legacy default stream, and nothing else of ours does.
            torch.cuda.current_stream(self.index).wait_stream(torch.cuda.default_stream(self.index))
            for given, wanted in zip(source, target, strict=True):
                if given.dtype != torch.uint8:
                    given = given.view(torch.uint8).unflatten(-1, (-1, 2))[..., 1]
                height, width = given.shape[:2]
                wanted[:height, :width].copy_(given, non_blocking=True)
                # A decoder's chroma lacks the last row and column of odd sizes.
                if height < wanted.shape[0]:
                    wanted[height:].copy_(wanted[height - 1 : height], non_blocking=True)
                if width < wanted.shape[1]:
                    wanted[:, width:].copy_(wanted[:, width - 1 : width], non_blocking=True)

    def record(self) -> Any:
        with _refusals(self._torch):
            return self._torch.cuda.current_stream(self.index).record_event(self._torch.cuda.Event(blocking=True))

    def wait(self, event: Any) -> None:
        with _refusals(self._torch):
            self._torch.cuda.current_stream(self.index).wait_event(event)

    def finish(self, event: Any) -> None:
        with _refusals(self._torch):
            event.synchronize()

    def read(self, planes: Planes, after: Any) -> tuple[U8, U8]:
        y, uv = self._brought(lambda: planes, after)
        y.flags.writeable = uv.flags.writeable = False
        return y, uv

    def cut(self, picture: Nv12, window: Window, size: tuple[int, int], after: Any) -> U8:
        """Without CuPy, which launches the kernel, the whole picture is copied and the host makes the part."""
        if not self._launches:
            y, uv = self.read(Planes(picture.y, picture.uv), after)
            host = Nv12(y, uv, picture.matrix, picture.full_range)
            return np.asarray(cut_out(host, window, size=size), np.uint8)
        (part,) = self._brought(lambda: (cut_out(picture, window, size=size),), after)
        return part

    def _brought(self, make: Callable[[], Iterable[Any]], after: Any) -> list[U8]:
        """Copies of the tensors that `make` gives, on a stream of its own after `after`."""
        torch = self._torch
        with _refusals(torch), torch.cuda.device(self.index):
            # What somebody waits for is little, and goes before the step that an engine has queued.
            aside = torch.cuda.Stream(self.index, priority=-1)
            aside.wait_event(after)
            with torch.cuda.stream(aside):
                # Held until the copies are done: another stream might be given their memory.
                made = list(make())
                pinned = [torch.empty(tensor.shape, dtype=torch.uint8, pin_memory=True) for tensor in made]
                for target, tensor in zip(pinned, made, strict=True):
                    target.copy_(tensor, non_blocking=True)
                aside.record_event(done := torch.cuda.Event(blocking=True))
            done.synchronize()
        return [target.numpy() for target in pinned]

    def from_decoder(self, planes: Any) -> Planes:
        """A CUDA picture's planes as tensors on its own memory, which they keep alive."""
        with _refusals(self._torch):
            y, uv = (self._torch.from_dlpack(plane.__dlpack__()) for plane in planes)
        return Planes(y, uv)


@contextlib.contextmanager
def _refusals(torch: Any) -> Iterator[None]:
    """What CUDA and torch raise, which are RuntimeErrors, as `DeviceError`."""
    try:
        yield
    except (RuntimeError, AssertionError, BufferError, NotImplementedError, TypeError) as error:
        raise DeviceError(str(error).split("\n")[0] or type(error).__name__) from error
