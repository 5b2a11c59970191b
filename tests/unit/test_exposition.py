"""Prometheus text."""

from __future__ import annotations

from agent.exposition import family


def test_a_metric_is_told_with_its_labels_and_all_digits() -> None:
    text = family("onlooker_jobs_total", "counter", "Jobs.", [({"kind": "look", "end": "well"}, 12_345_678), ({}, 0.1)])
    assert text.splitlines() == [
        "# HELP onlooker_jobs_total Jobs.",
        "# TYPE onlooker_jobs_total counter",
        'onlooker_jobs_total{kind="look",end="well"} 12345678',
        "onlooker_jobs_total 0.1",
    ]
    assert text.endswith("\n")
