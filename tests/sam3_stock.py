"""transformers' `Sam3VideoModel` as a whole, streaming, with detections that are given: what the sam3 engine must agree
with where its policy is stock's, and where its masks take the same detours.

Detections are boxes at set frames, where objects appear, and the masks that the tracker had one frame before, which the
detector confirms now and then. They are recorded, so that the engine can be given the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from transformers.models.sam3_video import modeling_sam3_video
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

from stream.engines.sam3.network import Decoded, Detections, Features, Levels, Network, Query
from stream.engines.sam3.stepping import Asked, Given, Outcome, Stepper
from tests.sam3_oracle import LiveSession, prune
from tests.sam3_world import Words

LENGTH = 16
CANDIDATES = 12
Found = tuple[Tensor, Tensor]
"""Of one prompt: scores `(CANDIDATES,)` and masks `(CANDIDATES, m, m)`, 0 and off where there is none."""


class Kernels:
    """What stock would download for connected components and suppression."""

    def cc_2d(self, masks: Tensor, get_counts: bool = True) -> tuple[Tensor, Tensor]:
        assert get_counts
        labels, counts = np.zeros(masks.shape, np.int32), np.zeros(masks.shape, np.int32)
        for at in np.ndindex(*masks.shape[:2]):
            labels[at], number = ndimage.label(masks[at].numpy(), np.ones((3, 3)))
            sizes = ndimage.sum_labels(np.ones(masks.shape[2:]), labels[at], np.arange(number + 1))
            counts[at] = sizes[labels[at]]
        return torch.from_numpy(labels), torch.from_numpy(counts)

    def generic_nms(self, overlap: Tensor, scores: Tensor, threshold: float, use_iou_matrix: bool = True) -> Tensor:
        assert use_iou_matrix
        kept: list[int] = []
        for index in scores.argsort(descending=True, stable=True).tolist():
            if all(overlap[index, other] <= threshold for other in kept):
                kept.append(index)
        return torch.tensor(kept, dtype=torch.long)


class LongSession(LiveSession):
    """Ages of pointers are measured by the length of the video, up to 16 frames. A stream has no length, and stock
    takes that of what it has seen: here it is 16 from the beginning, as in any video."""

    @property
    def num_frames(self) -> int:
        return max(LENGTH, self.seen)


@dataclass
class Appearance:
    """A new object of a prompt, a box in pixels of the mask."""

    prompt: int
    box: tuple[int, int, int, int]
    score: float = 0.9


@dataclass
class Stock:
    """One stream of stock's. `recorded`: for each frame what the detector was made to find, by prompt."""

    model: Sam3VideoModel
    prompts: tuple[int, ...]
    appearances: dict[int, list[Appearance]]
    recorded: list[dict[int, Found]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session: Any = LongSession()
        self._born: dict[int, int] = {}
        self.session.prompts = {prompt: str(prompt) for prompt in self.prompts}
        self.frame = -1
        self._before: dict[int, Tensor] = {}
        self.model.run_detection = self._detections

    def step(self, picture: Tensor) -> dict[int, Tensor]:
        """The next frame `(3, side, side)`; id → mask, bool `(m, m)`."""
        self.frame += 1
        with mock.patch.object(modeling_sam3_video, "cv_utils_kernel", Kernels()):
            made = self.model(inference_session=self.session, frame=picture, frame_idx=self.frame)
        for id_ in self.session.obj_ids:
            self._born.setdefault(id_, self.frame)
        prune(self.session, self.frame, self._born)
        self._before = {id_: mask[0] for id_, mask in made.obj_id_to_mask.items()}
        return {id_: mask[0] > 0 for id_, mask in made.obj_id_to_mask.items()}

    def _detections(self, inference_session: Any, vision_embeds: Any) -> dict[int, dict[str, Tensor]]:
        found = {prompt: self._given(prompt) for prompt in self.prompts}
        self.recorded.append(found)
        return {prompt: self._as_stock(*given) for prompt, given in found.items()}

    def _given(self, prompt: int) -> Found:
        side = self.model.low_res_mask_size
        scores, masks = torch.zeros(CANDIDATES), torch.full((CANDIDATES, side, side), -5.0)
        known = [id_ for id_ in self._before if self.session.obj_id_to_prompt_id[id_] == prompt]
        confirmed = [id_ for id_ in known if (self.frame + id_) % 4 and bool((self._before[id_] > 0).any())]
        at = 0
        for id_ in confirmed:
            scores[at], masks[at] = 0.6 if self.frame % 16 else 0.82 + 0.01 * id_, self._before[id_]
            at += 1
        for new in self.appearances.get(self.frame, []):
            if new.prompt == prompt:
                x0, y0, x1, y1 = new.box
                scores[at] = new.score
                masks[at, y0:y1, x0:x1] = 5.0
                at += 1
        return scores, masks

    def _as_stock(self, scores: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """The end of stock's `run_detection`."""
        keep = modeling_sam3_video.nms_masks(
            scores, masks, self.model.score_threshold_detection, self.model.det_nms_thresh
        )
        scores = torch.where(keep, scores, 0.0)
        (chosen,) = torch.where(scores > self.model.score_threshold_detection)
        return {"bbox": torch.zeros(len(chosen), 4), "mask": masks[chosen], "scores": scores[chosen]}


class StockNetwork(Network):
    """Finds what was recorded, and takes masks that are given as stock does: by way of the picture's size, and with the
    best of three pointers."""

    def __init__(self, model: Sam3VideoModel, recorded: list[dict[int, Found]]) -> None:
        super().__init__(model, device=torch.device("cpu"), dtype=torch.float32)
        self._recorded = recorded
        self.frame = 0

    def detect(self, features: Features, queries: Sequence[Query]) -> Detections:
        found = list(self._recorded[self.frame].values())
        assert len(found) == len(queries)
        scores, masks = (torch.stack(column) for column in zip(*found, strict=True))
        return Detections(torch.zeros(*scores.shape, 4), scores, masks)

    def take_masks(self, features: Levels, pictures: Tensor, masks: Tensor) -> Decoded:
        given = resized(masks[:, None].float(), self.shape.side)
        hint = resized(self._tracker.mask_downsample(given), self.shape.mask)[:, 0]
        made = self.decode(features, pictures, features[2].index_select(0, pictures), masks=hint)
        return Decoded(resized(given * 20 - 10, self.shape.mask)[:, 0], torch.full((len(masks),), 10.0), made.pointers)


class StockStepper(Stepper):
    """Encodes memories of certain masks from the size that stock has them in."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._given: dict[int, Tensor] = {}

    def start(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> Outcome:
        self._given = {
            one.slot.index: prompt.mask for one, prompt in zip(asked, prompts, strict=True) if prompt.mask is not None
        }
        return super().start(features, asked, prompts)

    def remember(
        self, features: Features, asked: Sequence[Asked], masks: Tensor, scores: Tensor, *, conditioning: Any,
        from_prompt: bool,
    ) -> None:  # fmt: skip
        if from_prompt:
            masks = torch.stack([self._fine(one, mask) for one, mask in zip(asked, masks, strict=True)])
        super().remember(features, asked, masks, scores, conditioning=conditioning, from_prompt=from_prompt)
        self._given = {}

    def _fine(self, one: Asked, mask: Tensor) -> Tensor:
        side, given = self.network.shape.side, self._given.get(one.slot.index)
        if given is not None:
            return resized(given[None, None].float(), side)[0, 0] * 20 - 10
        return functional.interpolate(mask[None, None], (side, side), mode="bilinear", align_corners=False)[0, 0]


def resized(masks: Tensor, side: int) -> Tensor:
    """`(N, 1, h, w)` to `(N, 1, side, side)`."""
    return functional.interpolate(masks, (side, side), mode="bilinear", align_corners=False, antialias=True)


class LetterTokens(Words):
    """Tokens of the length that the tiny model takes, the same for every word."""

    def tokens(self, text: str) -> tuple[Tensor, Tensor]:
        return torch.zeros(1, 32, dtype=torch.int64), torch.ones(1, 32, dtype=torch.int64)
