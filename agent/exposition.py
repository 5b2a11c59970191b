"""Prometheus text exposition, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float]
"""Labels and a value. The values of labels may hold no quotes, backslashes or line ends: they are not escaped."""


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """The lines of one metric; `kind` is `counter` or `gauge`."""
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{label}"' for key, label in labels.items())
        lines.append(f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """All of its digits, and no more: large counts stay exact."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
