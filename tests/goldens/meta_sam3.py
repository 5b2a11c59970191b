"""Meta's SAM 3 at the small sizes, out of Meta's own classes, on a machine without a GPU and without torchvision.

Meta's code is run as it is installed, unchanged, with three things put around it: torchvision, which has no build for
CPUs, is replaced by empty classes and by a `roi_align` written here from its definition; of timm only `timm.layers` is
loaded; and calls that ask for a CUDA device get the CPU.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import math
import sys
import sysconfig
import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tests.goldens import small_sam3 as small


class _Placeholder(types.ModuleType):
    """A module whose every name is a class that does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (nn.Module,), {"__init__": lambda self, *_, **__: nn.Module.__init__(self)})
        setattr(self, name, made)
        return made


class _NoTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


class _OnTheCpu(TorchFunctionMode):
    """What Meta's code puts on a CUDA device stays here."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.Tensor.cuda, torch.Tensor.pin_memory):
            return args[0]
        if str(kwargs.get("device", "")).startswith("cuda"):
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def roi_align(features: Tensor, boxes: Sequence[Tensor], size: int) -> Tensor:
    """torchvision's, from its definition: spatial scale 1, corners not aligned, as many samples as a bin has cells."""
    pooled = [_pooled(features[at], box, size) for at, some in enumerate(boxes) for box in some]
    return torch.stack(pooled) if pooled else features.new_zeros(0, features.shape[1], size, size)


def _pooled(features: Tensor, box: Tensor, size: int) -> Tensor:
    left, top, right, bottom = box.tolist()
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    across, down = math.ceil(width / size), math.ceil(height / size)
    out = torch.zeros(features.shape[0], size, size)
    for row in range(size):
        for column in range(size):
            for i in range(down):
                for j in range(across):
                    y = top + (row + (i + 0.5) / down) * height / size
                    x = left + (column + (j + 0.5) / across) * width / size
                    out[:, row, column] += _bilinear(features, y, x)
    return out / (across * down)


