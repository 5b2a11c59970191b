"""The model: transformers' SAM 3 modules and weights, called at static shapes for many pictures and objects at once.

Nothing here keeps state of a stream, and no call synchronises with the host. All run under inference mode on the
engine's thread.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stream.engines.sam3.attention import MemoryAttention
from stream.engines.sam3.detr import PADDING, Asked, Detector
from stream.engines.sam3.graphs import Compiled, Eager, Keyed, Runner
from stream.engines.sam3.memory import stretched
from stream.engines.sam3.pyramid import Levels, Pyramid
from stream.engines.sam3.resize import fit
from stream.engines.sam3.shape import MEMORY_DTYPE, Shape

ABSENT_LOGIT = -1024.0
"""Every mask logit of an object that is not in the picture."""
LOGIT_LIMIT = 32.0
"""Previous masks are given to the decoder within these bounds, as SAM 2 does."""
FEW_CHANNELS = 16
"""Up to so many channels, norms are taken over them as they lie: kernels for layer norms give each pixel a block."""
BOX_STEP = 4
"""Numbers of box exemplars are padded to multiples of this, so that few shapes occur."""


@dataclass(frozen=True, slots=True)
class Features:
    """Of B pictures, on the device; valid until the next `encode`. Levels go from fine to coarse."""

    detector: Tensor
    """`(B, channels, g, g)`, what the ViT made; the detector's own pyramid is built when it runs."""
    tracker: Levels
    """`(B, hidden / 8, 4g, 4g)`, `(B, hidden / 4, 2g, 2g)`, `(B, hidden, g, g)`."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One text: `tokens` `(1, T, hidden)` in the model's dtype, `mask` bool `(1, T)`, True where there is a word."""

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for in one picture: a concept, and boxes around examples of it or of what it is not.

    For examples alone the concept is that of the word "visual", with which the model was trained. `boxes_cxcywh`:
    float `(n, 4)` in [0, 1], `box_labels`: int `(n,)`, 1 like it, 0 unlike it; both on the host.
    """

    picture: int
    concept: Concept
    boxes_cxcywh: Tensor | None = None
    box_labels: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Detections:
    """Of K queries with Q candidates each, on the device."""

    boxes_xyxy: Tensor
    """`(K, Q, 4)`, corners in [0, 1]."""
    scores: Tensor
    """`(K, Q)` in [0, 1]: of the candidate times that of anything such being there."""
    masks: Tensor
    """`(K, Q, mask, mask)` logits."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Of N objects: `masks` `(N, mask, mask)` logits, `scores` `(N,)` logits, `pointers` `(N, hidden)`."""

    masks: Tensor
    scores: Tensor
    pointers: Tensor


