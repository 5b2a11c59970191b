"""Learning to follow: objects of films, given by a mask, a click or a box in the first picture.

The steps are those of the tracker at work (SAM 2, Ravi et al., 2024), differentiable and for a batch of films.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam3VideoModel
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import get_1d_sine_pe

from tests.sam3_training.losses import boxes_of, iou, mask_loss, shrunk

Kind = Literal["mask", "point", "box"]
NOTHING = -1024.0
TRAITS = 2.0
"""The weight of colour and place among the losses."""
LEAST_PX = 10
"""An object of fewer visible pixels counts as hidden."""


@dataclass(frozen=True, slots=True)
class Maps:
    """The tracker's features of `T` pictures of `B` films: `(B, T, C, h, w)` at strides 4, 2 and 1 of the grid, and
    the positional encoding of the last, `(1, C, h, w)`."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    position: Tensor


def look(model: Sam3VideoModel, pixels: Tensor) -> Maps:
    """`pixels`: `(B, T, 3, S, S)`, -1..1."""
    films, frames = pixels.shape[:2]
    neck, decoder = model.tracker_neck, model.tracker_model.mask_decoder
    tokens = model.detector_model.vision_encoder.backbone(pixels.flatten(0, 1)).last_hidden_state
    grid = round(tokens.shape[1] ** 0.5)
    states = tokens.transpose(1, 2).unflatten(2, (grid, grid))
    ends = (decoder.conv_s0, decoder.conv_s1, None)
    levels = [_level(layer, end, states) for layer, end in zip(neck.fpn_layers[:3], ends, strict=True)]
    encoding = neck.position_encoding((1, *levels[2].shape[1:]), tokens.device, tokens.dtype)
    return Maps(*(level.unflatten(0, (films, frames)) for level in levels), encoding)


