"""One answer of the model: from a prompt to its tokens, with everything that is known already used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agent.vlm.service.faults import OutOfMemory
from agent.vlm.service.meter import Meter
from agent.vlm.service.model import TOP_K, Gemma
from agent.vlm.service.prompt import Patches, Prompt
from agent.vlm.service.request import Sampling
from agent.vlm.service.reuse import Features, ImageCache, ImageKey, PrefixCache

if TYPE_CHECKING:
    import torch

    from agent.vlm.service.grammar import Constraint

_ENDS = ("<turn|>", "<|tool_response>", "<eos>")
"""Behind a call the model begins its tool's answer: nothing of that is its own."""


class Generator:
    """Owns the model's work. One thread."""

    def __init__(self, gemma: Gemma, images: ImageCache, prefixes: PrefixCache, meter: Meter) -> None:
        self._gemma = gemma
        self._images = images
        self._prefixes = prefixes
        self._meter = meter
        self.ends = end_tokens(gemma)

    def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        *,
        constraint: Constraint | None,
        on_token: Callable[[int], None],
        ended: Callable[[], bool],
    ) -> str:
        """`on_token` gets each token but the one that ends the answer; it ends early once `ended`. Gives why it
        stopped: `stop` or `length`. Raises `OutOfMemory`."""
        import torch

        relay = _Relay(self.ends, on_token)
        try:
            with torch.no_grad():
                inputs = self._inputs(prompt, ended)
                if ended():
                    return "stop"
                if sampling.seed is not None:
                    torch.manual_seed(sampling.seed)
                self._gemma.model.generate(
                    **inputs,
                    generation_config=self._config(sampling),
                    logits_processor=[constraint] if constraint is not None else [],
                    stopping_criteria=[_Ended(ended)],
                    streamer=relay,
                )
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory("The GPU's memory is too small for this question.") from error
        return "stop" if relay.finished or ended() else "length"

    def _config(self, sampling: Sampling) -> Any:
        from transformers import GenerationConfig

        choices: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0 and sampling.top_p > 0:
            choices = {
                "do_sample": True,
                "temperature": float(sampling.temperature),
                "top_p": float(sampling.top_p),
                "top_k": TOP_K,
            }
        tokenizer = self._gemma.tokenizer
        return GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            eos_token_id=list(self.ends),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            **choices,
        )

    def _inputs(self, prompt: Prompt, ended: Callable[[], bool]) -> dict[str, Any]:
        import torch

        device = self._gemma.device
        ids = torch.tensor([prompt.ids], device=device)
        inputs: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": torch.tensor([prompt.kinds], device=device),
        }
        if prompt.images:
            inputs["mm_encoder_outputs"] = {"image": self._encoded(prompt.images, ended)}
        if prompt.sound is not None:
            inputs["input_features"] = prompt.sound.features.to(device)
            inputs["input_features_mask"] = prompt.sound.mask.to(device)
        if self._prefixes.wants(prompt.ids[: prompt.prefix]):
            inputs["past_key_values"] = self._begun(prompt.ids[: prompt.prefix])
        return inputs

    def _encoded(self, images: Sequence[tuple[ImageKey, Patches | Features]], ended: Callable[[], bool]) -> Any:
        """The features of `images` as the model's encoder gives them; each is encoded by itself, so that it is the same
        whatever comes along."""
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        found: dict[ImageKey, Features] = {}
        for key, given in images:
            if key in found or ended():
                continue
            kept = self._images.known({key}).get(key)
            known = given if isinstance(given, Features) else kept
            self._meter.add("pictures_total", source="encoder" if known is None else "kept")
            if known is None:
                assert isinstance(given, Patches)
                known = self._encode(given)
                self._images.keep(key, known)
            found[key] = known
        return BaseModelOutputWithPooling(pooler_output=tuple(found[key].values for key, _ in images if key in found))

    def _encode(self, patches: Patches) -> Features:
        model, device = self._gemma.model, self._gemma.device
        output = model.get_image_features(patches.values.to(device), patches.positions.to(device), return_dict=True)
        return Features(output.pooler_output[0].clone())

    def _begun(self, ids: tuple[int, ...]) -> Any:
        """A cache that holds `ids` already."""
        kept = self._prefixes.copy(ids)
        self._meter.add("prefixes_total", source="model" if kept is None else "kept")
        if kept is not None:
            return kept
        import torch
        from transformers import DynamicCache

        model = self._gemma.model
        cache = DynamicCache(config=model.config.get_text_config())
        model(
            input_ids=torch.tensor([ids], device=self._gemma.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._prefixes.keep(ids, cache)
        return cache


class _Relay:
    """What `generate` calls a streamer: gets the prompt first, then token by token."""

    def __init__(self, ends: Sequence[int], on_token: Callable[[int], None]) -> None:
        self._ends = frozenset(ends)
        self._on_token = on_token
        self._prompted = False
        self.finished = False

    def put(self, value: torch.Tensor) -> None:
        if not self._prompted:
            self._prompted = True
            return
        token = int(value.reshape(-1)[-1])
        if token in self._ends:
            self.finished = True
        else:
            self._on_token(token)

    def end(self) -> None: ...


class _Ended:
    """A stopping criterion, asked after each token."""

    def __init__(self, ended: Callable[[], bool]) -> None:
        self._ended = ended

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        import torch

        return torch.full((input_ids.shape[0],), self._ended(), device=input_ids.device, dtype=torch.bool)


def end_tokens(gemma: Gemma) -> tuple[int, ...]:
    """The model's own, and those that end a turn."""
    own = gemma.model.generation_config.eos_token_id
    ends = set(own if isinstance(own, list) else [own] if own is not None else [])
    known = gemma.tokenizer.get_vocab()
    return tuple(sorted(ends | {known[mark] for mark in _ENDS if mark in known}))
