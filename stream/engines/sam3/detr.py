"""SAM 3's detector for a batch of queries on a batch of pictures, at static shapes and without synchronising.

The steps of "SAM 3: Segment Anything with Concepts" on transformers' modules, whose own `forward` runs one prompt at a
time and reads sizes back from the device. Queries differ in how many box exemplars they have: what is only padding is
masked out of every attention and of the mean that scores are made with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stream.engines.sam3.shape import Shape

PADDING = -10
"""The label of a box that is only there to fill the batch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """K queries as tensors: `pictures` int64 `(K,)`, `text` `(K, T, hidden)`, `text_mask` bool `(K, T)`, `boxes`
    `(K, n, 4)` as centre and size in [0, 1], `labels` int64 `(K, n)`, 1 like it, 0 unlike it, -10 no box."""

    pictures: Tensor
    text: Tensor
    text_mask: Tensor
    boxes: Tensor
    labels: Tensor


class Detector:
    def __init__(self, detector: Any, position: Tensor, shape: Shape) -> None:
        """`position`: `(tokens, hidden)`, the encoding of the coarse level's grid."""
        self._model = detector
        self._shape = shape
        self._position = position

    def __call__(self, levels: tuple[Tensor, Tensor, Tensor], asked: Asked) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes `(K, Q, 4)` as corners in [0, 1], scores `(K, Q)` in [0, 1], mask logits `(K, Q, mask, mask)`."""
        model = self._model
        tokens = levels[2].flatten(2).transpose(1, 2).index_select(0, asked.pictures)
        geometry, geometry_valid = self._exemplars(levels[2], tokens, asked)
        prompt = torch.cat((asked.text, geometry), dim=1)
        valid = torch.cat((asked.text_mask, geometry_valid), dim=1)
        attended = valid[:, None, None, :]
        encoded = tokens
        for layer in model.detr_encoder.layers:
            encoded = layer(
                encoded,
                prompt_feats=prompt,
                vision_pos_encoding=self._position,
                prompt_cross_attn_mask=attended,
            )
        queries, boxes, presence = self._decode(encoded, prompt, attended)
        logits = model.dot_product_scoring(queries[None], prompt, valid)[0, :, :, 0]
        masks = self._masks(levels, asked.pictures, encoded, queries, prompt, attended)
        return boxes, logits.sigmoid() * presence.sigmoid(), masks

    def _decode(self, encoded: Tensor, prompt: Tensor, attended: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The DETR decoder with box refinement: queries `(K, Q, hidden)`, boxes `(K, Q, 4)`, presence `(K, 1)`."""
        decoder = self._model.detr_decoder
        count, side = encoded.shape[0], self._shape.grid
        boxes = decoder.reference_points.weight.sigmoid().expand(count, -1, -1)
        start = torch.cat((decoder.presence_token.weight, decoder.query_embed.weight))
        states = start.expand(count, -1, -1)
        for layer in decoder.layers:
            placed = decoder.ref_point_head(decoder.position_encoding.encode_boxes(boxes))
            # The presence token, the first, looks at the whole picture alike.
            bias = functional.pad(decoder._get_rpb_matrix(boxes, (side, side)), (0, 0, 1, 0))
            states = layer(
                states,
                query_pos=placed,
                text_features=prompt,
                vision_features=encoded,
                vision_pos_encoding=self._position,
                text_cross_attn_mask=attended,
                vision_cross_attn_mask=bias,
            )
            normed = decoder.output_layer_norm(states[:, 1:])
            boxes = (decoder.box_head(normed) + _inverse_sigmoid(boxes)).sigmoid()
        presence = decoder.presence_head(decoder.presence_layer_norm(states[:, :1])).squeeze(-1)
        limit = decoder.clamp_presence_logit_max_val
        centre, size = boxes[..., :2], boxes[..., 2:]
        corners = torch.cat((centre - 0.5 * size, centre + 0.5 * size), dim=-1)
        return normed, corners, presence.clamp(min=-limit, max=limit)

    def _masks(
        self, levels: tuple[Tensor, Tensor, Tensor], pictures: Tensor, encoded: Tensor, queries: Tensor,
        prompt: Tensor, attended: Tensor,
    ) -> Tensor:  # fmt: skip
        head, pixels = self._model.mask_decoder, self._model.mask_decoder.pixel_decoder
        read, _ = head.prompt_cross_attn(
            query=head.prompt_cross_attn_norm(encoded), key=prompt, value=prompt, attention_mask=attended
        )
        side = self._shape.grid
        embedded = (encoded + read).transpose(1, 2).reshape(len(encoded), -1, side, side)
        for level, convolve, norm in zip((levels[1], levels[0]), pixels.conv_layers, pixels.norms, strict=False):
            # One picture is broadcast; copies of the fine levels for every query would be the largest tensors here.
            fine = level if len(level) == 1 else level.index_select(0, pictures)
            raised = functional.interpolate(embedded, size=level.shape[-2:], mode="nearest")
            embedded = functional.relu(norm(convolve(raised + fine)))
        return torch.einsum("bqc,bchw->bqhw", head.mask_embedder(queries), head.instance_projection(embedded))

    def _exemplars(self, coarse: Tensor, tokens: Tensor, asked: Asked) -> tuple[Tensor, Tensor]:
        """The geometry encoder: `(K, 1 + n, hidden)` and which of them count.

        The first is no box's and always counts: SAM 3 was trained with it, and Meta's code gives it to concepts without
        boxes too. transformers leaves it out there.
        """
        encoder = self._model.geometry_encoder
        count, boxes = asked.boxes.shape[:2]
        embedded = encoder.cls_embed.weight.expand(count, 1, -1)
        if boxes:
            embedded = torch.cat((embedded, self._boxes(coarse, asked)), dim=1)
        states = encoder.prompt_layer_norm(encoder.final_proj(embedded))
        valid = torch.cat((torch.ones_like(asked.text_mask[:, :1]), asked.labels != PADDING), dim=1)
        for layer in encoder.layers:
            states = layer(
                prompt_feats=states,
                vision_feats=tokens,
                vision_pos_encoding=self._position,
                prompt_mask=valid[:, None, None, :],
            )
        return encoder.output_layer_norm(states), valid

    def _boxes(self, coarse: Tensor, asked: Asked) -> Tensor:
        """Each box as `(K, n, hidden)`: where it is, what lies under it, and whether it is an example or none."""
        encoder = self._model.geometry_encoder
        count, boxes = asked.boxes.shape[:2]
        normed = encoder.vision_layer_norm(coarse.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        pooled = box_features(normed.index_select(0, asked.pictures), asked.boxes, encoder.roi_size)
        embedded = encoder.boxes_direct_project(asked.boxes)
        embedded = embedded + encoder.boxes_pool_project(pooled.flatten(0, 1)).view(count, boxes, -1)
        x, y, width, height = asked.boxes.flatten(0, 1).unbind(-1)
        placed = encoder._encode_box_coordinates(x, y, width, height).view(count, boxes, -1)
        embedded = embedded + encoder.boxes_pos_enc_project(placed)
        labelled: Tensor = embedded + encoder.label_embed(asked.labels.clamp(min=0))
        return labelled


def box_features(features: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Features under each box, averaged in `size` × `size` bins: `(K, n, channels, size, size)`.

    `features`: `(K, channels, side, side)`; `boxes`: `(K, n, 4)`, centre and size in [0, 1]. RoI align ("Mask R-CNN")
    as torchvision does it without `aligned` and with as many samples a bin as it is wide. Bilinear weights are
    products of those along the two axes, so the average over a box is a product of two matrices.
    """
    side = features.shape[-1]
    half = 0.5 * boxes[..., 2:].float()
    low, high = (boxes[..., :2].float() - half) * side, (boxes[..., :2].float() + half) * side
    across = _axis_weights(low[..., 0], high[..., 0], side, size)
    down = _axis_weights(low[..., 1], high[..., 1], side, size)
    pooled = torch.einsum("knih,kchw,knjw->kncij", down, features.float(), across)
    return pooled.to(features.dtype)


def _axis_weights(low: Tensor, high: Tensor, side: int, bins: int) -> Tensor:
    """How much each of `side` cells counts in each bin between `low` and `high`, in cells: `(..., bins, side)`."""
    device = low.device
    width = (high - low).clamp(min=1.0)[..., None, None] / bins
    samples = width.ceil()
    sample = torch.arange(side // bins + 2, device=device)
    at = low[..., None, None] + (torch.arange(bins, device=device)[:, None] + (sample + 0.5) / samples) * width
    counts = ((sample < samples) & (at >= -1) & (at <= side)) / samples
    nearness = (1 - (at.clamp(0, side - 1)[..., None] - torch.arange(side, device=device)).abs()).clamp(min=0)
    return (nearness * counts[..., None]).sum(dim=-2)


def _inverse_sigmoid(values: Tensor, eps: float = 1e-3) -> Tensor:
    values = values.clamp(0, 1)
    return torch.log(values.clamp(min=eps) / (1 - values).clamp(min=eps))
