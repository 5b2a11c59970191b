"""Fitting a loaded model to an input side, and replacing what it would compute anew for every frame by constants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stream.engines.sam3.shape import Shape


class FixedRotation(nn.Module):
    """Rotary position embeddings of one grid, computed once. Takes the place of a module that computes them."""

    cos: Tensor
    sin: Tensor

    def __init__(self, cos: Tensor, sin: Tensor) -> None:
        super().__init__()
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, _states: Tensor, _position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """`(1, tokens, head)` each, float32."""
        return self.cos, self.sin

    def _apply(self, function: Any, recurse: bool = True) -> FixedRotation:
        """Moves with the model and stays in float32, as the rotation is computed in it."""
        cos, sin = self.cos, self.sin
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)
        return self


@torch.no_grad()
def fit(model: Any, shape: Shape) -> None:
    """Make a `Sam3VideoModel` of any side one of `shape.side`: grids, rotations and mask sizes. Changes `model`.

    No weight depends on the side: the position embeddings of the patches are tiled, and rotations are those of the
    trained grid stretched over the new one, as the modules do when they are built for another side.
    """
    config, tracker = model.config, model.tracker_model
    config.image_size = shape.side
    config.low_res_mask_size = model.low_res_mask_size = shape.mask
    _fit_backbone(model.detector_model.vision_encoder.backbone, shape)
    sizes = [[shape.mask, shape.mask], [2 * shape.grid, 2 * shape.grid], [shape.grid, shape.grid]]
    tracker.config.vision_config.backbone_feature_sizes = tracker.backbone_feature_sizes = sizes
    tracker.image_size = shape.side
    prompts = tracker.prompt_encoder
    prompts.image_embedding_size = (shape.grid, shape.grid)
    prompts.mask_input_size = (shape.mask, shape.mask)
    prompts.input_image_size = shape.side
    attention = tracker.memory_attention
    tracker.config.memory_attention_rope_feat_sizes = [shape.grid, shape.grid]
    device = attention.layer_norm.weight.device
    attention.position_ids = attention.precompute_positions(tracker.config).to(device)
    _fix(attention, "rotary_emb", attention.position_ids)


def _fit_backbone(backbone: Any, shape: Shape) -> None:
    backbone.config.image_size = shape.side
    device = backbone.layer_norm.weight.device
    for layer in backbone.layers:
        layer.position_ids = layer.precompute_positions(layer.config, layer.window_size).to(device)
        _fix(layer, "rotary_emb", layer.position_ids)


def _fix(module: Any, name: str, position_ids: Tensor) -> None:
    """Replace the rotation `module.name` by its values at `position_ids`."""
    computed = getattr(module, name)
    if isinstance(computed, FixedRotation):
        computed = module.computed_rotation[0]
    # Frequencies anew, since casting the model to 16 bits has cast these too.
    frequencies, _ = computed.compute_axial_rope_parameters(computed.config)
    computed.inv_freq = frequencies.to(position_ids.device)
    # In a list, so that it is no submodule of the model.
    module.computed_rotation = [computed]
    setattr(module, name, FixedRotation(*computed(position_ids, position_ids)))
