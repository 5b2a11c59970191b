"""Gemma 4, loaded: the model, its tokenizer, and what turns pictures and sound into its input.

transformers' own processor for it needs torchvision for videos, which are not taken here: its parts are used.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.errors import ModelServerError

if TYPE_CHECKING:
    import torch

MAX_CONTEXT = 32_768
"""Tokens of a question and its answer; more would cost memory that pictures need."""
PACKAGES = ("torch", "transformers", "llguidance", "PIL")
DTYPES = ("auto", "bfloat16", "float16", "float32")
TOP_K = 64
"""Gemma's own recommendation for sampling."""


class Missing(ModelServerError):
    """What the service needs is not there: a package, a GPU, the weights."""


@dataclass(frozen=True, slots=True)
class Gemma:
    """One loaded model. `model` and the tokenizers may be used by one thread at a time."""

    name: str
    model: Any
    tokenizer: Any
    image_processor: Any
    feature_extractor: Any | None
    """None where the model has no ears."""
    device: torch.device
    dtype: torch.dtype
    context: int

    @property
    def hears(self) -> bool:
        return self.feature_extractor is not None


def load(source: str, *, device: str = "auto", dtype: str = "auto") -> Gemma:
    """From a folder or a repository of the hub (downloaded where it is missing). Raises `Missing`."""
    torch, transformers = _packages()
    chosen = _device(torch, device)
    kind = _dtype(torch, chosen, dtype)
    try:
        config = transformers.AutoConfig.from_pretrained(source)
        if config.model_type != "gemma4":
            raise Missing(
                f"{source} is {config.model_type}, which is not served here.",
                action="Use Gemma 4 E2B, E4B, 26B-A4B or 31B, as google/gemma-4-E4B-it.",
            )
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        images = transformers.Gemma4ImageProcessorPil.from_pretrained(source)
        sounds = None
        if config.audio_config is not None:
            sounds = transformers.Gemma4AudioFeatureExtractor.from_pretrained(source)
        # sdpa: only with it are the layers that share keys spared most of the prompt.
        model = transformers.Gemma4ForConditionalGeneration.from_pretrained(
            source, dtype=kind, attn_implementation={"text_config": "sdpa"}
        )
    except (OSError, ValueError) as error:
        raise _no_weights(source, error) from error
    if tokenizer.chat_template is None:
        raise Missing(f"{source} has no chat template.", action="Use one that is tuned for chats, as …-it.")
    context = min(MAX_CONTEXT, int(config.text_config.max_position_embeddings))
    name = Path(source).name if Path(source).exists() else source
    return Gemma(name, model.to(chosen).eval(), tokenizer, images, sounds, chosen, kind, context)


def check_installed() -> None:
    """Raises `Missing` where a package is; imports none."""
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise Missing(f"{name} is not installed.", action='Install it: pip install "onlooker[vlm]"')


def _packages() -> tuple[Any, Any]:
    check_installed()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    import transformers

    return torch, transformers


def _device(torch: Any, wanted: str) -> Any:
    there = torch.cuda.is_available()
    if wanted.startswith("cuda") and not there:
        raise Missing(
            "torch finds no NVIDIA GPU for Gemma.",
            action="Check nvidia-smi and that torch is a CUDA build, or use --device cpu (slow).",
        )
    if wanted == "auto":
        wanted = "cuda" if there else "cpu"
    try:
        return torch.device(wanted)
    except RuntimeError as error:
        raise Missing(f"There is no device {wanted}.", action="Use auto, cpu or cuda.") from error


def _dtype(torch: Any, device: Any, wanted: str) -> Any:
    if wanted not in DTYPES:
        raise Missing(f"There is no dtype {wanted}.", action=f"Use one of {', '.join(DTYPES)}.")
    if wanted == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return getattr(torch, wanted)


def _no_weights(source: str, error: Exception) -> Missing:
    reason = str(error).strip().split("\n", maxsplit=1)[0][:200]
    if Path(source).exists():
        return Missing(f"{source} cannot be loaded: {reason}", action="Name a folder with a whole Gemma 4.")
    return Missing(
        f"The weights of {source} are not here: {reason}",
        action=f"Fetch them where there is a network: hf download {source}; or name a folder.",
    )
