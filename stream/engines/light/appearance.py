"""What an object looks like: colours, a feature, and how both are remembered and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import F32, U8

LEVELS = 8
MOST_FEATURES = 8
I32 = NDArray[np.int32]


def colour_bins(bgr: U8) -> I32:
    """`(..., 3)` uint8 → `(...)` int32 in 0..511: eight levels of each channel."""
    levels = (bgr >> 5).astype(np.int32)
    bins: I32 = (levels[..., 0] << 6) | (levels[..., 1] << 3) | levels[..., 2]
    return bins


def _neighbours() -> NDArray[np.intp]:
    """`(6, 512)`: the bins one level lower and higher in each channel, itself at the ends."""
    levels = np.arange(LEVELS**3).reshape(LEVELS, LEVELS, LEVELS)
    ends = np.concatenate(([0], np.arange(LEVELS), [LEVELS - 1]))
    shifted = [np.take(levels, ends[shift : shift + LEVELS], axis) for axis in range(3) for shift in (0, 2)]
    return np.stack([one.ravel() for one in shifted])


_NEIGHBOURS = _neighbours()


def histogram(bgr: U8, on: U8 | None = None) -> F32:
    """`(512,)` float32 summing to 1: colours of `bgr` `(h, w, 3)` where `on` `(h, w)` is not 0, each spread over its
    six neighbours, so that a small change of light does not move everything to another bin."""
    counts = cv2.calcHist([bgr], [0, 1, 2], on, [LEVELS] * 3, [0, 256] * 3).ravel()
    soft = np.float32(0.5) * counts + counts[_NEIGHBOURS].sum(0) * np.float32(1 / 12)
    total: F32 = soft / np.float32(max(float(soft.sum()), 1e-6))
    return total


class Similarity(NamedTuple):
    """`colour` in 0..1 (Bhattacharyya), `feature` a cosine."""

    colour: float
    feature: float

    @property
    def look(self) -> float:
        return self.colour + 0.5 * self.feature


@dataclass(frozen=True, slots=True)
class Look:
    """One sight of an object: its colours and those around it `(512,)`, and a unit feature `(256,)` where a network
    gave one."""

    colour: F32
    around: F32
    feature: F32 | None = None


def look_at(bgr: U8, on: U8, embedding: F32 | None = None) -> Look:
    """The look of the mask `on` `(h, w)` uint8 0/1 in `bgr` `(h, w, 3)`.

    `embedding`: `(1, c, h', w')` float32 of the same picture; the feature is its mean under the mask minus its mean
    over all of it, as a unit vector. The mask is eroded by a pixel where it can be: edges are mixed colours.
    """
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(on, kernel)
    if int(inner.sum()) <= 20:
        inner = on
    colour = histogram(bgr, np.asarray(inner, np.uint8))
    around = histogram(bgr, 1 - np.asarray(cv2.dilate(on, np.ones((5, 5), np.uint8)), np.uint8))
    if embedding is None:
        return Look(colour, around)
    size = embedding.shape[3], embedding.shape[2]
    weights = np.asarray(cv2.resize(inner.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32).ravel()
    cells = embedding[0].reshape(embedding.shape[1], -1)
    feature = cells @ weights / max(float(weights.sum()), 1e-6) - cells.mean(1)
    feature = feature / (np.linalg.norm(feature) + 1e-6)
    return Look(colour, around, feature.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of an object: the first colours for good, the recent ones, and up to 8 different features.

    Frozen, so that the SAM thread may read it while the engine thread moves on.
    """

    first: F32
    recent: F32
    features: tuple[F32, ...] = ()

    @staticmethod
    def of(look: Look) -> Memory:
        return Memory(look.colour, look.colour, () if look.feature is None else (look.feature,))

    def similarity(self, look: Look) -> Similarity:
        """How alike a look is to what is remembered. Without features, colour stands in for them.

        The first colours count half however well the recent ones agree: an object that drifts onto another thing would
        otherwise agree with itself at every step.
        """
        first, recent = (float(np.sqrt(look.colour * known).sum()) for known in (self.first, self.recent))
        colour = 0.5 * (first + max(first, recent))
        if look.feature is None or not self.features:
            return Similarity(colour, colour)
        return Similarity(colour, max(float(look.feature @ known) for known in self.features))

    def learn(self, look: Look, similarity: Similarity) -> Memory:
        """The memory with a good look added: slowly for colour, and as a new feature where it is a new view."""
        recent = 0.92 * self.recent + np.float32(0.08) * look.colour
        known = replace(self, recent=recent.astype(np.float32))
        new_view = not self.features or (similarity.feature < 0.9 and len(self.features) < MOST_FEATURES)
        if look.feature is not None and new_view:
            return replace(known, features=(*self.features, look.feature))
        return known

    def posterior(self, around: F32) -> F32:
        """`(512,)` float32 in 0..1: how probable each colour makes it that a pixel is the object's and not of what is
        `around`."""
        own = self.recent
        odds: F32 = own / (own + around + np.float32(1e-5))
        return odds
