"""Golden tensors of a small SAM 3, computed by Meta's own code: the second oracle beside transformers.

Run it in an environment of its own, never the project's: Meta's package pins other versions.

    python -m venv /somewhere/meta && . /somewhere/meta/bin/activate
    pip install torch==2.13.0 "numpy<3" iopath ftfy regex huggingface_hub tqdm psutil pillow scipy \
        opencv-python-headless einops pycocotools
    pip install --no-deps timm sam3==0.1.4 triton
    python tests/goldens/make_sam3_goldens.py

It needs no GPU and no weights. Meta's code is run as it is installed, unchanged, with three things put around it:
torchvision, which has no build for CPUs, is replaced by empty classes and by a `roi_align` written here from its
definition; of timm only `timm.layers` is loaded; and calls that ask for a CUDA device get the CPU.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import math
import sys
import sysconfig
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.goldens import small_sam3 as small

VERSIONS = ("sam3", "torch", "timm", "numpy")


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


def detect(model: Any, *, boxes: bool) -> dict[str, Tensor]:
    """One picture, the concept, with box exemplars or without."""
    from sam3.model.data_misc import FindStage
    from sam3.model.geometry_encoders import Prompt

    features = model.backbone.forward_image(torch.from_numpy(small.pictures()[:1]))
    features.update(model.backbone.forward_text(["a concept"], device="cpu"))
    count = len(small.BOXES_CXCYWH) if boxes else 0
    prompt = Prompt(
        box_embeddings=torch.tensor(small.BOXES_CXCYWH[:count]).reshape(count, 1, 4),
        box_mask=torch.zeros(1, count, dtype=torch.bool),
        box_labels=torch.tensor(small.BOX_LABELS[:count], dtype=torch.long).reshape(count, 1),
    )
    first = torch.tensor([0])
    stage = FindStage(
        img_ids=first, text_ids=first, input_boxes=None, input_boxes_mask=None, input_boxes_label=None,
        input_points=None, input_points_mask=None,
    )  # fmt: skip
    out = model.forward_grounding(features, stage, None, prompt)
    return {
        "scores": out["pred_logits"][0, :, 0].sigmoid(),
        "presence": out["presence_logit_dec"].reshape(-1),
        "boxes_cxcywh": out["pred_boxes"][0],
        "masks": out["pred_masks"][0],
    }


def features_of(detector: Any, tracker: Any, frame: int) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
    """The tracker's view of a frame, as `Sam3TrackerBase.forward_image` prepares it."""
    out = detector.backbone.forward_image(torch.from_numpy(small.pictures()[frame : frame + 1]))["sam2_backbone_out"]
    out["backbone_fpn"][0] = tracker.sam_mask_decoder.conv_s0(out["backbone_fpn"][0])
    out["backbone_fpn"][1] = tracker.sam_mask_decoder.conv_s1(out["backbone_fpn"][1])
    _, features, positions, sizes = tracker._prepare_backbone_features(out)
    return features, positions, sizes


