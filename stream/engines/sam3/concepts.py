"""Words to tokens, as SAM 3's text encoder knows them: CLIP's byte-pair encoding of lower-case text."""

from __future__ import annotations

import gzip
import re
import threading
import unicodedata
from collections import OrderedDict
from pathlib import Path
from typing import Self

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from stream.errors import BadInput
from stream.models.sam3 import META_VOCABULARY, REPOSITORY, TOKENIZER, Found, NoSam3, Sam3WeightsMissing

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""What is encoded on its own: endings, words, single digits, runs of signs."""
MOST_MERGES = 49152 - 256 - 2
"""The published list holds more than the model was trained with."""


class Concepts:
    """The tokens of concepts, the most recent `capacity` remembered. May be used by any thread.

    `length` is the text encoder's, start and end included.
    """

    def __init__(self, tokenizer: Tokenizer, *, length: int = 32, capacity: int = 256) -> None:
        start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
        if start is None or end is None:
            raise NoSam3(f"The vocabulary has no {START} and {END}.", action=f"Take {TOKENIZER} from {REPOSITORY}.")
        self._tokenizer = tokenizer
        self._start, self._end = start, end
        self._length = length
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[Tensor, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, found: Found, *, length: int = 32) -> Self:
        """With the vocabulary that lies with the weights. Raises `Sam3WeightsMissing` where it cannot be read."""
        return cls(read_vocabulary(found.vocabulary), length=length)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def normalised(self, text: str) -> str:
        """What counts as the same concept: case, spacing and the way accents are composed do not matter."""
        return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip().lower()

    def tokens(self, text: str) -> tuple[Tensor, Tensor]:
        """Ids, and ones where a token is with zeros after: `(1, length)` int64 on the CPU, shared; do not change them.

        Raises `BadInput` with code `empty_text` or `too_long`.
        """
        concept = self.normalised(text)
        with self._lock:
            if concept in self._known:
                self._known.move_to_end(concept)
                return self._known[concept]
        made = self._encoded(concept)
        with self._lock:
            self._known[concept] = made
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return made

    def _encoded(self, concept: str) -> tuple[Tensor, Tensor]:
        ids = self._tokenizer.encode(concept, add_special_tokens=False).ids
        if not ids:
            raise BadInput("There is nothing to look for.", code="empty_text", action="Type what to follow.")
        if len(ids) > self._length - 2:
            raise BadInput("That is too long for one thing to look for.", code="too_long", action="Use a word or two.")
        padded = torch.full((1, self._length), self._end, dtype=torch.int64)
        mask = torch.zeros((1, self._length), dtype=torch.int64)
        padded[0, : len(ids) + 1] = torch.tensor([self._start, *ids])
        mask[0, : len(ids) + 2] = 1
        return padded, mask


def read_vocabulary(path: Path) -> Tokenizer:
    """From a `tokenizer.json` or from Meta's list of merges. Raises `Sam3WeightsMissing`."""
    try:
        return _merged(path) if path.name == META_VOCABULARY else Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises nothing narrower, and all of it means the same
        raise Sam3WeightsMissing(
            f"{path} is no vocabulary that can be read: {error}.",
            action=f"Fetch it again: hf download {REPOSITORY} {TOKENIZER} --local-dir {path.parent}",
        ) from error


def _merged(path: Path) -> Tokenizer:
    """CLIP's vocabulary: bytes, bytes that end a word, each merge, start and end."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        merges = [(left, right) for left, right in (line.split() for line in lines.read().splitlines()[1:] if line)]
    merges = merges[:MOST_MERGES]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [
        *letters,
        *(letter + WORD_END for letter in letters),
        *(left + right for left, right in merges),
        START,
        END,
    ]
    vocabulary = {name: number for number, name in enumerate(names)}
    model = models.BPE(vocabulary, merges, end_of_word_suffix=WORD_END, continuing_subword_prefix="", unk_token=END)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
