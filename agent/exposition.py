"""Prometheus text exposition, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float]
"""Labels and a value. The values of labels may hold no quotes, backslashes or line ends: they are not escaped."""
SummarySample = tuple[Mapping[str, str], Mapping[str, float], float, int]
"""Labels, values by quantile, and the sum and number of all values."""
Kind = Literal["counter", "gauge"]


def family(name: str, kind: Kind, text: str, samples: Iterable[Sample]) -> str:
    """The lines of one metric."""
    return _head(name, kind, text) + "".join(_line(name, labels, value) for labels, value in samples)


def summary(name: str, text: str, samples: Iterable[SummarySample]) -> str:
    """The lines of one metric with quantiles."""
    lines: list[str] = []
    for labels, quantiles, total, count in samples:
        lines += [_line(name, {**labels, "quantile": quantile}, value) for quantile, value in quantiles.items()]
        lines += [_line(f"{name}_sum", labels, total), _line(f"{name}_count", labels, count)]
    return _head(name, "summary", text) + "".join(lines)


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{label}"' for key, label in labels.items())
    return f"{name}{{{inner}}} {_number(value)}\n" if inner else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    """All of its digits, and no more: large counts stay exact."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
