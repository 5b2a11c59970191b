"""Counts of the service, in Prometheus' text form, version 0.0.4."""

from __future__ import annotations

import threading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAMILIES = {
    "requests_total": ("counter", "Requests, by how they ended."),
    "prompt_tokens_total": ("counter", "Tokens of prompts."),
    "answer_tokens_total": ("counter", "Tokens of answers."),
    "pictures_total": ("counter", "Pictures, encoded for the request or kept from an earlier one."),
    "prefixes_total": ("counter", "System turns, computed for the request or kept from an earlier one."),
    "first_token_seconds_sum": ("counter", "From a request's turn to its first token, summed."),
    "first_token_seconds_count": ("counter", "How often that was measured."),
    "busy_seconds_total": ("counter", "Time the model was at work."),
    "running": ("gauge", "Requests that the model works on."),
    "waiting": ("gauge", "Requests that wait for it."),
    "kept_picture_bytes": ("gauge", "Memory of kept pictures."),
}


class Meter:
    """Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str], float] = {}

    def add(self, name: str, amount: float = 1, *, label: str = "") -> None:
        """`label` as `outcome="ok"`."""
        if name not in _FAMILIES:
            raise KeyError(name)
        with self._lock:
            key = (name, label)
            self._sums[key] = self._sums.get(key, 0.0) + amount

    def text(self, **gauges: float) -> str:
        """The exposition; `gauges` are values of now."""
        with self._lock:
            samples = dict(self._sums)
        samples |= {(name, ""): value for name, value in gauges.items()}
        lines: list[str] = []
        for name, (kind, text) in _FAMILIES.items():
            lines += [f"# HELP onlooker_vlm_{name} {text}", f"# TYPE onlooker_vlm_{name} {kind}"]
            found = {label: value for (family, label), value in samples.items() if family == name}
            for label, value in sorted(found.items()):
                lines.append(
                    f"onlooker_vlm_{name}{{{label}}} {value:.17g}" if label else f"onlooker_vlm_{name} {value:.17g}"
                )
        return "\n".join(lines) + "\n"
