"""SAM 3's weights on disk, small and random, in each form that they come in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import nn
from transformers import Sam3Config, Sam3TrackerVideoConfig, Sam3VideoConfig
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

from stream.models.sam3 import META_FILE, META_VOCABULARY, SAFETENSORS, TOKENIZER
from tests.goldens import small_sam3 as small


def write_folder(folder: Path, model: nn.Module, *, shards: int = 1) -> Path:
    """`model`, a `Sam3VideoModel`, as the hub keeps it: configuration, safetensors (in so many files), tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config: Any = model.config
    config.save_pretrained(folder)
    state = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    if shards == 1:
        save_file(state, folder / SAFETENSORS)
    else:
        names = sorted(state)
        files = {f"model-{at + 1:05}-of-{shards:05}.safetensors": names[at::shards] for at in range(shards)}
        for file, held in files.items():
            save_file({name: state[name] for name in held}, folder / file)
        index = {"weight_map": {name: file for file, held in files.items() for name in held}}
        (folder / f"{SAFETENSORS}.index.json").write_text(json.dumps(index))
    write_tokenizer(folder / TOKENIZER, config.detector_config.text_config)
    return folder


def write_meta(folder: Path) -> Path:
    """Meta's `sam3.pt` of the small model that the goldens are of, its configuration and a list of merges."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(meta_state(), folder / META_FILE)
    small_config().save_pretrained(folder)
    write_merges(folder / META_VOCABULARY)
    return folder / META_FILE


def meta_state() -> dict[str, torch.Tensor]:
    """The small model's parameters under Meta's names, with the constants that a file of Meta's holds too."""
    state = {name: torch.from_numpy(value) for name, value in small.weights(small.read_keys(small.SMALL_KEYS)).items()}
    constants = small.read_constants(small.SMALL_KEYS)
    return state | {name: torch.zeros(shape, dtype=torch.complex64) for name, shape in constants.items()}


def write_merges(path: Path) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(("#version: 0.2", *small.MERGES)))


def write_tokenizer(path: Path, text: Any) -> None:
    """A vocabulary of single letters that fits the text encoder's configuration `text`, its start and end included."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {name: number for number, name in enumerate([*letters, *(letter + "</w>" for letter in letters)])}
    vocabulary |= {"<|startoftext|>": text.bos_token_id, "<|endoftext|>": text.eos_token_id}
    model = models.BPE(vocabulary, [], end_of_word_suffix="</w>", unk_token="<|endoftext|>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(path))


def small_config() -> Sam3VideoConfig:
    """transformers' configuration of the model that `tests.goldens.small_sam3` describes."""
    return Sam3VideoConfig(detector_config=_detector(), tracker_config=_tracker(), low_res_mask_size=4 * small.GRID)


def _vision() -> Sam3VisionConfig:
    vit, grid = small.VIT, small.GRID
    backbone = Sam3ViTConfig(
        hidden_size=vit["hidden"],
        intermediate_size=vit["feed_forward"],
        num_hidden_layers=vit["layers"],
        num_attention_heads=vit["heads"],
        image_size=small.SIDE,
        patch_size=small.PATCH,
        window_size=vit["window"],
        global_attn_indexes=list(small.GLOBAL_LAYERS),
        pretrain_image_size=vit["pretrained_side"],
        layer_norm_eps=1e-5,
    )
    return Sam3VisionConfig(
        backbone_config=backbone,
        fpn_hidden_size=small.HIDDEN,
        scale_factors=[4.0, 2.0, 1.0, 0.5],
        backbone_feature_sizes=[[4 * grid, 4 * grid], [2 * grid, 2 * grid], [grid, grid]],
    )


def _detector() -> Sam3Config:
    shared = {"hidden_size": small.HIDDEN, "num_attention_heads": small.HEADS}
    layers = {**shared, "intermediate_size": small.FEED_FORWARD}
    text = small.TEXT
    return Sam3Config(
        vision_config=_vision(),
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": small.VOCABULARY,
            "bos_token_id": small.TOKENS[0],
            "eos_token_id": small.TOKENS[-1],
            "hidden_size": text["hidden"],
            "intermediate_size": 4 * text["hidden"],
            "projection_dim": text["projection"],
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": small.TEXT_LENGTH,
            "hidden_act": "gelu",
        },
        geometry_encoder_config=Sam3GeometryEncoderConfig(num_layers=small.GEOMETRY_LAYERS, **layers),
        detr_encoder_config=Sam3DETREncoderConfig(num_layers=small.DETR_LAYERS, **layers),
        detr_decoder_config=Sam3DETRDecoderConfig(num_layers=small.DETR_LAYERS, num_queries=small.QUERIES, **layers),
        mask_decoder_config=Sam3MaskDecoderConfig(num_upsampling_stages=3, **shared),
    )


def _tracker() -> Sam3TrackerVideoConfig:
    return Sam3TrackerVideoConfig(
        vision_config=_vision(),
        prompt_encoder_config=Sam3TrackerVideoPromptEncoderConfig(
            hidden_size=small.HIDDEN, image_size=small.SIDE, patch_size=small.PATCH
        ),
        mask_decoder_config=Sam3TrackerVideoMaskDecoderConfig(hidden_size=small.HIDDEN),
        memory_attention_hidden_size=small.HIDDEN,
        memory_attention_num_layers=small.MEMORY_LAYERS,
        memory_attention_feed_forward_hidden_size=small.FEED_FORWARD,
        memory_encoder_hidden_size=small.HIDDEN,
        memory_encoder_output_channels=small.MEMORY,
        mask_downsampler_embed_dim=small.HIDDEN,
        memory_fuser_embed_dim=small.HIDDEN,
        memory_fuser_intermediate_dim=4 * small.HIDDEN,
        memory_fuser_num_layers=small.FUSER_LAYERS,
        memory_attention_rope_feat_sizes=[small.GRID, small.GRID],
        image_size=small.SIDE,
    )
