"""What other objects cover of an object stays a part of its mask, faintly, so that it is there when they have passed.

A new mask shows what is seen. Without what is hidden the object would come out from behind another one strip by strip,
each a refresh late.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.engines.grid import ON, U8, Patch

SURE = 160
"""Soft masks above this show the object itself: motion and colours are measured there."""
FAINT = 140
"""What is hidden is on, but any other mask that is sure of a pixel has it."""
SEAM = np.ones((7, 7), np.uint8)
"""Where two masks meet, neither may reach the other's edge."""


def with_hidden(seen: Patch, before: Patch, others: Sequence[Patch], most: float) -> Patch:
    """The mask `seen` with what `others` cover of the one `before`, true on the same picture; at most `most` pixels,
    since a mask that is larger than the object had leaked."""
    a, b = seen.window, before.window
    window = min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
    known = before.cut(window) >= ON
    covered = np.zeros(known.shape, np.uint8)
    for other in others:
        covered |= (other.cut(window) >= ON).astype(np.uint8)
    covered[~known] = 0
    if not covered.any():
        return seen
    hidden = (cv2.dilate(covered, SEAM) > 0) & known
    shown = seen.cut(window)
    if np.count_nonzero(hidden | (shown >= ON)) > most:
        return seen
    return Patch(window[0], window[1], np.where(hidden, np.maximum(shown, FAINT), shown).astype(np.uint8)).tight()


def seen_part(low: U8, others: U8) -> U8:
    """A soft mask without what is faint in it because `others`, 0/1, cover it."""
    return np.where((low < SURE) & (others > 0), 0, low).astype(np.uint8)
