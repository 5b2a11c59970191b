"""When the detector looks, and what for: all prompts of all streams go into one call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stream.engines.sam3.network import Concept, Network, Query
from stream.engines.sam3.objects import Box01
from stream.engines.sam3.policy import Policy

VISUAL = "visual"
"""The word that stands for “like the examples” in the model's training."""
MOST_CONCEPTS = 64
MOST_EXAMPLES = 8


class Tokens(Protocol):
    """What makes tokens of words."""

    def normalised(self, text: str) -> str:
        """What counts as the same concept."""
        ...

    def tokens(self, text: str) -> tuple[Tensor, Tensor]:
        """Ids and attention mask, int64 `(1, T)`. Raises `BadInput`."""
        ...


class ConceptStore:
    """Embedded texts, the most recently used ones; a text costs a pass through the text encoder once."""

    def __init__(self, network: Network, tokens: Tokens, most: int = MOST_CONCEPTS) -> None:
        self._network = network
        self._tokens = tokens
        self._most = most
        self._kept: OrderedDict[str, Concept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def same(self, text: str) -> str:
        """Texts of one concept have the same."""
        return self._tokens.normalised(text)

    def check(self, text: str) -> None:
        """Raises `BadInput` for a text that cannot be looked for."""
        self._tokens.tokens(text)

    def get(self, text: str) -> Concept:
        key = self._tokens.normalised(text)
        concept = self._kept.pop(key, None)
        if concept is None:
            concept = self._network.embed_text(*self._tokens.tokens(text))
        self._kept[key] = concept
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return concept


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to look for in a stream's picture: a text, and boxes of examples, positive ones True."""

    prompt_id: int
    text: str
    label: str
    examples: tuple[tuple[Box01, bool], ...] = ()

    def query(self, picture: int, concepts: ConceptStore) -> Query:
        concept = concepts.get(self.text)
        if not self.examples:
            return Query(picture, concept)
        corners = torch.tensor([box for box, _ in self.examples])
        boxes = torch.cat(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]), dim=1)
        return Query(picture, concept, boxes, torch.tensor([int(positive) for _, positive in self.examples]))


@dataclass(frozen=True, slots=True)
class Doubt:
    """What would make the detector look sooner: asked for by a prompt or by the agent, a tentative object, an object
    lost a short time ago."""

    asked: bool
    tentative: bool
    lost: bool


def is_due(since: int, doubt: Doubt, policy: Policy) -> bool:
    """Whether the detector looks at this frame, `since` frames after it last did."""
    if doubt.asked or doubt.tentative:
        return True
    return since >= (min(policy.detect_lost, policy.detect_every) if doubt.lost else policy.detect_every)


def crosses(frame: int, last: int, every: int) -> bool:
    """Whether a multiple of `every` lies in `last < k <= frame`; 0 for never."""
    return every > 0 and frame // every > last // every


def queries_of(wanted: Sequence[tuple[int, Wanted]], concepts: ConceptStore) -> tuple[list[Query], list[int]]:
    """Queries for pairs of a picture and what is wanted in it, and for each a number that those of one picture and
    prompt share: their detections suppress each other."""
    numbers: dict[tuple[int, int], int] = {}
    queries, keys = [], []
    for picture, one in wanted:
        queries.append(one.query(picture, concepts))
        keys.append(numbers.setdefault((picture, one.prompt_id), len(numbers)))
    return queries, keys
