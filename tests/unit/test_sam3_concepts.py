"""Words to tokens: normalised, remembered, bounded, with the vocabulary that lies with the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.engines.sam3.concepts import Concepts, read_vocabulary
from stream.errors import BadInput
from stream.models.sam3 import META_VOCABULARY, TOKENIZER, Sam3WeightsMissing
from tests.sam3_folders import small_config, write_merges, write_tokenizer


@pytest.fixture
def concepts(tmp_path: Path) -> Concepts:
    write_merges(tmp_path / META_VOCABULARY)
    return Concepts(read_vocabulary(tmp_path / META_VOCABULARY), length=8, capacity=3)


def test_the_same_concept_is_tokenised_once(concepts: Concepts) -> None:
    first = concepts.tokens("Red  person ")
    assert concepts.tokens("red person")[0] is first[0]
    assert first[0].shape == first[1].shape == (1, 8)
    assert first[1].sum() == 4, "start, two words that are merged whole, end"
    assert concepts.normalised("Cafe\u0301") == "café"


def test_only_the_latest_concepts_are_remembered(concepts: Concepts) -> None:
    kept = concepts.tokens("cat")
    for text in ("a", "b", "cat", "c", "d"):
        concepts.tokens(text)
    assert len(concepts) == 3
    assert concepts.tokens("cat")[0] is kept[0]


@pytest.mark.parametrize(("text", "code"), [("", "empty_text"), (" \t", "empty_text"), ("abcdefghij", "too_long")])
def test_texts_that_cannot_be_looked_for(concepts: Concepts, text: str, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        concepts.tokens(text)
    assert caught.value.code == code


def test_a_vocabulary_that_is_none(tmp_path: Path) -> None:
    for name, text in ((TOKENIZER, "{}"), (META_VOCABULARY, "not gzip")):
        (tmp_path / name).write_text(text)
        with pytest.raises(Sam3WeightsMissing, match=name):
            read_vocabulary(tmp_path / name)


def test_the_folders_tokenizer_is_used(tmp_path: Path) -> None:
    text = small_config().detector_config.text_config
    write_tokenizer(tmp_path / TOKENIZER, text)
    ids, mask = Concepts(read_vocabulary(tmp_path / TOKENIZER), length=text.max_position_embeddings).tokens("Cat")
    assert ids[0, 0] == text.bos_token_id
    assert ids[0, int(mask.sum()) - 1] == text.eos_token_id
    assert ids.max() < text.vocab_size
