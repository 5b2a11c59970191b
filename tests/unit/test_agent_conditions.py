"""Watches in words: tables of everyday conditions against what each must compile to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.conditions import Compiled, compile_condition
from agent.labels import stands_for
from agent.types import EventKind, Region, RegionKind, Rule

DATA = Path(__file__).parent / "data"
SQUARE = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5))
REGIONS = (
    *(Region(name, name, RegionKind.ZONE, SQUARE) for name in ("desk", "front door", "parking lot", "pool")),
    Region("gate", "gate", RegionKind.LINE, SQUARE[:2]),
)


def load(name: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = tomllib.loads((DATA / name).read_text())["conditions"]
    return table


KNOWN, UNSEEN = load("conditions.toml"), load("conditions_unseen.toml")


def written(rule: Rule) -> str:
    """A rule as the tables write it."""
    parts = [rule.kind.value, rule.label or "*"]
    parts += [f"~{rule.near_label}"] if rule.near_label else []
    parts += [f"@{rule.region_id}"] if rule.region_id else []
    parts += [f"{rule.seconds:g}"] if rule.seconds else []
    parts += [f"{rule.op}{rule.value:g}"] if rule.op and rule.value is not None else []
    return " ".join(parts)


def wrong(wanted: dict[str, Any], compiled: Compiled) -> str | None:
    """What is not as the table says."""
    rules = sorted(written(rule) for rule in compiled.rules)
    if rules not in [sorted(choice) for choice in wanted["rules"]]:
        return f"rules {rules}"
    if (compiled.verify is not None) != wanted.get("verify", False):
        return f"verify {compiled.verify}"
    if wanted.get("note", "") not in (compiled.note or ""):
        return f"note {compiled.note}"
    return None


def dangerous(wanted: dict[str, Any], compiled: Compiled) -> bool:
    """Whether it says that the rule decides when it does not, or waits for what need never come."""
    if wanted.get("verify") and compiled.verify is None:
        return True
    return not any(all(_covered(text, compiled) for text in choice) for choice in wanted["rules"])


def _covered(text: str, compiled: Compiled) -> bool:
    label = " ".join(word for word in text.split()[1:] if word[0].isalpha() and word not in _LATER)
    region = next((region.id for region in REGIONS if f"@{region.id}" in text), None)
    for rule in compiled.rules:
        kind, ticking = rule.kind.value == text.split()[0], rule.kind is EventKind.TICK
        wide = rule.label is None or rule.label in text or stands_for(rule.label, label)
        if (kind or ticking) and wide and rule.region_id in (None, region):
            return True
    return False


_LATER = {"door", "lot"}


def report(table: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    faults, dangers = [], []
    for wanted in table:
        compiled = compile_condition(wanted["text"], REGIONS)
        if (fault := wrong(wanted, compiled)) is not None:
            faults.append(f"{wanted['text']!r}: {fault}, wanted {wanted['rules']}")
        if dangerous(wanted, compiled):
            dangers.append(f"{wanted['text']!r}: {[written(rule) for rule in compiled.rules]} {compiled.verify}")
    return faults, dangers


@pytest.mark.parametrize(("table", "least"), [(KNOWN, 0.95), (UNSEEN, 0.85)], ids=["known", "unseen"])
def test_everyday_conditions_compile_to_what_they_mean(table: list[dict[str, Any]], least: float) -> None:
    faults, dangers = report(table)
    assert dangers == []
    assert 1 - len(faults) / len(table) >= least, "\n".join(faults)


@pytest.mark.parametrize("wanted", [w for w in KNOWN if w.get("verify")], ids=lambda w: str(w["text"]))
def test_what_the_model_must_decide_is_said(wanted: dict[str, Any]) -> None:
    compiled = compile_condition(wanted["text"], REGIONS)
    assert compiled.verify == wanted["text"]
    assert compiled.note, "the user is told that the rule does not say it all"


WORDS = sorted({word for wanted in KNOWN for word in wanted["text"].split()})


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)))
def test_any_words_compile_and_nothing_is_left_to_the_model_in_silence(text: str) -> None:
    compiled = compile_condition(text, REGIONS)
    assert compiled.rules
    assert (compiled.verify is None) or compiled.note
    assert compiled.verify is not None or all(rule.kind is not EventKind.TICK for rule in compiled.rules)
