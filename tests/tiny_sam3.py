"""A SAM 3 of a few million parameters: every part of the real one, small enough for a CPU.

With random weights it is for comparing: plain ones hide faults, since their outputs hardly depend on the inputs;
`amplify` makes them do. With trained ones its tracker follows the shapes of `tests.moving_shapes`; its detector is not
trained and finds nothing by words or examples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import Sam3Config, Sam3TrackerVideoConfig, Sam3VideoConfig, Sam3VideoModel
from transformers.models.sam3.configuration_sam3 import (
    Sam3DETRDecoderConfig,
    Sam3DETREncoderConfig,
    Sam3GeometryEncoderConfig,
    Sam3MaskDecoderConfig,
    Sam3VisionConfig,
    Sam3ViTConfig,
)
from transformers.models.sam3_tracker_video.configuration_sam3_tracker_video import (
    Sam3TrackerVideoMaskDecoderConfig,
    Sam3TrackerVideoPromptEncoderConfig,
)

from tests.moving_shapes import SIDE_PX

PATCH = 14
HIDDEN = 128
VOCABULARY = 1000
TRAINED = Path(__file__).parent / "data" / "tiny_sam3.npz"
BACKBONE = "detector_model.vision_encoder.backbone."


def tiny_config(
    side: int = 224, *, width: int = 32, layers: int = 2, queries: int = 5, **video: object
) -> Sam3VideoConfig:
    """A configuration for pictures of `side` × `side` pixels, a multiple of 14; masks have `4 * side / 14` a side.

    The ViT has `layers` blocks of `width` channels, and the detector looks for at most `queries` objects a concept.
    """
    return Sam3VideoConfig(
        detector_config=_detector(_vision(side, width, layers), queries),
        tracker_config=_tracker(_vision(side, width, layers)),
        low_res_mask_size=4 * side // PATCH,
        **video,
    )


def tiny_model(seed: int = 0, *, side: int = 224, amplified: bool = True, **config: object) -> Sam3VideoModel:
    """A model of `tiny_config(side, **config)` in fp32 on the CPU, the same for the same seed."""
    torch.manual_seed(seed)
    model = Sam3VideoModel(tiny_config(side, **config)).eval()
    return amplify(model, seed) if amplified else model


@torch.no_grad()
def amplify(model: Sam3VideoModel, seed: int = 0) -> Sam3VideoModel:
    """Draw the tracker's weights so large that its masks are neither empty nor constant. Changes `model`."""
    drawn = torch.Generator().manual_seed(seed + 5)
    for name, parameter in model.tracker_model.named_parameters():
        if parameter.dim() >= 2:
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 1.5 / fan_in**0.5)
        elif "norm" in name and name.endswith("weight"):
            parameter.fill_(1.0)
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.1)
    return model


def trained_model() -> Sam3VideoModel:
    """The one that `python -m tests.sam3_training` makes, for pictures of `moving_shapes.SIDE_PX` a side."""
    model = untrained_model()
    unpack(model, TRAINED)
    return model


def untrained_model() -> Sam3VideoModel:
    return tiny_model(0, side=SIDE_PX, width=64, amplified=False)


def pack(model: Sam3VideoModel, path: Path) -> None:
    """Write what was trained, as 8-bit integers with a scale for each row of a matrix."""
    arrays: dict[str, np.ndarray] = {}
    for name, kept in _trained(model).items():
        value = kept.detach().numpy()
        if value.ndim < 2 or len(value) == 1:
            arrays[name] = value.astype(np.float16)
            continue
        rows = value.reshape(len(value), -1)
        scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / 127, 1e-8).astype(np.float32)
        arrays[name] = np.round(rows / scale).astype(np.int8).reshape(value.shape)
        arrays[f"{name}:scale"] = scale[:, 0]
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


@torch.no_grad()
def unpack(model: Sam3VideoModel, path: Path) -> None:
    """Read what `pack` wrote into `model`. Raises `KeyError` where a part is missing."""
    with np.load(path) as arrays:
        for name, kept in _trained(model).items():
            value = arrays[name].astype(np.float32)
            if f"{name}:scale" in arrays:
                value = value.reshape(len(value), -1) * arrays[f"{name}:scale"][:, None]
            kept.copy_(torch.from_numpy(value.reshape(kept.shape)))


def _trained(model: Sam3VideoModel) -> dict[str, torch.Tensor]:
    """Parameters and drawn constants of the backbone and the tracker."""
    return {
        name: kept for name, kept in model.state_dict().items()
        if name.startswith(BACKBONE) or not name.startswith("detector_model.")
    }  # fmt: skip


def _vision(side: int, width: int, layers: int) -> Sam3VisionConfig:
    grid = side // PATCH
    backbone = Sam3ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        image_size=side,
        patch_size=PATCH,
        window_size=8,
        global_attn_indexes=[layers - 1],
        pretrain_image_size=side,
    )
    return Sam3VisionConfig(
        backbone_config=backbone,
        fpn_hidden_size=HIDDEN,
        scale_factors=[4.0, 2.0, 1.0, 0.5],
        backbone_feature_sizes=[[4 * grid, 4 * grid], [2 * grid, 2 * grid], [grid, grid]],
    )


def _detector(vision: Sam3VisionConfig, queries: int) -> Sam3Config:
    small = {"hidden_size": HIDDEN, "num_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    return Sam3Config(
        vision_config=vision,
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": VOCABULARY,
            "bos_token_id": VOCABULARY - 2,
            "eos_token_id": VOCABULARY - 1,
            "hidden_size": 32,
            "intermediate_size": 64,
            "projection_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
        },
        geometry_encoder_config=Sam3GeometryEncoderConfig(**small),
        detr_encoder_config=Sam3DETREncoderConfig(**small),
        detr_decoder_config=Sam3DETRDecoderConfig(num_queries=queries, **small),
        mask_decoder_config=Sam3MaskDecoderConfig(hidden_size=HIDDEN, num_upsampling_stages=3, num_attention_heads=4),
    )


def _tracker(vision: Sam3VisionConfig) -> Sam3TrackerVideoConfig:
    side = vision.backbone_config.image_size
    grid = side // PATCH
    return Sam3TrackerVideoConfig(
        vision_config=vision,
        prompt_encoder_config=Sam3TrackerVideoPromptEncoderConfig(
            hidden_size=HIDDEN, image_size=side, patch_size=PATCH
        ),
        mask_decoder_config=Sam3TrackerVideoMaskDecoderConfig(
            hidden_size=HIDDEN, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32
        ),
        memory_attention_hidden_size=HIDDEN,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_encoder_hidden_size=HIDDEN,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=HIDDEN,
        memory_fuser_embed_dim=HIDDEN,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
        memory_attention_rope_feat_sizes=[grid, grid],
        image_size=side,
    )
