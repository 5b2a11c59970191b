"""Answers held to a form: each token that would leave it is made impossible, by llguidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.vlm.service.calls import CLOSE, OPEN, QUOTE, call_grammar
from agent.vlm.service.faults import refuse

if TYPE_CHECKING:
    import torch


class Grammars:
    """Compiles forms for one tokenizer. Any thread."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        """`vocabulary` is the number of the model's logits, `ends` the tokens that may end an answer."""
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(ends))
        self._ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in (OPEN, CLOSE, QUOTE)}

    def schema(self, schema: Mapping[str, Any]) -> str:
        """Raises `BadInput` for a schema that cannot be kept to."""
        from llguidance import LLMatcher

        # Without blanks between values: a model that is unsure would go on with them for ever.
        grammar = LLMatcher.grammar_from_json_schema(dict(schema), overrides={"whitespace_flexible": False})
        return self._checked(grammar, "The schema cannot be kept to")

    def call(self, tools: Sequence[Mapping[str, Any]]) -> str:
        """One call of one of `tools`. Raises `BadInput`."""
        from llguidance import LLMatcher

        return self._checked(LLMatcher.grammar_from_lark(call_grammar(tools, self._ids)), "The tools cannot be called")

    def constraint(self, grammar: str) -> Constraint:
        from llguidance import LLMatcher

        return Constraint(LLMatcher(self._tokenizer, grammar))

    def _checked(self, grammar: str, fault: str) -> str:
        from llguidance import LLMatcher

        if message := LLMatcher.validate_grammar(grammar, self._tokenizer):
            reason = message.strip().split("\n", maxsplit=1)[0]
            raise refuse(f"{fault}: {reason[:300]}", code="unsupported_schema")
        return grammar


class Constraint:
    """A logits processor for one answer: called once before each token."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher
        self._began = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        if self._began:
            self._matcher.consume_token(int(input_ids[0, -1]))
        self._began = True
        if self._matcher.is_error():
            raise RuntimeError(self._matcher.get_error())
        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)
        forbidden = (allowed == 0).to(scores.device)
        return scores.masked_fill(forbidden[None, : scores.shape[1]], float("-inf"))