def track(detector: Any, tracker: Any, given: dict[str, Any]) -> dict[str, Tensor]:
    """One object from a prompt on the first frame through all others.

    Memories are made as Meta's video model makes them, from the small masks brought to the memory encoder's size; they
    are not rounded to bfloat16 as it stores them, which would hide small differences behind large ones.
    """
    outputs: dict[str, dict[int, dict[str, Any]]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    masks, scores, pointers = [], [], []
    for frame in range(small.FRAMES):
        features, positions, sizes = features_of(detector, tracker, frame)
        out = tracker.track_step(
            frame_idx=frame, is_init_cond_frame=frame == 0, current_vision_feats=features,
            current_vision_pos_embeds=positions, feat_sizes=sizes, image=None,
            point_inputs=given.get("points") if frame == 0 else None,
            mask_inputs=given.get("mask") if frame == 0 else None,
            output_dict=outputs, num_frames=frame + 1, run_mem_encoder=False,
        )  # fmt: skip
        if out["mask_inputs"] is not None:  # its small mask has a size that nothing else has: 16 g // 14 * 4
            out["pred_masks"] = _resized(out["pred_masks_high_res"], 4 * small.GRID)
        masks.append(out["pred_masks"][0, 0])
        scores.append(out["object_score_logits"].reshape(()))
        pointers.append(out["obj_ptr"][0])
        memory, out["maskmem_pos_enc"] = tracker._encode_new_memory(
            image=None, current_vision_feats=features, feat_sizes=sizes,
            pred_masks_high_res=_resized(out["pred_masks"], small.MASK_SIDE),
            object_score_logits=out["object_score_logits"], is_mask_from_pts=frame == 0,
        )  # fmt: skip
        out["maskmem_features"] = memory
        outputs["cond_frame_outputs" if frame == 0 else "non_cond_frame_outputs"][frame] = out
    return {
        "masks": torch.stack([masks[frame] for frame in small.SHOWN]),
        "scores": torch.stack(scores),
        "pointers": torch.stack(pointers),
    }


def _resized(masks: Tensor, side: int) -> Tensor:
    smaller = side < masks.shape[-1]
    return functional.interpolate(masks, (side, side), mode="bilinear", align_corners=False, antialias=smaller)


def objects() -> dict[str, dict[str, Any]]:
    """What is followed: from two clicks, from one, from a box, from a mask."""
    clicks = torch.tensor(small.CLICKS_PX)[None], torch.tensor(small.CLICK_LABELS, dtype=torch.int32)[None]
    box = torch.tensor(small.BOX_PX).reshape(1, 2, 2), torch.tensor([[2, 3]], dtype=torch.int32)
    return {
        "clicks": {"points": {"point_coords": clicks[0], "point_labels": clicks[1]}},
        "click": {"points": {"point_coords": clicks[0][:, :1], "point_labels": clicks[1][:, :1]}},
        "box": {"points": {"point_coords": box[0], "point_labels": box[1]}},
        "mask": {"mask": torch.from_numpy(small.mask())[None, None].float()},
    }


def tokens() -> dict[str, Tensor]:
    """Each text under Meta's tokenizer, with a small list of merges."""
    import gzip
    import tempfile

    from sam3.model.tokenizer_ve import SimpleTokenizer

    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder) / "merges.txt.gz"
        merges.write_bytes(gzip.compress("\n".join(("#version: 0.2", *small.MERGES)).encode()))
        tokenizer = SimpleTokenizer(str(merges))
    ids = tokenizer(list(small.TEXTS), context_length=2 * small.TEXT_LENGTH)
    return {"tokens": ids, "ends": torch.tensor([tokenizer.sot_token_id, tokenizer.eot_token_id])}


def write_keys(path: Path, model: nn.Module) -> None:
    lines = [
        f"{name} {str(tuple(value.shape)).replace(' ', '')} {str(value.dtype).removeprefix('torch.')}"
        for name, value in model.state_dict().items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_released_keys() -> None:
    """Names and shapes of the released model: built whole, without weights."""
    import gzip
    import tempfile

    from sam3.model_builder import build_sam3_video_model

    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder) / "merges.txt.gz"
        merges.write_bytes(gzip.compress(b"#version\nt h\n"))
        write_keys(small.KEYS, build_sam3_video_model(load_from_HF=False, bpe_path=str(merges), device="cpu"))


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    prepare()
    model = nn.ModuleDict({"detector": detector(), "tracker": tracker()}).eval()
    load(model)
    write_keys(small.SMALL_KEYS, model)
    goldens: dict[str, Tensor] = tokens()
    for name, boxes in {"text": False, "exemplars": True}.items():
        goldens.update({f"{name}.{key}": value for key, value in detect(model["detector"], boxes=boxes).items()})
    for name, given in objects().items():
        found = track(model["detector"], model["tracker"], given)
        goldens.update({f"{name}.{key}": value for key, value in found.items()})
    arrays = {name: value.float().numpy() for name, value in goldens.items()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    np.savez_compressed(small.GOLDENS, versions=np.array(versions), **arrays)
    if "--goldens-only" not in sys.argv:
        write_released_keys()


if __name__ == "__main__":
    main()