def _bilinear(features: Tensor, y: float, x: float) -> Tensor:
    rows, columns = features.shape[1:]
    if y < -1 or y > rows or x < -1 or x > columns:
        return torch.zeros(features.shape[0])
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = min(int(y), rows - 1), min(int(x), columns - 1)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    down, across = (y - top if top < rows - 1 else 0.0), (x - left if left < columns - 1 else 0.0)
    upper = features[:, top, left] * (1 - across) + features[:, top, right] * across
    lower = features[:, bottom, left] * (1 - across) + features[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def prepare() -> None:
    """Make `import sam3` possible."""
    sys.meta_path.append(_NoTorchvision())
    importlib.import_module("torchvision.ops.roi_align")  # first: an import sets the module of that name
    sys.modules["torchvision.ops"].roi_align = roi_align  # type: ignore[attr-defined]
    timm = types.ModuleType("timm")
    timm.__path__ = [f"{sysconfig.get_path('purelib')}/timm"]
    sys.modules["timm"] = timm
    _OnTheCpu().__enter__()


def detector() -> nn.Module:
    """As Meta's `build_sam3_video_model` builds it, at the small sizes."""
    from sam3.model.geometry_encoders import SequenceGeometryEncoder
    from sam3.model.maskformer_segmentation import PixelDecoder, UniversalSegmentationHead
    from sam3.model.model_misc import MLP, DotProductScoring, TransformerWrapper
    from sam3.model.sam3_image import Sam3ImageOnVideoMultiGPU
    from sam3.model.vl_combiner import SAM3VLBackbone

    geometry = SequenceGeometryEncoder(
        pos_enc=_sine(small.HIDDEN), encode_boxes_as_points=False, points_direct_project=True, points_pool=True,
        points_pos_enc=True, boxes_direct_project=True, boxes_pool=True, boxes_pos_enc=True, d_model=small.HIDDEN,
        num_layers=small.GEOMETRY_LAYERS, layer=_encoder_layer(at_attention=False, at_keys=True, batch_first=False),
        use_act_ckpt=True, add_cls=True, add_post_encode_proj=True,
    )  # fmt: skip
    segmentation = UniversalSegmentationHead(
        hidden_dim=small.HIDDEN, upsampling_stages=3, aux_masks=False, presence_head=False, dot_product_scorer=None,
        act_ckpt=True, cross_attend_prompt=_attention(batch_first=False, dropout=0),
        pixel_decoder=PixelDecoder(num_upsampling_stages=3, interpolation_mode="nearest", hidden_dim=small.HIDDEN),
    )  # fmt: skip
    scores = MLP(
        input_dim=small.HIDDEN, hidden_dim=small.FEED_FORWARD, output_dim=small.HIDDEN, num_layers=2, dropout=0.1,
        residual=True, out_norm=nn.LayerNorm(small.HIDDEN),
    )  # fmt: skip
    return Sam3ImageOnVideoMultiGPU(
        num_feature_levels=1, backbone=SAM3VLBackbone(scalp=1, visual=_vision(), text=_text()),
        transformer=TransformerWrapper(encoder=_detr_encoder(), decoder=_detr_decoder(), d_model=small.HIDDEN),
        segmentation_head=segmentation, semantic_segmentation_head=None, input_geometry_encoder=geometry,
        use_early_fusion=True, use_dot_prod_scoring=True, supervise_joint_box_scores=True,
        dot_prod_scoring=DotProductScoring(d_model=small.HIDDEN, d_proj=small.HIDDEN, prompt_mlp=scores),
    )  # fmt: skip


def tracker() -> nn.Module:
    """As Meta's `build_tracker` builds it, at the small sizes."""
    from sam3.model.decoder import TransformerDecoderLayerv2, TransformerEncoderCrossAttention
    from sam3.model.memory import CXBlock, SimpleFuser, SimpleMaskDownSampler, SimpleMaskEncoder
    from sam3.model.model_misc import TransformerWrapper
    from sam3.model.sam3_tracker_base import Sam3TrackerBase

    stage = 16 * small.GRID
    memory = SimpleMaskEncoder(
        out_dim=small.MEMORY, in_dim=small.HIDDEN, position_encoding=_sine(small.MEMORY),
        mask_downsampler=SimpleMaskDownSampler(
            embed_dim=small.HIDDEN, kernel_size=3, stride=2, padding=1, interpol_size=[stage, stage]
        ),
        fuser=SimpleFuser(
            layer=CXBlock(
                dim=small.HIDDEN, kernel_size=7, padding=3, layer_scale_init_value=1.0e-06, use_dwconv=True
            ),
            num_layers=small.FUSER_LAYERS,
        ),
    )  # fmt: skip
    layer = TransformerDecoderLayerv2(
        cross_attention_first=False, activation="relu", dim_feedforward=small.FEED_FORWARD, dropout=0.1,
        pos_enc_at_attn=False, pre_norm=True, self_attention=_rope(), d_model=small.HIDDEN,
        pos_enc_at_cross_attn_keys=True, pos_enc_at_cross_attn_queries=False,
        cross_attention=_rope(kv_in_dim=small.MEMORY, rope_k_repeat=True),
    )  # fmt: skip
    encoder = TransformerEncoderCrossAttention(
        remove_cross_attention_layers=[], batch_first=True, d_model=small.HIDDEN, frozen=False, pos_enc_at_input=True,
        layer=layer, num_layers=small.MEMORY_LAYERS, use_act_checkpoint=False,
    )  # fmt: skip
    return Sam3TrackerBase(
        image_size=small.SIDE, num_maskmem=7, backbone=None, backbone_stride=small.PATCH,
        transformer=TransformerWrapper(encoder=encoder, decoder=None, d_model=small.HIDDEN), maskmem_backbone=memory,
        multimask_output_in_sam=True, forward_backbone_per_frame_for_eval=True, trim_past_non_cond_mem_for_eval=False,
        multimask_output_for_tracking=True, multimask_min_pt_num=0, multimask_max_pt_num=1,
        non_overlap_masks_for_mem_enc=False, max_cond_frames_in_attn=4, offload_output_to_cpu_for_eval=False,
        sam_mask_decoder_extra_args={
            "dynamic_multimask_via_stability": True, "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
        use_memory_selection=False,
    )  # fmt: skip


def _sine(width: int) -> nn.Module:
    from sam3.model.position_encoding import PositionEmbeddingSine

    return PositionEmbeddingSine(num_pos_feats=width, normalize=True, scale=None, temperature=10000)


def _attention(*, batch_first: bool, dropout: float = 0.1) -> nn.Module:
    from sam3.model.model_misc import MultiheadAttentionWrapper

    return MultiheadAttentionWrapper(
        num_heads=small.HEADS, dropout=dropout, embed_dim=small.HIDDEN, batch_first=batch_first
    )


def _rope(**more: Any) -> nn.Module:
    from sam3.sam.transformer import RoPEAttention

    return RoPEAttention(
        embedding_dim=small.HIDDEN, num_heads=1, downsample_rate=1, dropout=0.1, rope_theta=10000.0,
        feat_sizes=[small.GRID, small.GRID], use_fa3=False, use_rope_real=False, **more,
    )  # fmt: skip


def _encoder_layer(*, at_attention: bool, at_keys: bool, batch_first: bool) -> nn.Module:
    from sam3.model.encoder import TransformerEncoderLayer

    return TransformerEncoderLayer(
        activation="relu", d_model=small.HIDDEN, dim_feedforward=small.FEED_FORWARD, dropout=0.1,
        pos_enc_at_attn=at_attention, pos_enc_at_cross_attn_keys=at_keys, pos_enc_at_cross_attn_queries=False,
        pre_norm=True, self_attention=_attention(batch_first=batch_first),
        cross_attention=_attention(batch_first=batch_first),
    )  # fmt: skip


def _detr_encoder() -> nn.Module:
    from sam3.model.encoder import TransformerEncoderFusion

    return TransformerEncoderFusion(
        layer=_encoder_layer(at_attention=True, at_keys=False, batch_first=True), num_layers=small.DETR_LAYERS,
        d_model=small.HIDDEN, num_feature_levels=1, frozen=False, use_act_checkpoint=True,
        add_pooled_text_to_img_feat=False, pool_text_with_mask=True,
    )  # fmt: skip


def _detr_decoder() -> nn.Module:
    from sam3.model.decoder import TransformerDecoder, TransformerDecoderLayer

    layer = TransformerDecoderLayer(
        activation="relu", d_model=small.HIDDEN, dim_feedforward=small.FEED_FORWARD, dropout=0.1,
        cross_attention=_attention(batch_first=False), n_heads=small.HEADS, use_text_cross_attention=True,
    )  # fmt: skip
    return TransformerDecoder(
        layer=layer, num_layers=small.DETR_LAYERS, num_queries=small.QUERIES, return_intermediate=True,
        box_refine=True, num_o2m_queries=0, dac=True, boxRPB="log", d_model=small.HIDDEN, frozen=False,
        interaction_layer=None, dac_use_selfatt_ln=True, resolution=small.SIDE, stride=small.PATCH,
        use_act_checkpoint=True, presence_token=True,
    )  # fmt: skip


def _vision() -> nn.Module:
    from sam3.model.necks import Sam3DualViTDetNeck
    from sam3.model.vitdet import ViT

    vit = small.VIT
    trunk = ViT(
        img_size=small.SIDE, pretrain_img_size=vit["pretrained_side"], patch_size=small.PATCH,
        embed_dim=vit["hidden"], depth=vit["layers"], num_heads=vit["heads"],
        mlp_ratio=vit["feed_forward"] / vit["hidden"], norm_layer="LayerNorm", drop_path_rate=0.1, qkv_bias=True,
        use_abs_pos=True, tile_abs_pos=True, global_att_blocks=small.GLOBAL_LAYERS, rel_pos_blocks=(), use_rope=True,
        use_interp_rope=True, window_size=vit["window"], pretrain_use_cls_token=True, retain_cls_token=False,
        ln_pre=True, ln_post=False, return_interm_layers=False, bias_patch_embed=False,
    )  # fmt: skip
    return Sam3DualViTDetNeck(
        position_encoding=_sine(small.HIDDEN), d_model=small.HIDDEN, scale_factors=[4.0, 2.0, 1.0, 0.5], trunk=trunk,
        add_sam2_neck=True,
    )  # fmt: skip


def _text() -> nn.Module:
    from sam3.model.text_encoder_ve import VETextEncoder

    def tokenizer(texts: Sequence[str], context_length: int) -> Tensor:
        padded = torch.zeros(len(texts), context_length, dtype=torch.long)
        padded[:, : len(small.TOKENS)] = torch.tensor(small.TOKENS)
        return padded

    return VETextEncoder(
        tokenizer=tokenizer, d_model=small.HIDDEN, width=small.TEXT["hidden"], heads=small.TEXT["heads"],
        layers=small.TEXT["layers"], vocab_size=small.VOCABULARY, context_length=small.TEXT_LENGTH,
    )  # fmt: skip


def load(model: nn.Module) -> None:
    """The drawn weights, by name; what is computed from the configuration stays."""
    wanted = model.state_dict()
    drawn = {
        name: torch.from_numpy(small.drawn(name, tuple(value.shape)))
        for name, value in wanted.items()
        if not value.is_complex()
    }
    missing, unknown = model.load_state_dict(drawn, strict=False)
    assert not unknown
    assert all(wanted[name].is_complex() for name in missing), missing
