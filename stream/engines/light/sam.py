"""Segment Anything on the processor: MobileSAM's encoder and SAM's decoder at one square input size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.engines.light.inference import cpu_session, normalised
from stream.models.catalogue import SAM_SIDES, sam_decoder, sam_encoder
from stream.models.store import ModelStore
from stream.types import U8, BoxXyxyPx

Embedding = NDArray[np.float32]
F32 = NDArray[np.float32]
PATCH = 16
"""Pixels of the input to a cell of the embedding."""
STEP = 4
"""Pixels of the input to a pixel of a mask."""
_NO_POINT, _BOX_CORNERS = -1, (2, 3)


class Sam:
    """Masks for points and boxes in a square picture of `side` pixels. One thread at a time.

    Sources: Kirillov et al., “Segment Anything”, 2023; Zhang et al., “Faster Segment Anything” (MobileSAM), 2023.
    """

    def __init__(self, encoder: Path, decoder: Path, side: int) -> None:
        """Open both models and run them once, so that the first click does not pay for it.

        The encoder may be the float32 or the int8 file. Raises `ModelMissing`.
        """
        self.side = side
        self._encoder = cpu_session(encoder)
        self._decoder = cpu_session(decoder)
        self._no_mask = np.zeros((1, 1, side // STEP, side // STEP), np.float32)
        embedding = self.encode(np.zeros((side, side, 3), np.uint8))
        self.decode(embedding, [(side / 2, side / 2)], [1])

    @classmethod
    def load(cls, store: ModelStore, side: int = SAM_SIDES[0]) -> Sam:
        """The models in `store`. Raises `ModelMissing`, and `KeyError` for a side that is not made."""
        return cls(store.path(sam_encoder(side).name), store.path(sam_decoder(side).name), side)

    def encode(self, bgr: U8) -> Embedding:
        """`(side, side, 3)` uint8 BGR → `(1, 256, side/16, side/16)` float32. Raises `ValueError` for another size."""
        if bgr.shape != (self.side, self.side, 3) or bgr.dtype != np.uint8:
            raise ValueError(f"expected a {self.side}×{self.side} BGR picture of bytes, not {bgr.shape} {bgr.dtype}")
        embedding: Embedding = self._encoder.run(None, {"input": normalised(bgr, "rgb")})[0]
        return embedding

    def decode(
        self,
        embedding: Embedding,
        points_xy: ArrayLike,
        labels: Sequence[int],
        box_xyxy: BoxXyxyPx | None = None,
        mask_logits: F32 | None = None,
    ) -> tuple[F32, F32]:
        """Four candidate masks and the IoU that the model expects of each.

        `points_xy` is `(P, 2)` in pixels of the encoded picture and `labels` says 1 for inside or 0 for outside of
        each; `box_xyxy` is in the same pixels; `mask_logits` is an earlier mask, `(side/4, side/4)`. Returns logits
        `(4, side/4, side/4)` float32, inside where > 0, and IoUs `(4,)` float32. Mask 0 is for a prompt that is not
        ambiguous (a box, several points); 1 to 3 go from part to whole.
        """
        points = np.asarray(points_xy, np.float32).reshape(-1, 2)
        kinds = np.asarray(labels, np.float32)
        if len(points) != len(kinds):
            raise ValueError(f"{len(points)} points with {len(kinds)} labels")
        end = ((0.0, 0.0),) if box_xyxy is None else (box_xyxy[:2], box_xyxy[2:])
        end_kinds = (_NO_POINT,) if box_xyxy is None else _BOX_CORNERS
        masks, ious = self._decoder.run(
            None,
            {
                "image_embeddings": embedding,
                "point_coords": np.concatenate((points, np.asarray(end, np.float32)))[None],
                "point_labels": np.concatenate((kinds, np.asarray(end_kinds, np.float32)))[None],
                "mask_input": self._no_mask if mask_logits is None else mask_logits.astype(np.float32)[None, None],
                "has_mask_input": np.array([mask_logits is not None], np.float32),
            },
        )
        return masks[0], ious[0]
