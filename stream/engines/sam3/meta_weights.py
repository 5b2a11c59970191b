"""Meta's `sam3.pt` under transformers' names: which of its keys becomes which of `Sam3VideoModel`'s, and how.

Every key of the file is either renamed by a rule below or listed in `UNUSED` with the reason; any other is an error.
`*` in a rule stands for the number of a layer, the same on both sides and in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Make = Callable[[Tensor], tuple[Tensor, ...]]


class UnknownKeys(Exception):
    """The checkpoint has keys that SAM 3's does not have: `names`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(", ".join(self.names))


@dataclass(frozen=True, slots=True)
class Rule:
    """One of Meta's parameters, those that transformers makes of it, and how. `rows`: each number is one row of it."""

    meta: str
    ours: tuple[str, ...]
    make: Make
    rows: bool = False


def _same(value: Tensor) -> tuple[Tensor, ...]:
    return (value,)


def _twice(value: Tensor) -> tuple[Tensor, ...]:
    return (value, value)


def _thirds(value: Tensor) -> tuple[Tensor, ...]:
    """Query, key and value, which Meta keeps in one matrix of three times the height."""
    return value.chunk(3)


def _transposed(value: Tensor) -> tuple[Tensor, ...]:
    return (value.mT,)


def _without_class(value: Tensor) -> tuple[Tensor, ...]:
    """(1, 1 + N, C) positions → (1, N, C): SAM 3 has no class token, the picture it was trained on first had one."""
    return (value[:, 1:],)


UNUSED: Mapping[str, str] = {
    "detector.backbone.vision_backbone.trunk.blocks.*.attn.freqs_cis": "constants, computed from the configuration",
    "detector.geometry_encoder.points_direct_project.weight": "the detector takes boxes, points go to the tracker",
    "detector.geometry_encoder.points_direct_project.bias": "the detector takes boxes, points go to the tracker",
    "detector.geometry_encoder.points_pool_project.weight": "the detector takes boxes, points go to the tracker",
    "detector.geometry_encoder.points_pool_project.bias": "the detector takes boxes, points go to the tracker",
    "detector.geometry_encoder.points_pos_enc_project.weight": "the detector takes boxes, points go to the tracker",
    "detector.geometry_encoder.points_pos_enc_project.bias": "the detector takes boxes, points go to the tracker",
}
"""Keys that are there and deliberately not read, with the reason."""

_SIDES = ("weight", "bias")


def _moved(pairs: Mapping[str, str]) -> Iterator[Rule]:
    """Modules with a weight and a bias that only change their names."""
    for meta, ours in pairs.items():
        yield from (Rule(f"{meta}.{side}", (f"{ours}.{side}",), _same) for side in _SIDES)


def _split(pairs: Mapping[str, str], joined: str, parted: str = "o_proj") -> Iterator[Rule]:
    """Attentions whose query, key and value are one matrix at Meta's, named as in `in_proj_`, `qkv.`."""
    output = "proj" if joined == "qkv." else "out_proj"
    for meta, ours in pairs.items():
        for side in _SIDES:
            yield Rule(f"{meta}.{joined}{side}", tuple(f"{ours}.{part}_proj.{side}" for part in "qkv"), _thirds)
            yield Rule(f"{meta}.{output}.{side}", (f"{ours}.{parted}.{side}",), _same)


def _apart(pairs: Mapping[str, str]) -> Iterator[Rule]:
    """Attentions whose query, key and value are apart on both sides."""
    parts = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "out_proj": "o_proj"}
    for meta, ours in pairs.items():
        yield from _moved({f"{meta}.{theirs}": f"{ours}.{name}" for theirs, name in parts.items()})


def _layers(meta: str, ours: str, names: Iterable[str]) -> Iterator[Rule]:
    """A small perceptron, whose layers are numbered at Meta's and named here."""
    yield from _moved({f"{meta}.layers.{number}": f"{ours}.{name}" for number, name in enumerate(names)})


def _weights(pairs: Mapping[str, str]) -> Iterator[Rule]:
    """Single parameters that only change their names."""
    yield from (Rule(meta, (ours,), _same) for meta, ours in pairs.items())


