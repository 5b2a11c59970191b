"""Counts of the service, for Prometheus."""

from __future__ import annotations

import threading

from agent.exposition import Kind, Sample, family

_FAMILIES: dict[str, tuple[Kind, str]] = {
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
        self._sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """`labels` as `outcome="ok"`."""
        if name not in _FAMILIES:
            raise KeyError(name)
        key = (name, tuple(labels.items()))
        with self._lock:
            self._sums[key] = self._sums.get(key, 0.0) + amount

    def text(self, **gauges: float) -> str:
        """The exposition; `gauges` are values of now."""
        with self._lock:
            sums = dict(self._sums)
        sums |= {(name, ()): value for name, value in gauges.items()}
        samples: dict[str, list[Sample]] = {name: [] for name in _FAMILIES}
        for (name, labels), value in sorted(sums.items()):
            samples[name].append((dict(labels), value))
        return "".join(
            family(f"onlooker_vlm_{name}", kind, text, samples[name]) for name, (kind, text) in _FAMILIES.items()
        )
