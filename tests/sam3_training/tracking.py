"""Learning to follow: one object of each of `B` films, given by its mask, a click or a box in the first picture.

The steps are those of the tracker at work (SAM 2, Ravi et al., 2024), differentiable and for a batch of films.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import (
    Sam3TrackerVideoModel,
    get_1d_sine_pe,
)

from tests.sam3_training.losses import boxes_of, iou, mask_loss, shrunk

Kind = Literal["mask", "point", "box"]
NOTHING = -1024.0


@dataclass(frozen=True, slots=True)
class Maps:
    """The tracker's features of `T` pictures of `B` films: `(B, T, C, h, w)` at strides 4, 2 and 1 of the grid, and
    the positional encoding of the last, `(1, C, h, w)`."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    position: Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one picture: `mask` `(B, m, m)` logits, `score` `(B,)`, `pointer` `(B, C)`."""

    mask: Tensor
    score: Tensor
    pointer: Tensor


class Follower:
    """`run` gives the loss and how well the masks fit."""

    def __init__(self, tracker: Sam3TrackerVideoModel) -> None:
        self._tracker = tracker

    def run(self, maps: Maps, masks: Tensor, kind: Kind, stride: int) -> tuple[Tensor, list[float]]:
        """`masks` is `(B, T, S, S)` bool, no first one empty; the IoU of each picture but one given by its mask."""
        memories: list[Tensor] = []
        pointers: list[Tensor] = []
        losses, fits = [], []
        for index in range(masks.shape[1]):
            if index == 0 and kind == "mask":
                answer, loss = self._given(maps, masks[:, 0])
                losses.append(loss)
            else:
                first = index == 0
                coarse = self._unconditioned(maps) if first else self._recall(maps, index, memories, pointers, stride)
                prompt = prompt_for(kind, masks[:, 0]) if first else None
                answer, loss, fit = self._decode(maps, index, coarse, masks[:, index], prompt)
                losses.append(loss)
                fits.append(fit)
            memories.append(self._remember(maps.coarse[:, index], answer, hard=index == 0))
            pointers.append(answer.pointer)
        return torch.stack(losses).mean(), fits

    def _unconditioned(self, maps: Maps) -> Tensor:
        return maps.coarse[:, 0] + self._tracker.no_memory_embedding.permute(0, 2, 1).unsqueeze(-1)

    def _given(self, maps: Maps, masks: Tensor) -> tuple[Answer, Tensor]:
        """The mask itself is the answer; only its pointer is asked of the decoder, which must see that it is there."""
        tracker, batch = self._tracker, len(masks)
        small = tracker.mask_downsample(masks[:, None].float())
        small = functional.interpolate(
            small, size=tracker.prompt_encoder.mask_input_size, mode="bilinear", antialias=True
        )
        _, promised, tokens, score = self._decoder(maps, 0, maps.coarse[:, 0], None, small, several=True)
        score = score.flatten()
        pointer = self._pointer(promised[:, 0], tokens[:, 0], score)
        answer = Answer(shrunk(masks, maps.fine.shape[-1]) * 20 - 10, torch.full((batch,), 10.0), pointer)
        return answer, functional.binary_cross_entropy_with_logits(score, torch.ones(batch))

    def _pointer(self, promised: Tensor, tokens: Tensor, score: Tensor) -> Tensor:
        best = promised.argmax(1) if tokens.shape[1] > 1 else torch.zeros(len(tokens), dtype=torch.long)
        pointer = self._tracker.object_pointer_proj(tokens[torch.arange(len(tokens)), best])
        return torch.where((score > 0)[:, None], pointer, self._tracker.no_object_pointer)

    def _recall(self, maps: Maps, index: int, memories: list[Tensor], pointers: list[Tensor], stride: int) -> Tensor:
        tracker = self._tracker
        batch, channels, high, wide = maps.coarse[:, index].shape
        place = self._spatial(maps)
        tokens, positions = [], []
        for number, memory in enumerate(memories):
            # The conditioning frame has the last temporal encoding, the others their distance.
            age = 0 if number == 0 else min((index - number) * stride, tracker.num_maskmem - 1)
            tokens.append(memory)
            positions.append((place + tracker.memory_temporal_positional_encoding[age - 1]).expand(-1, batch, -1))
        splits = channels // tracker.mem_dim
        stacked = torch.stack(pointers).reshape(-1, batch, splits, tracker.mem_dim).permute(0, 2, 1, 3).flatten(0, 1)
        ages = torch.tensor([float((index - number) * stride) for number in range(len(pointers))])
        sine = get_1d_sine_pe(ages / (tracker.config.max_object_pointers_in_encoder - 1), dim=channels)
        encoded = tracker.temporal_positional_encoding_projection_layer(sine).unsqueeze(1).expand(-1, batch, -1)
        conditioned = tracker.memory_attention(
            current_vision_features=maps.coarse[:, index].flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=maps.position.flatten(2).permute(2, 0, 1).expand(-1, batch, -1),
            memory=torch.cat([*tokens, stacked]),
            memory_posision_embeddings=torch.cat([*positions, encoded.repeat_interleave(splits, 0)]),
            num_object_pointer_tokens=len(stacked),
        )
        return conditioned.reshape(batch, high * wide, channels).transpose(1, 2).reshape(batch, channels, high, wide)

    def _spatial(self, maps: Maps) -> Tensor:
        encoder = self._tracker.memory_encoder
        shape = (1, self._tracker.mem_dim, *maps.coarse.shape[-2:])
        encoding: Tensor = encoder.position_encoding(shape, maps.coarse.device, maps.coarse.dtype)
        return encoding.flatten(2).permute(2, 0, 1)

    def _decoder(
        self, maps: Maps, index: int, coarse: Tensor, prompt: tuple[Tensor, Tensor] | None, mask: Tensor | None,
        *, several: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        tracker, batch = self._tracker, len(coarse)
        nothing = torch.zeros(batch, 1, 1, 2), -torch.ones(batch, 1, 1, dtype=torch.int32)
        points, labels = prompt or nothing
        sparse, dense = tracker.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=mask
        )
        decoded: tuple[Tensor, ...] = tracker.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=tracker.get_image_wide_positional_embeddings().repeat(batch, 1, 1, 1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=[maps.fine[:, index], maps.middle[:, index]],
        )
        return decoded

    def _decode(
        self, maps: Maps, index: int, coarse: Tensor, masks: Tensor, prompt: tuple[Tensor, Tensor] | None
    ) -> tuple[Answer, Tensor, float]:
        several = prompt is None or prompt[1].shape[-1] == 1
        candidates, promised, tokens, score = self._decoder(maps, index, coarse, prompt, None, several=several)
        candidates, promised, tokens, score = candidates[:, 0], promised[:, 0], tokens[:, 0], score.flatten()
        batch, count, side = candidates.shape[:3]
        truth, visible = shrunk(masks, side), (masks.flatten(1).sum(1) > 20).float()
        each = mask_loss(candidates.flatten(0, 1), truth.repeat_interleave(count, 0)).reshape(batch, count)
        reached = iou(candidates.detach() > 0, truth[:, None] > 0.5)
        loss = ((each.min(1)[0] + 0.2 * each.mean(1)) * visible).mean() + ((promised - reached) ** 2).mean()
        loss = loss + functional.binary_cross_entropy_with_logits(score, visible)
        rows, best = torch.arange(batch), promised.argmax(1)
        chosen = torch.where((score > 0)[:, None, None], candidates[rows, best], torch.tensor(NOTHING))
        fits = reached[rows, best][visible > 0]
        answer = Answer(chosen, score, self._pointer(promised, tokens, score))
        return answer, loss, float(fits.mean()) if len(fits) else 1.0

    def _remember(self, coarse: Tensor, answer: Answer, *, hard: bool) -> Tensor:
        """`(HW, B, mem)`: what the memory encoder makes of a picture and its mask."""
        tracker = self._tracker
        side = 4 * answer.mask.shape[-1]
        mask = functional.interpolate(answer.mask[:, None], size=(side, side), mode="bilinear")
        mask = (mask > 0).float() if hard else mask.sigmoid()
        mask = mask * tracker.config.sigmoid_scale_for_mem_enc + tracker.config.sigmoid_bias_for_mem_enc
        memory: Tensor = tracker.memory_encoder(coarse, mask)[0]
        hidden = tracker.occlusion_spatial_embedding_parameter
        if hidden is not None:
            memory = memory + (answer.score <= 0).float()[:, None, None, None] * hidden[..., None, None]
        return memory.flatten(2).permute(2, 0, 1)


def prompt_for(kind: Kind, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A click somewhere in each mask `(B, S, S)`, or its box as two corners: `(B, 1, n, 2)` pixels, `(B, 1, n)`."""
    side = masks.shape[-1]
    if kind == "box":
        corners = (boxes_of(masks) * side).reshape(-1, 1, 2, 2)
        return corners, torch.tensor([2, 3], dtype=torch.int32).expand(len(masks), 1, 2)
    points = []
    for mask in masks:
        inside = torch.nonzero(mask)
        y, x = inside[torch.randint(len(inside), ())]
        points.append(torch.stack([x + 0.5, y + 0.5]))
    return torch.stack(points)[:, None, None], torch.ones(len(masks), 1, 1, dtype=torch.int32)
