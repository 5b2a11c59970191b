"""Watches in words, compiled to cheap rules; what the rules do not say is left to the model.

“Tell me when someone leaves a bag” is an object of a kind that was near a person and is now alone: the rule proposes
at the moment when they part, and the model decides from the pictures whether that is what was meant. Where no event
of the tracks marks the right moment, the model looks by itself every ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.conditions import words as w
from agent.conditions.moments import moments
from agent.conditions.reading import Reading, fill, read
from agent.types import EventKind, Region, Rule


@dataclass(frozen=True, slots=True)
class Compiled:
    """`rules`, any of which proposes; `verify`, what the model decides where they do not say it all; `note`, what the
    user should know about how it was understood."""

    rules: tuple[Rule, ...]
    verify: str | None
    note: str | None = None


def compile_condition(condition: str, regions: Iterable[Region] = ()) -> Compiled:
    """The rules that propose, and the question that decides where they do not say it all."""
    reading = read(condition, tuple(regions))
    found = moments(reading)
    fill(reading)
    unsaid = [reading.words[i] for i in reading.rest]
    unsaid += [reading.words[thing.at] for thing in reading.things if thing.narrow]
    verify = condition if found.unsure or unsaid or not _all_in(found.rules, reading) else None
    return Compiled(found.rules, verify, _note(reading, found.rules, verify, unsaid, found.assumed_s))


def _all_in(rules: tuple[Rule, ...], reading: Reading) -> bool:
    """Whether everything that was understood has found its way into the rules."""
    labels = {label for rule in rules for label in (rule.label, rule.near_label)}
    return (
        {thing.label for thing in reading.things} <= labels
        and {region.id for region in reading.regions} <= {rule.region_id for rule in rules}
        and (reading.seconds is None or any(rule.seconds == reading.seconds for rule in rules))
        and (reading.count is None or any(rule.kind is EventKind.COUNT for rule in rules))
    )


def _note(
    reading: Reading, rules: tuple[Rule, ...], verify: str | None, unsaid: list[str], assumed_s: float | None
) -> str | None:
    said = []
    ticking = next((rule for rule in rules if rule.kind is EventKind.TICK), None)
    if ticking is not None:
        when = f" while there is a {ticking.label}" if ticking.label else ""
        said.append(f"Only a model that sees can tell: it looks every {ticking.seconds:.0f} seconds{when}.")
    elif verify is not None and unsaid:
        said.append(f"The tracks do not show “{' '.join(dict.fromkeys(unsaid))}”: a model that sees decides.")
    elif verify is not None:
        said.append("The tracks only propose: a model that sees decides.")
    if reading.seconds is not None and all(rule.seconds != reading.seconds for rule in rules):
        said.append("How long it lasts is not measured.")
    if assumed_s is not None:
        said.append(f"Taken as {assumed_s:.0f} seconds.")
    if reading.timed:
        said.append("The time of day is not looked at: this is watched at all times.")
    if reading.heard or reading.find(w.SOUNDS):
        said.append("Nobody can hear here.")
    return " ".join(said) or None