class Network:
    """A `Sam3VideoModel` that is taken over: moved, cast and fitted to the input side, which changes it."""

    def __init__(
        self, model: Any, *, device: torch.device, dtype: torch.dtype, side: int | None = None,
        runner: Runner | None = None, narrow: bool | None = None, placed: bool = False,
    ) -> None:  # fmt: skip
        """`narrow`: how memories are read, `MemoryAttention`; by default what is fastest on the device. `placed`: the
        model's weights are there already, as another network has them, and stay where they are."""
        self.config = model.config
        self.shape = Shape.of(model.config, side)
        self.device = device
        self.dtype = dtype
        self.run: Runner = Eager() if runner is None else runner
        self._narrow = narrow
        if model.config._attn_implementation != "sdpa":
            model.set_attn_implementation("sdpa")
        # A loaded model may lie in 16 bits; what is computed once is computed in 32 all the same.
        fit(model, self.shape)
        self._model = model if placed else model.to(device=device, dtype=dtype).eval()
        self._detector_model, self._tracker = model.detector_model, model.tracker_model
        # As the transformers between them have it: nothing is copied where one hands over to the other.
        for part in (model.tracker_neck, self._detector_model.vision_encoder.neck, self._tracker.memory_encoder):
            if not placed:
                part.to(memory_format=torch.channels_last)
        self._prepare()

    def at(self, side: int) -> Network:
        """The same weights at another input side, in no memory but that of what depends on the side. Its calls are run
        by the same runner, but not compiled."""
        model = self._model
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        runner = self.run.runner if isinstance(self.run, Compiled) else self.run
        return Network(
            copy.deepcopy(model, shared), device=self.device, dtype=self.dtype, side=side, runner=Keyed(runner, side),
            narrow=self._narrow, placed=True,
        )  # fmt: skip

    @torch.inference_mode()
    def _prepare(self) -> None:
        shape, backbone = self.shape, self._detector_model.vision_encoder.backbone
        embeddings = backbone.embeddings
        self._patch_position = embeddings._tile_position_embeddings(
            embeddings.position_embeddings, shape.grid, shape.grid
        )
        position = self._sine(self._detector_model.vision_encoder.neck.position_encoding, shape.hidden)
        memory_position = self._sine(self._tracker.memory_encoder.position_encoding, shape.memory)
        self._attention = MemoryAttention(self._tracker, position, memory_position, shape, narrow=self._narrow)
        self._detector = Detector(self._detector_model, position, shape)
        decoder = self._tracker.mask_decoder
        self._tracker_pyramid = Pyramid(self._model.tracker_neck, (decoder.conv_s0, decoder.conv_s1, None))
        self._detector_pyramid = Pyramid(self._detector_model.vision_encoder.neck)
        self._image_position = self._tracker.get_image_wide_positional_embeddings().to(self.dtype)
        nowhere = torch.zeros(1, 1, 1, 2, dtype=self.dtype, device=self.device)
        nothing = torch.full((1, 1, 1), -1, dtype=torch.int32, device=self.device)
        self._no_points, dense = self._tracker.prompt_encoder(nowhere, nothing, None, None)
        self._no_mask = dense[:, :, :1, :1].contiguous()

    def _sine(self, encoding: Any, channels: int) -> Tensor:
        """The fixed position encoding of the coarse grid, `(tokens, channels)`, computed in float32."""
        size = torch.Size((1, channels, self.shape.grid, self.shape.grid))
        made: Tensor = encoding(size, self.device, torch.float32)
        return made[0].flatten(1).T.contiguous().to(self.dtype)

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Features:
        """ViT and the tracker's feature pyramid of `(B, 3, side, side)` in the model's dtype, -1..1, in one call."""
        states, fine, middle, coarse = self.run(("encode", pictures.shape[0]), self._encode, pictures)
        return Features(states, (fine, middle, coarse))

    def _encode(self, pictures: Tensor) -> tuple[Tensor, ...]:
        backbone = self._detector_model.vision_encoder.backbone
        count, grid = pictures.shape[0], self.shape.grid
        states = backbone.embeddings.patch_embeddings(pictures) + self._patch_position
        states = backbone.layer_norm(states.view(count, grid, grid, -1))
        for layer in backbone.layers:
            states = layer(states)
        states = states.permute(0, 3, 1, 2)
        return states, *self._tracker_pyramid(states)

    @torch.inference_mode()
    def embed_text(self, input_ids: Tensor, attention_mask: Tensor) -> Concept:
        """`input_ids` and `attention_mask`: int64 `(1, T)`, T = `shape.text`. To be kept by the caller."""
        mask = attention_mask.to(self.device)
        made = self._detector_model.get_text_features(
            input_ids=input_ids.to(self.device), attention_mask=mask, return_dict=True
        )
        return Concept(made.pooler_output, mask.bool())

    @torch.inference_mode()
    def detect(self, features: Features, queries: Sequence[Query]) -> Detections:
        """All queries, of all pictures, in one call. `queries` must not be empty."""
        asked = self._asked(queries)
        inputs = (asked.pictures, asked.text, asked.text_mask, asked.boxes, asked.labels)
        key = ("detect", *asked.text.shape[:2], asked.boxes.shape[1], len(features.detector))
        return Detections(*self.run(key, self._detect, *inputs, features.detector))

    def _detect(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self._detector(self._detector_pyramid(tensors[5]), Asked(*tensors[:5]))

    def _asked(self, queries: Sequence[Query]) -> Asked:
        given = [0 if query.boxes_cxcywh is None else len(query.boxes_cxcywh) for query in queries]
        most = -(-max(given) // BOX_STEP) * BOX_STEP
        boxes = torch.full((len(queries), most, 4), 0.5)
        labels = torch.full((len(queries), most), PADDING)
        for row, (query, count) in enumerate(zip(queries, given, strict=True)):
            if query.boxes_cxcywh is not None:
                boxes[row, :count] = query.boxes_cxcywh
                labels[row, :count] = 1 if query.box_labels is None else query.box_labels
        return Asked(
            pictures=self.put(torch.tensor([query.picture for query in queries])),
            text=torch.cat([query.concept.tokens for query in queries]),
            text_mask=torch.cat([query.concept.mask for query in queries]),
            boxes=self.put(boxes).to(self.dtype),
            labels=self.put(labels),
        )

    def put(self, host: Tensor) -> Tensor:
        """A host tensor on the device, without waiting for it."""
        if self.device.type != "cuda":
            return host.to(self.device)
        return host.pin_memory().to(self.device, non_blocking=True)

    def attend(
        self, features: Levels, pictures: Tensor, memories: Tensor, offsets: Tensor, pointers: Tensor, ages: Tensor
    ) -> Tensor:
        """Features conditioned on memory, `(N, hidden, g, g)`; arguments as `MemoryAttention.__call__`."""
        return self._attention(features[2], pictures, memories, offsets, pointers, ages)

    def without_memory(self, features: Levels, pictures: Tensor) -> Tensor:
        """What a new object's decoder gets: `(N, hidden, g, g)`."""
        nothing: Tensor = self._tracker.no_memory_embedding.view(1, -1, 1, 1)
        return features[2].index_select(0, pictures) + nothing

    def decode(
        self, features: Levels, pictures: Tensor, fused: Tensor, points: Tensor | None = None,
        labels: Tensor | None = None, masks: Tensor | None = None, several: bool | None = None,
    ) -> Decoded:  # fmt: skip
        """Prompt encoder and mask decoder for N objects: the best of three masks, unless points settle which one.

        `fused`: `(N, hidden, g, g)`; `points`: `(N, P, 2)` pixels of the input side, `labels`: int `(N, P)`, 1 on it,
        0 off it, 2 and 3 a box's corners; `masks`: `(N, mask, mask)` logits that are given as a hint.
        """
        sparse, dense = self._prompt(len(fused), points, labels, masks)
        if several is None:
            several = points is None or self._several(points.shape[1])
        # One picture is broadcast by the decoder; more are copied for each object.
        fine, middle = (x if len(x) == 1 else x.index_select(0, pictures) for x in features[:2])
        made, quality, tokens, score = self._tracker.mask_decoder(
            image_embeddings=fused,
            image_positional_embeddings=self._image_position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=[fine, middle],
        )
        best = quality[:, 0].argmax(dim=-1)
        chosen = made[:, 0].take_along_dim(best[:, None, None, None], dim=1)[:, 0]
        token = tokens[:, 0].take_along_dim(best[:, None, None], dim=1)[:, 0]
        there = score[:, 0] > 0
        return Decoded(torch.where(there[..., None], chosen, ABSENT_LOGIT), score[:, 0, 0], self._pointer(token, there))

    def _prompt(
        self, count: int, points: Tensor | None, labels: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if points is None and masks is None:
            return self._no_points.expand(count, -1, -1, -1), self._no_mask
        if points is None or labels is None:
            sparse = self._no_points.expand(count, -1, -1, -1)
        else:
            sparse, _ = self._tracker.prompt_encoder(points[:, None].to(self.dtype), labels[:, None], None, None)
        if masks is None:
            return sparse, self._no_mask
        return sparse, self._tracker.prompt_encoder.mask_embed(masks[:, None].to(self.dtype))

    def _several(self, points: int) -> bool:
        config = self._tracker.config
        return bool(config.multimask_min_pt_num <= points <= config.multimask_max_pt_num)

    def _pointer(self, token: Tensor, there: Tensor) -> Tensor:
        """`(N, hidden)` from the mask's output token and whether the object is there, bool `(N, 1)`."""
        pointer: Tensor = self._tracker.object_pointer_proj(token)
        return torch.where(there, pointer, self._tracker.no_object_pointer)

    def take_masks(self, features: Levels, pictures: Tensor, masks: Tensor) -> Decoded:
        """Objects given by their masks, 0..1 `(N, h, w)` of any size: the masks are the result, as logits.

        As Meta's code does it: at the memory encoder's size, of which the decoder's hint is exactly a quarter, and with
        one mask decoded. transformers takes the picture's size and the best of three.
        """
        tracker = self._tracker
        given = _resized(masks[:, None].to(self.dtype), self.shape.memory_mask)
        logits = _resized(given * 20.0 - 10.0, self.shape.mask)[:, 0]
        hint = tracker.mask_downsample(given)[:, 0]
        there = masks.flatten(1).amax(dim=1, keepdim=True) > 0
        decoded = self.decode(features, pictures, features[2].index_select(0, pictures), masks=hint, several=False)
        pointers = torch.where(there, decoded.pointers, tracker.no_object_pointer)
        return Decoded(logits, (20.0 * there.to(self.dtype) - 10.0)[:, 0], pointers)

    def remember(
        self, features: Levels, pictures: Tensor, masks: Tensor, scores: Tensor, from_prompt: Tensor
    ) -> Tensor:
        """Memories of N objects, `(N, tokens, memory)` in bfloat16.

        `masks`: `(N, mask, mask)` logits; `scores`: `(N,)`, above 0 where the object is there; `from_prompt`: bool
        `(N,)`, whose masks are taken as certain.
        """
        tracker, encoder = self._tracker, self._tracker.memory_encoder
        enlarged = _resized(masks[:, None].to(self.dtype), self.shape.memory_mask)
        sure = (enlarged > 0).to(enlarged.dtype)
        weights = torch.where(from_prompt[:, None, None, None], sure, torch.sigmoid(enlarged))
        weights.mul_(tracker.config.sigmoid_scale_for_mem_enc).add_(tracker.config.sigmoid_bias_for_mem_enc)
        seen = encoder.feature_projection(features[2]).index_select(0, pictures)
        made: Tensor = encoder.projection(encoder.memory_fuser(seen + self._downsampled(weights)))
        if tracker.occlusion_spatial_embedding_parameter is not None:
            hidden = (scores <= 0).to(made.dtype)[:, None, None, None]
            made = made + hidden * tracker.occlusion_spatial_embedding_parameter[..., None, None]
        return made.to(MEMORY_DTYPE).flatten(2).transpose(1, 2)

    def _downsampled(self, masks: Tensor) -> Tensor:
        """The memory encoder's convolutions over the enlarged masks, `(N, hidden, g, g)`."""
        sampler = self._tracker.memory_encoder.mask_downsampler
        for layer in sampler.layers:
            made = layer.conv(masks)
            few = made.shape[1] <= FEW_CHANNELS
            masks = layer.activation(_channel_norm(made, layer.layer_norm) if few else layer.layer_norm(made))
        reduced: Tensor = sampler.final_conv(masks)
        return reduced


def _channel_norm(states: Tensor, norm: Any) -> Tensor:
    """A layer norm over the channels of `(N, C, H, W)`, in float32."""
    wide = states.float()
    centred = wide - wide.mean(dim=1, keepdim=True)
    scale, shift = torch.as_tensor(norm.weight), torch.as_tensor(norm.bias)
    spread = torch.rsqrt(centred.square().mean(dim=1, keepdim=True) + norm.eps)
    return centred.mul_(spread).mul_(scale.view(1, -1, 1, 1)).add_(shift.view(1, -1, 1, 1)).to(states.dtype)


def _resized(masks: Tensor, side: int) -> Tensor:
    """`(N, 1, h, w)` to `(N, 1, side, side)`, bilinear; antialiased where it becomes smaller."""
    return masks if masks.shape[-1] == side else stretched(masks, (side, side))