def _level(layer: Any, end: nn.Conv2d | None, states: Tensor) -> Tensor:
    """A level of the pyramid and the 1×1 convolution after it, folded into the 3×3 one, which spares most of it."""
    for scale in layer.scale_layers:
        states = scale(states)
    states = layer.proj1(states)
    kernel, bias = layer.proj2.weight, layer.proj2.bias
    if end is not None:
        mixing = end.weight[:, :, 0, 0]
        kernel, bias = torch.einsum("oc,cihw->oihw", mixing, kernel), mixing @ bias + end.bias
    return functional.conv2d(states, kernel, bias, padding=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one picture: `mask` `(N, m, m)` logits, `score` `(N,)`, `pointer` `(N, C)`."""

    mask: Tensor
    score: Tensor
    pointer: Tensor


@dataclass(frozen=True, slots=True)
class Objects:
    """N objects: `film` int64 `(N,)`; `masks` bool `(N, T, S, S)`, no first one empty; `traits` float32 `(N, T, 5)`,
    colour and centre, -1..1."""

    film: Tensor
    masks: Tensor
    traits: Tensor


class Follower(nn.Module):
    """`run` gives the loss and how well the masks fit."""

    def __init__(self, tracker: Any) -> None:
        super().__init__()
        self._tracker = tracker
        self.traits = nn.Linear(tracker.hidden_dim, 5)
        """Reads an object's colour and centre from the decoder's tokens; thrown away afterwards."""

    def run(self, maps: Maps, objects: Objects, kind: Kind, stride: int) -> tuple[Tensor, list[float]]:
        """`stride`: how many frames lie between two pictures. Also the mean IoU in each picture but one given by its
        mask."""
        film, masks = objects.film, objects.masks
        memories: list[Tensor] = []
        pointers: list[Tensor] = []
        losses, fits = [], []
        for index in range(masks.shape[1]):
            now = Maps(
                *(level[:, index].index_select(0, film) for level in (maps.fine, maps.middle, maps.coarse)),
                maps.position,
            )
            if index == 0 and kind == "mask":
                answer, loss = self._given(now, masks[:, 0], objects.traits[:, 0])
            else:
                first = index == 0
                coarse = self._without_memory(now) if first else self._recall(now, memories, pointers, stride)
                wanted = masks[:, index], objects.traits[:, index]
                answer, loss, fit = self._decode(now, coarse, *wanted, kind if first else None)
                fits.append(fit)
            losses.append(loss)
            if index + 1 < masks.shape[1]:
                memories.append(self._remember(now.coarse, answer, certain=index == 0))
                pointers.append(answer.pointer)
        return torch.stack(losses).mean(), fits

    def _without_memory(self, now: Maps) -> Tensor:
        nothing: Tensor = self._tracker.no_memory_embedding.view(1, -1, 1, 1)
        return now.coarse + nothing

    def _given(self, now: Maps, masks: Tensor, traits: Tensor) -> tuple[Answer, Tensor]:
        """The mask itself is the answer; only its pointer is asked of the decoder, which must see that it is there."""
        tracker, side = self._tracker, now.fine.shape[-1]
        given = functional.interpolate(masks[:, None].float(), (4 * side, 4 * side), mode="bilinear", antialias=True)
        _, _, tokens, score = self._decoder(now, now.coarse, None, tracker.mask_downsample(given), several=False)
        pointer = tracker.object_pointer_proj(tokens[:, 0, 0])
        answer = Answer(shrunk(masks, side) * 20 - 10, torch.full((len(masks),), 10.0), pointer)
        sure = functional.binary_cross_entropy_with_logits(score.flatten(), torch.ones(len(masks)))
        return answer, sure + ((self.traits(tokens[:, 0, 0]) - traits) ** 2).mean()

    def _recall(self, now: Maps, memories: list[Tensor], pointers: list[Tensor], stride: int) -> Tensor:
        tracker = self._tracker
        count, channels, high, wide = now.coarse.shape
        place = self._place(now)
        ages = [(len(memories) - number) * stride for number in range(len(memories))]
        # The conditioning frame has the last temporal encoding, the others that of their age.
        times = [0, *(min(age, tracker.num_maskmem - 1) for age in ages[1:])]
        positions = [
            (place + tracker.memory_temporal_positional_encoding[time - 1]).expand(-1, count, -1) for time in times
        ]
        splits = channels // tracker.mem_dim
        stacked = torch.stack(pointers).reshape(-1, count, splits, tracker.mem_dim).permute(0, 2, 1, 3).flatten(0, 1)
        relative = torch.tensor(ages, dtype=torch.float32) / (tracker.config.max_object_pointers_in_encoder - 1)
        sine = get_1d_sine_pe(relative, dim=channels)
        encoded = tracker.temporal_positional_encoding_projection_layer(sine).unsqueeze(1).expand(-1, count, -1)
        made: Tensor = tracker.memory_attention(
            current_vision_features=now.coarse.flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=now.position.flatten(2).permute(2, 0, 1).expand(-1, count, -1),
            memory=torch.cat([*memories, stacked]),
            memory_posision_embeddings=torch.cat([*positions, encoded.repeat_interleave(splits, 0)]),
            num_object_pointer_tokens=len(stacked),
        )
        return made.reshape(count, high * wide, channels).transpose(1, 2).reshape(count, channels, high, wide)

    def _place(self, now: Maps) -> Tensor:
        shape = (1, self._tracker.mem_dim, *now.coarse.shape[-2:])
        encoding: Tensor = self._tracker.memory_encoder.position_encoding(shape, now.coarse.device, now.coarse.dtype)
        return encoding.flatten(2).permute(2, 0, 1)

    def _decoder(
        self, now: Maps, coarse: Tensor, prompt: tuple[Tensor, Tensor] | None, mask: Tensor | None, *, several: bool
    ) -> tuple[Tensor, ...]:
        tracker, count = self._tracker, len(coarse)
        nothing = torch.zeros(count, 1, 1, 2), -torch.ones(count, 1, 1, dtype=torch.int32)
        points, labels = prompt or nothing
        sparse, dense = tracker.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=mask
        )
        decoded: tuple[Tensor, ...] = tracker.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=tracker.get_image_wide_positional_embeddings().repeat(count, 1, 1, 1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=[now.fine, now.middle],
        )
        return decoded

    def _decode(
        self, now: Maps, coarse: Tensor, masks: Tensor, traits: Tensor, kind: Kind | None
    ) -> tuple[Answer, Tensor, float]:
        """All candidates are held to the mask: nothing here is ambiguous."""
        prompt = prompt_for(kind, masks) if kind is not None else None
        candidates, promised, tokens, score = self._decoder(now, coarse, prompt, None, several=kind != "box")
        candidates, promised, tokens, score = candidates[:, 0], promised[:, 0], tokens[:, 0], score.flatten()
        count, each, side = candidates.shape[:3]
        truth, visible = shrunk(masks, side), (masks.flatten(1).sum(1) > LEAST_PX).float()
        apart = mask_loss(candidates.flatten(0, 1), truth.repeat_interleave(each, 0)).reshape(count, each)
        reached = iou(candidates.detach() > 0, truth[:, None] > 0.5)
        loss = (apart.mean(1) * visible).mean() + (((promised - reached) ** 2).mean(1) * visible).mean()
        apart = ((self.traits(tokens) - traits[:, None]) ** 2).flatten(1).mean(1)
        loss = loss + TRAITS * (apart * visible).mean()
        loss = loss + 0.5 * functional.binary_cross_entropy_with_logits(score, visible)
        best = promised.argmax(1)
        row = torch.arange(count)
        there = score > 0
        mask = torch.where(there[:, None, None], candidates[row, best], torch.tensor(NOTHING))
        pointer = self._tracker.object_pointer_proj(tokens[row, best])
        pointer = torch.where(there[:, None], pointer, self._tracker.no_object_pointer)
        fit = iou(mask.detach() > 0, truth > 0.5)[visible > 0]
        return Answer(mask, score, pointer), loss, float(fit.mean()) if len(fit) else 1.0

    def _remember(self, coarse: Tensor, answer: Answer, *, certain: bool) -> Tensor:
        """`(HW, N, mem)`: what the memory encoder makes of a picture and its mask."""
        tracker, side = self._tracker, 4 * answer.mask.shape[-1]
        mask = functional.interpolate(answer.mask[:, None], size=(side, side), mode="bilinear")
        mask = (mask > 0).float() if certain else mask.sigmoid()
        mask = mask * tracker.config.sigmoid_scale_for_mem_enc + tracker.config.sigmoid_bias_for_mem_enc
        memory: Tensor = tracker.memory_encoder(coarse, mask)[0]
        hidden = tracker.occlusion_spatial_embedding_parameter
        if hidden is not None:
            memory = memory + (answer.score <= 0).float()[:, None, None, None] * hidden[..., None, None]
        return memory.flatten(2).permute(2, 0, 1)


def prompt_for(kind: Kind, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A click somewhere in each mask `(N, S, S)`, or its box as two corners: `(N, 1, n, 2)` pixels, `(N, 1, n)`."""
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
