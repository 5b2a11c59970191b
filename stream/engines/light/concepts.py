"""Text prompts: from what was typed to the classes that are looked for."""

from __future__ import annotations

from dataclasses import dataclass

from stream.engines import words
from stream.engines.light.fallback import MOVING, is_moving
from stream.errors import ModelMissing, UnknownWord


@dataclass(frozen=True, slots=True)
class Concepts:
    """The classes of one text prompt, and what to tell the user about words that are not used."""

    labels: frozenset[str]
    message: str | None


def read(text: str, *, detector: bool) -> Concepts:
    """The classes that `text` asks for; several may be named.

    Raises `UnknownWord` where nothing of it is known, and `ModelMissing` where it takes a detector that is not there.
    """
    if is_moving(text):
        return Concepts(frozenset({MOVING}), None)
    labels, notes = set(), []
    unknown: UnknownWord | None = None
    for part in words.split_concepts(text) or [text]:
        if is_moving(part):
            labels.add(MOVING)
            continue
        try:
            concept = words.resolve(part)
        except UnknownWord as error:
            unknown = unknown or error
            notes.append(f"“{part}” is not known by name and is not followed.")
            continue
        labels.add(concept.label)
        if concept.note:
            notes.append(concept.note)
    if not labels and unknown is not None:
        raise unknown
    if labels - {MOVING} and not detector:
        raise ModelMissing(
            "Words need the detector, which is not installed; “moving” works without.",
            action="Run `onlooker models fetch`, type “moving”, or click the thing.",
        )
    return Concepts(frozenset(labels), " ".join(notes) or None)