def _vision() -> Iterator[Rule]:
    trunk, vit = "detector.backbone.vision_backbone.trunk", "detector_model.vision_encoder.backbone"
    yield Rule(f"{trunk}.pos_embed", (f"{vit}.embeddings.position_embeddings",), _without_class)
    yield Rule(f"{trunk}.patch_embed.proj.weight", (f"{vit}.embeddings.patch_embeddings.projection.weight",), _same)
    yield from _split({f"{trunk}.blocks.*.attn": f"{vit}.layers.*.attention"}, "qkv.")
    yield from _moved({f"{trunk}.ln_pre": f"{vit}.layer_norm"})
    block = {"norm1": "layer_norm1", "norm2": "layer_norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    yield from _moved({f"{trunk}.blocks.*.{theirs}": f"{vit}.layers.*.{name}" for theirs, name in block.items()})
    necks = {"convs": "detector_model.vision_encoder.neck", "sam2_convs": "tracker_neck"}
    scales = {
        "0.dconv_2x2_0": "0.scale_layers.0", "0.dconv_2x2_1": "0.scale_layers.2", "1.dconv_2x2": "1.scale_layers.0",
        "*.conv_1x1": "*.proj1", "*.conv_3x3": "*.proj2",
    }  # fmt: skip
    for theirs, neck in necks.items():
        convolutions = f"detector.backbone.vision_backbone.{theirs}"
        yield from _moved({f"{convolutions}.{meta}": f"{neck}.fpn_layers.{ours}" for meta, ours in scales.items()})


def _text() -> Iterator[Rule]:
    meta, clip = "detector.backbone.language_backbone.encoder", "detector_model.text_encoder"
    block, layer = f"{meta}.transformer.resblocks.*", f"{clip}.text_model.encoder.layers.*"
    yield from _weights(
        {
            f"{meta}.positional_embedding": f"{clip}.text_model.embeddings.position_embedding.weight",
            f"{meta}.token_embedding.weight": f"{clip}.text_model.embeddings.token_embedding.weight",
        }
    )
    yield Rule(f"{meta}.text_projection", (f"{clip}.text_projection.weight",), _transposed)
    yield from _split({f"{block}.attn": f"{layer}.self_attn"}, "in_proj_", "out_proj")
    yield from _moved(
        {
            f"{block}.ln_1": f"{layer}.layer_norm1",
            f"{block}.ln_2": f"{layer}.layer_norm2",
            f"{block}.mlp.c_fc": f"{layer}.mlp.fc1",
            f"{block}.mlp.c_proj": f"{layer}.mlp.fc2",
            f"{meta}.ln_final": f"{clip}.text_model.final_layer_norm",
            "detector.backbone.language_backbone.resizer": "detector_model.text_projection",
        }
    )


def _encoder_layer(meta: str, ours: str) -> Iterator[Rule]:
    """A layer of the geometry encoder or of DETR's encoder."""
    attentions = {f"{meta}.self_attn": f"{ours}.self_attn", f"{meta}.cross_attn_image": f"{ours}.cross_attn"}
    yield from _split(attentions, "in_proj_")
    yield from _moved({f"{meta}.linear{number}": f"{ours}.mlp.fc{number}" for number in (1, 2)})
    yield from _moved({f"{meta}.norm{number}": f"{ours}.layer_norm{number}" for number in (1, 2, 3)})


def _detr() -> Iterator[Rule]:
    yield from _encoder_layer("detector.transformer.encoder.layers.*", "detector_model.detr_encoder.layers.*")
    meta, ours = "detector.transformer.decoder", "detector_model.detr_decoder"
    block, layer = f"{meta}.layers.*", f"{ours}.layers.*"
    yield from _split(
        {
            f"{block}.self_attn": f"{layer}.self_attn",
            f"{block}.ca_text": f"{layer}.text_cross_attn",
            f"{block}.cross_attn": f"{layer}.vision_cross_attn",
        },
        "in_proj_",
    )
    yield from _moved(
        {
            f"{block}.norm1": f"{layer}.vision_cross_attn_layer_norm",
            f"{block}.catext_norm": f"{layer}.text_cross_attn_layer_norm",
            f"{block}.norm2": f"{layer}.self_attn_layer_norm",
            f"{block}.norm3": f"{layer}.mlp_layer_norm",
            f"{block}.linear1": f"{layer}.mlp.fc1",
            f"{block}.linear2": f"{layer}.mlp.fc2",
            f"{meta}.norm": f"{ours}.output_layer_norm",
            f"{meta}.presence_token_out_norm": f"{ours}.presence_layer_norm",
        }
    )
    named = ("query_embed", "reference_points", "presence_token")
    yield from _weights({f"{meta}.{name}.weight": f"{ours}.{name}.weight" for name in named})
    three = ("layer1", "layer2", "layer3")
    yield from _layers(f"{meta}.bbox_embed", f"{ours}.box_head", three)
    yield from _layers(f"{meta}.presence_token_head", f"{ours}.presence_head", three)
    yield from _layers(f"{meta}.ref_point_head", f"{ours}.ref_point_head", three[:2])
    yield from _layers(f"{meta}.boxRPB_embed_x", f"{ours}.box_rpb_embed_x", three[:2])
    yield from _layers(f"{meta}.boxRPB_embed_y", f"{ours}.box_rpb_embed_y", three[:2])


def _heads() -> Iterator[Rule]:
    """What is around DETR: box exemplars, scores and masks."""
    meta, ours = "detector.geometry_encoder", "detector_model.geometry_encoder"
    yield from _weights({f"{meta}.{name}.weight": f"{ours}.{name}.weight" for name in ("label_embed", "cls_embed")})
    boxes = ("boxes_direct_project", "boxes_pool_project", "boxes_pos_enc_project", "final_proj")
    yield from _moved({f"{meta}.{name}": f"{ours}.{name}" for name in boxes})
    norms = {"norm": "prompt_layer_norm", "img_pre_norm": "vision_layer_norm", "encode_norm": "output_layer_norm"}
    yield from _moved({f"{meta}.{theirs}": f"{ours}.{name}" for theirs, name in norms.items()})
    yield from _encoder_layer(f"{meta}.encode.*", f"{ours}.layers.*")

    meta, ours = "detector.dot_prod_scoring", "detector_model.dot_product_scoring"
    yield from _layers(f"{meta}.prompt_mlp", f"{ours}.text_mlp", ("layer1", "layer2"))
    scores = {"prompt_mlp.out_norm": "text_mlp_out_norm", "prompt_proj": "text_proj", "hs_proj": "query_proj"}
    yield from _moved({f"{meta}.{theirs}": f"{ours}.{name}" for theirs, name in scores.items()})

    meta, ours = "detector.segmentation_head", "detector_model.mask_decoder"
    yield from _split({f"{meta}.cross_attend_prompt": f"{ours}.prompt_cross_attn"}, "in_proj_")
    masks = {
        "cross_attn_norm": "prompt_cross_attn_norm", "pixel_decoder.conv_layers.*": "pixel_decoder.conv_layers.*",
        "pixel_decoder.norms.*": "pixel_decoder.norms.*",
        "mask_predictor.mask_embed.layers.*": "mask_embedder.layers.*",
        "semantic_seg_head": "semantic_projection", "instance_seg_head": "instance_projection",
    }  # fmt: skip
    yield from _moved({f"{meta}.{theirs}": f"{ours}.{name}" for theirs, name in masks.items()})


def _memory() -> Iterator[Rule]:
    """The tracker's own parameters, its memory attention and its memory encoder."""
    meta, ours = "tracker", "tracker_model"
    yield from _weights(
        {
            f"{meta}.maskmem_tpos_enc": f"{ours}.memory_temporal_positional_encoding",
            f"{meta}.no_mem_embed": f"{ours}.no_memory_embedding",
            f"{meta}.no_mem_pos_enc": f"{ours}.no_memory_positional_encoding",
            f"{meta}.no_obj_ptr": f"{ours}.no_object_pointer",
            f"{meta}.no_obj_embed_spatial": f"{ours}.occlusion_spatial_embedding_parameter",
        }
    )
    yield from _moved({f"{meta}.mask_downsample": f"{ours}.mask_downsample"})
    yield from _moved({f"{meta}.obj_ptr_tpos_proj": f"{ours}.temporal_positional_encoding_projection_layer"})
    yield from _layers(f"{meta}.obj_ptr_proj", f"{ours}.object_pointer_proj", _PROJECTION)

    block, layer = f"{meta}.transformer.encoder.layers.*", f"{ours}.memory_attention.layers.*"
    yield from _apart({f"{block}.{name}": f"{layer}.{name}" for name in ("self_attn", "cross_attn_image")})
    yield from _moved({f"{block}.linear{number}": f"{layer}.linear{number}" for number in (1, 2)})
    yield from _moved({f"{block}.norm{number}": f"{layer}.layer_norm{number}" for number in (1, 2, 3)})
    yield from _moved({f"{meta}.transformer.encoder.norm": f"{ours}.memory_attention.layer_norm"})

    meta, ours = "tracker.maskmem_backbone", "tracker_model.memory_encoder"
    for stage in range(4):  # each a convolution, a norm and an activation
        sampler, layer = f"{meta}.mask_downsampler.encoder", f"{ours}.mask_downsampler.layers.{stage}"
        yield from _moved(
            {f"{sampler}.{3 * stage}": f"{layer}.conv", f"{sampler}.{3 * stage + 1}": f"{layer}.layer_norm"}
        )
    fuser, layer = f"{meta}.fuser.layers.*", f"{ours}.memory_fuser.layers.*"
    yield Rule(f"{fuser}.gamma", (f"{layer}.scale",), _same)
    yield from _moved(
        {
            f"{meta}.mask_downsampler.encoder.12": f"{ours}.mask_downsampler.final_conv",
            f"{meta}.pix_feat_proj": f"{ours}.feature_projection",
            f"{meta}.out_proj": f"{ours}.projection",
            f"{fuser}.dwconv": f"{layer}.depthwise_conv",
            f"{fuser}.norm": f"{layer}.layer_norm",
            f"{fuser}.pwconv1": f"{layer}.pointwise_conv1",
            f"{fuser}.pwconv2": f"{layer}.pointwise_conv2",
        }
    )


def _prompts() -> Iterator[Rule]:
    """The encoder of points, boxes and masks."""
    meta, ours = "tracker.sam_prompt_encoder", "tracker_model.prompt_encoder"
    places = ("tracker_model.shared_image_embedding", f"{ours}.shared_embedding")
    yield Rule(
        f"{meta}.pe_layer.positional_encoding_gaussian_matrix",
        tuple(f"{place}.positional_embedding" for place in places),
        _twice,
    )
    yield Rule(f"{meta}.point_embeddings.*.weight", (f"{ours}.point_embed.weight",), _same, rows=True)
    single = ("not_a_point_embed", "no_mask_embed")
    yield from _weights({f"{meta}.{name}.weight": f"{ours}.{name}.weight" for name in single})
    stages = {0: "conv1", 1: "layer_norm1", 3: "conv2", 4: "layer_norm2", 6: "conv3"}
    yield from _moved(
        {f"{meta}.mask_downscaling.{number}": f"{ours}.mask_embed.{name}" for number, name in stages.items()}
    )


def _masks() -> Iterator[Rule]:
    """The decoder of masks."""
    meta, ours = "tracker.sam_mask_decoder", "tracker_model.mask_decoder"
    block, layer = f"{meta}.transformer.layers.*", f"{ours}.transformer.layers.*"
    crossed = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
    yield from _apart({f"{block}.{name}": f"{layer}.{name}" for name in crossed})
    final = "transformer.final_attn_token_to_image"
    yield from _apart({f"{meta}.{final}": f"{ours}.{final}"})
    yield from _moved({f"{block}.norm{number}": f"{layer}.layer_norm{number}" for number in (1, 2, 3, 4)})
    yield from _moved({f"{block}.mlp.lin1": f"{layer}.mlp.proj_in", f"{block}.mlp.lin2": f"{layer}.mlp.proj_out"})
    yield from _moved({f"{meta}.transformer.norm_final_attn": f"{ours}.transformer.layer_norm_final_attn"})
    tokens = ("iou_token", "mask_tokens", "obj_score_token")
    yield from _weights({f"{meta}.{name}.weight": f"{ours}.{name}.weight" for name in tokens})
    upscaling = {0: "upscale_conv1", 1: "upscale_layer_norm", 3: "upscale_conv2"}
    yield from _moved({f"{meta}.output_upscaling.{number}": f"{ours}.{name}" for number, name in upscaling.items()})
    yield from _moved({f"{meta}.{name}": f"{ours}.{name}" for name in ("conv_s0", "conv_s1")})
    for name in ("output_hypernetworks_mlps.*", "iou_prediction_head", "pred_obj_score_head"):
        yield from _layers(f"{meta}.{name}", f"{ours}.{name}", _PROJECTION)


_PROJECTION = ("proj_in", "layers.0", "proj_out")
RULES: tuple[Rule, ...] = tuple(
    rule for part in (_vision, _text, _detr, _heads, _memory, _prompts, _masks) for rule in part()
)


def is_meta(names: Iterable[str]) -> bool:
    """Whether these are the names of a file by Meta: a detector and a tracker."""
    tops = {name.split(".", 1)[0] for name in names}
    return {"detector", "tracker"} <= tops


def convert(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of `Sam3VideoModel` in Meta's `checkpoint`, most of them views of it.

    Says nothing of keys that are missing: who loads the result knows what it needs. Raises `UnknownKeys`.
    """
    made: dict[str, Tensor] = {}
    rows: dict[str, dict[int, Tensor]] = {}
    unknown = []
    for key, value in checkpoint.items():
        found = _find(key)
        if found is None:
            if not _is_unused(key):
                unknown.append(key)
            continue
        rule, numbers = found
        if rule.rows:
            rows.setdefault(rule.ours[0], {})[numbers[0]] = value
        else:
            names = (_filled(ours, numbers) for ours in rule.ours)
            made.update(zip(names, rule.make(value), strict=True))
    if unknown:
        raise UnknownKeys(unknown)
    made.update({name: torch.cat([table[number] for number in sorted(table)]) for name, table in rows.items()})
    return made


def meta_name(name: str) -> str:
    """Meta's name of one of `Sam3VideoModel`'s parameters, `name` itself where it has none."""
    for pattern, meta, rows in _BACK:
        match = pattern.fullmatch(name)
        if match:
            return meta if rows else _filled(meta, tuple(map(int, match.groups())))
    return name


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\*", r"(\d+)"))


def _filled(template: str, numbers: tuple[int, ...]) -> str:
    left = iter(numbers)
    return re.sub(r"\*", lambda _: str(next(left)), template)


def _find(key: str) -> tuple[Rule, tuple[int, ...]] | None:
    """The rule for `key`, and the numbers in it that the rule leaves open."""
    for pattern, rule in _FORTH.get(_numberless(key), ()):
        match = pattern.fullmatch(key)
        if match:
            return rule, tuple(map(int, match.groups()))
    return None


def _is_unused(key: str) -> bool:
    return any(_pattern(template).fullmatch(key) for template in UNUSED)


def _numberless(name: str) -> str:
    """`name` with all numbers replaced, under which its rule is looked up."""
    return re.sub(r"(?<=\.)(\d+|\*)(?=\.|$)", "#", name)


def _grouped() -> dict[str, list[tuple[re.Pattern[str], Rule]]]:
    groups: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
    for rule in RULES:
        groups.setdefault(_numberless(rule.meta), []).append((_pattern(rule.meta), rule))
    return groups


_FORTH = _grouped()
_BACK = [(_pattern(ours), rule.meta, rule.rows) for rule in RULES for ours in rule.ours]
