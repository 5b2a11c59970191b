"""A request as the model's input: the chat template's text, with as many places as pictures and sound take.

Whatever comes in a message is data: special tokens in it are taken out, so that no text, one seen in a picture and
quoted for instance, can pass for a turn, a tool's answer or a picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.vlm.service.faults import refuse
from agent.vlm.service.media import Picture, Sound
from agent.vlm.service.request import ChatRequest, Turn
from stream.errors import BadInput

if TYPE_CHECKING:
    import torch

    from agent.vlm.service.model import Gemma
    from agent.vlm.service.reuse import Features, ImageKey

_IMAGE, _AUDIO = 1, 3
"""How the model's masks tell the kinds of tokens apart."""
_MARK = re.compile(r"<\|.+>|<.+\|>", re.DOTALL)
"""The look of Gemma 4's own tokens. Others that were added, as those of HTML, are text."""


@dataclass(frozen=True, slots=True)
class Patches:
    """A picture cut up for the encoder: float32 [1, patches, values], int64 [1, patches, 2]; `tokens` of them count."""

    values: torch.Tensor
    positions: torch.Tensor
    tokens: int


@dataclass(frozen=True, slots=True)
class Waves:
    """A sound's spectrogram: float32 [1, frames, 128], bool [1, frames]."""

    features: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class Prompt:
    """`kinds` has 0 for text, 1 for pictures, 3 for sound, one for each of `ids`. The first `prefix` ids are those of
    the system's turn and the tools, which come again in the next question."""

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    prefix: int
    images: tuple[tuple[ImageKey, Patches | Features], ...] = ()
    sound: Waves | None = None


class Prompter:
    """Makes prompts. One thread at a time."""

    def __init__(self, gemma: Gemma) -> None:
        self._gemma = gemma
        tokenizer = gemma.tokenizer
        added = tokenizer.added_tokens_decoder.values()
        specials = {str(token) for token in added if token.special or _MARK.fullmatch(str(token))}
        longest_first = sorted(specials | set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)))
        self._places = re.compile(f"{re.escape(tokenizer.image_token)}|{re.escape(_audio_token(tokenizer))}")

    def prompt(self, request: ChatRequest, encoded: Mapping[ImageKey, Features]) -> Prompt:
        """`encoded` are pictures whose features are known. Raises `BadInput`."""
        parts = [part for turn in request.turns for part in turn.parts]
        sounds = [part for part in parts if isinstance(part, Sound)]
        if sounds and not self._gemma.hears:
            raise refuse(f"{self._gemma.name} does not hear.", action="Send text and pictures.", code="no_audio")
        images: list[tuple[ImageKey, Patches | Features]] = []
        for picture in (part for part in parts if isinstance(part, Picture)):
            key = (picture.sha256, request.image_tokens)
            known = encoded.get(key) or next((given for other, given in images if other == key), None)
            images.append((key, known or self._patches(picture, request.image_tokens)))
        waves = self._waves(sounds[0]) if sounds else None
        ids = self._ids(self._expanded(self._rendered(request), [given.tokens for _, given in images], waves))
        tokenizer = self._gemma.tokenizer
        marks = {tokenizer.image_token_id: _IMAGE, getattr(tokenizer, "audio_token_id", None): _AUDIO}
        kinds = tuple(marks.get(token, 0) for token in ids)
        return Prompt(ids, kinds, self._prefix(request, ids), tuple(images), waves)

    def clean(self, text: str) -> str:
        """`text` without special tokens, also those that appear when one is taken out, and valid as UTF-8."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        while (cleaned := self._special.sub("", text)) != text:
            text = cleaned
        return text

    def _rendered(self, request: ChatRequest, turns: tuple[Turn, ...] | None = None) -> str:
        from jinja2 import TemplateError

        begins = turns is not None
        messages = [self._message(turn) for turn in (request.turns if turns is None else turns)]
        try:
            rendered = self._gemma.tokenizer.apply_chat_template(
                messages,
                tools=self._cleaned(list(request.tools)) or None,
                tokenize=False,
                add_generation_prompt=not begins,
                enable_thinking=request.thinking,
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise refuse("The chat template cannot take these messages or tools.") from error
        return str(rendered)

    def _message(self, turn: Turn) -> dict[str, Any]:
        content: list[dict[str, str]] = []
        for part in turn.parts:
            if isinstance(part, str):
                content.append({"type": "text", "text": self.clean(part)})
            else:
                content.append({"type": "image" if isinstance(part, Picture) else "audio"})
        plain = len(content) == 1 and content[0]["type"] == "text"
        message: dict[str, Any] = {"role": turn.role, "content": content[0]["text"] if plain else content or ""}
        if turn.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": self._cleaned({"name": call.name, "arguments": call.arguments}),
                }
                for call in turn.calls
            ]
        if turn.answers is not None:
            message["tool_call_id"] = turn.answers
        return message

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {self.clean(str(key)): self._cleaned(item) for key, item in value.items()}
        return [self._cleaned(item) for item in value] if isinstance(value, list | tuple) else value

    def _expanded(self, text: str, tokens: list[int], waves: Waves | None) -> str:
        """`text` with each picture and sound at its full length."""
        tokenizer = self._gemma.tokenizer
        remaining = iter(tokens)

        def place(match: re.Match[str]) -> str:
            if match[0] == tokenizer.image_token:
                return f"{tokenizer.boi_token}{tokenizer.image_token * next(remaining, 0)}{tokenizer.eoi_token}"
            heard = 0 if waves is None else _heard(waves.mask[0].numpy())
            return f"{tokenizer.boa_token}{tokenizer.audio_token * heard}{tokenizer.eoa_token}"

        expanded = self._places.sub(place, text)
        if next(remaining, None) is not None:
            raise refuse("The chat template has no place for a picture.")
        return expanded

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._gemma.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def _prefix(self, request: ChatRequest, ids: tuple[int, ...]) -> int:
        """How many ids do not depend on what follows the system's turn."""
        if request.turns[0].role != "system":
            return 0
        try:
            begin = self._ids(self._rendered(request, request.turns[:1]))
        except BadInput:  # a template may insist on a user's turn
            return 0
        return len(begin) if len(begin) < len(ids) and ids[: len(begin)] == begin else 0

    def _patches(self, picture: Picture, tokens: int) -> Patches:
        pixels = picture.pixels()
        try:
            made = self._gemma.image_processor(
                images=[pixels], max_soft_tokens=tokens, return_tensors="pt", input_data_format="channels_last"
            )
        except ValueError as error:
            message = f"A picture of {pixels.shape[1]}×{pixels.shape[0]} does not fit into {tokens} tokens."
            raise refuse(message, action="Crop it or allow more.", code="bad_image") from error
        count = int(made["num_soft_tokens_per_image"][0])
        return Patches(made["pixel_values"], made["image_position_ids"], count)

    def _waves(self, sound: Sound) -> Waves:
        extractor = self._gemma.feature_extractor
        assert extractor is not None
        made = extractor([sound.samples], return_tensors="pt", sampling_rate=extractor.sampling_rate)
        return Waves(made["input_features"], made["input_features_mask"])


def _audio_token(tokenizer: Any) -> str:
    return str(getattr(tokenizer, "audio_token", None) or tokenizer.image_token)


def _heard(mask: NDArray[np.bool_]) -> int:
    """How many tokens the encoder makes of a spectrogram: two convolutions of stride 2."""
    for _ in range(2):
        mask = mask[::2][: (len(mask) - 1) // 2 + 1]
    return int(mask.sum())
