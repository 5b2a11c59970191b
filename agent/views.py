"""A picture of a stream as those see it who look closer: people, and language models.

Parts are cut out where the picture is, so that of one in a GPU's memory only they come to the host, and what was
encoded once is given to all who ask for the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import cv2
import numpy as np

from kernels.images import Window
from stream.snapshot import to_jpeg
from stream.types import U8, Frame

MOST_ENCODED = 8
"""JPEGs that are kept of one picture: the newest."""


class View:
    """One picture: a decoded frame, or pixels `(h, w, 3)` uint8 BGR. Any thread; all that makes something takes
    milliseconds, and is not for the event loop."""

    def __init__(self, source: Frame | U8) -> None:
        self._source = source
        self._encoded: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        source = self._source
        return (source.height, source.width) if isinstance(source, Frame) else (source.shape[0], source.shape[1])

    @property
    def whole(self) -> Window:
        height, width = self.size
        return 0, 0, width, height

    def part(self, window: Window, long_side_px: int) -> U8:
        """What is in `window` with its long side at most `long_side_px`: a new array `(h, w, 3)` uint8 BGR."""
        left, top, right, bottom = window
        size = within((bottom - top, right - left), long_side_px)
        if isinstance(self._source, Frame):
            return self._source.cut(window, size)
        pixels = self._source[top:bottom, left:right]
        if pixels.shape[:2] == size:
            return pixels.copy()
        return np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def jpeg(self, window: Window, long_side_px: int, quality: int) -> bytes:
        """The same as a JPEG of `quality` 0..100, encoded at the first call. Raises `ValueError` where that fails."""
        key = window, long_side_px, quality
        return self.encoded(key, lambda: to_jpeg(self.part(window, long_side_px), quality))

    def encoded(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What `make` made when `key` was first asked for, for as long as it is among the newest."""
        with self._lock:
            made = self._encoded.pop(key, None)
            if made is None:
                made = make()
            self._encoded[key] = made
            while len(self._encoded) > MOST_ENCODED:
                self._encoded.popitem(last=False)
            return made


def within(size: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    """`(height, width)` made smaller in proportion until the long side fits; at least one pixel each way."""
    shrink = min(1.0, long_side_px / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
