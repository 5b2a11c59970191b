"""A Gemma 4 of a few hundred thousand random parameters, with its tokenizer, template and processors, in a folder.

It says nothing that makes sense; everything around it is as with the real one. Its tokens are the 256 bytes and
Gemma's special tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma4AudioConfig,
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessorPil,
    Gemma4TextConfig,
    Gemma4VisionConfig,
    PreTrainedTokenizerFast,
)

SPECIALS = (
    *("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>"),
    *("<|audio>", "<audio|>", "<|audio|>", "<|video|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>"),
    *("<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>"),
)
TEMPLATE = """
{%- macro text(content) -%}
{%- if content is string -%}{{ content }}{%- else -%}
{%- for part in content -%}
{%- if part.type == 'text' -%}{{ part.text }}{%- else -%}{{ '<|' + part.type + '|>' }}{%- endif -%}
{%- endfor -%}{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- set first = messages[0].role == 'system' -%}
{%- if first or tools or enable_thinking -%}
{{- '<|turn>system\n' -}}
{%- if enable_thinking -%}{{- '<|think|>' -}}{%- endif -%}
{%- if first -%}{{- text(messages[0].content) -}}{%- endif -%}
{%- for tool in tools or [] -%}{{- '<|tool>declaration:' + tool.function | tojson + '<tool|>' -}}{%- endfor -%}
{{- '<turn|>\n' -}}
{%- endif -%}
{%- set rest = messages[1:] if first else messages -%}
{%- for message in rest -%}
{%- if message.role == 'tool' -%}
{{- '<|tool_response>' + text(message.content) + '<tool_response|>' -}}
{%- else -%}
{{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' + text(message.content) -}}
{%- for call in message.tool_calls or [] -%}
{{- '<|tool_call>call:' + call.function.name + call.function.arguments | tojson + '<tool_call|>' -}}
{%- endfor -%}
{{- '<turn|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn>model\n' -}}{%- endif -%}
"""


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {token: i for i, token in enumerate([*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="left",
        extra_special_tokens={
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        chat_template=TEMPLATE.strip(),
    )


def make_tiny_gemma4(folder: Path, *, large: bool = False) -> Path:
    """Write it to `folder`, the same every time. `large`: as the larger ones, which hear nothing and whose pictures'
    tokens see one another."""
    audio = not large
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    model = Gemma4ForConditionalGeneration(_config(tokenizer, large)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # as initialised, it would say the same token for ever
        ends = tokenizer.convert_tokens_to_ids(["<eos>", "<turn|>", "<|tool_response>"])
        model.get_input_embeddings().weight[ends] *= 0.05  # it never ends an answer by itself
    choices = {"do_sample": True, "temperature": 1.0, "top_k": 64, "top_p": 0.95}  # as the real ones have them
    model.generation_config.update(eos_token_id=[tokenizer.eos_token_id], **choices)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parts: dict[str, Any] = {"image_processor": json.loads(Gemma4ImageProcessorPil().to_json_string())}
    if audio:
        parts["feature_extractor"] = json.loads(Gemma4AudioFeatureExtractor(feature_size=128).to_json_string())
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "Gemma4Processor", **parts}))
    return folder


def _config(tokenizer: PreTrainedTokenizerFast, large: bool) -> Gemma4Config:
    text = Gemma4TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        global_head_dim=16,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * 3,
        num_kv_shared_layers=2,
        vocab_size_per_layer_input=len(tokenizer),
        hidden_size_per_layer_input=8,
        max_position_embeddings=4096,
        use_bidirectional_attention="vision" if large else None,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    vision = Gemma4VisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=8,
        position_embedding_size=256,
    )
    sound = Gemma4AudioConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        subsampling_conv_channels=[128, 4],
        conv_kernel_size=3,
        attention_chunk_size=4,
        attention_context_left=5,
        attention_context_right=0,
        output_proj_dims=32,
        use_clipped_linears=False,
    )
    names = ("image", "boi", "eoi", "audio", "boa")
    marks = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names}
    return Gemma4Config(
        text_config=text,
        vision_config=vision,
        audio_config=None if large else sound,
        eoa_token_index=tokenizer.eoa_token_id,
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        **marks,
    )
