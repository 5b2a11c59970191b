"""The checks for a GPU machine go on after a failure, keep to their time, and say where there is no GPU."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.gpu import everything
from tests.gpu.everything import FILE, PARTS, Part, run_all

WRITES = "import json, sys; json.dump({'answer': 1}, open(sys.argv[1], 'w')); print('3 passed in 1s')"
WRITES_AND_HANGS = "import json, sys, time; json.dump({'half': 1}, open(sys.argv[1], 'w')); time.sleep(60)"


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch = importlib.import_module("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert everything.main([]) == 2
    assert "torch finds no CUDA GPU" in capsys.readouterr().out


def test_without_torch_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert everything.main([]) == 2
    assert "pip install" in capsys.readouterr().out


def test_a_failure_or_a_part_that_hangs_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    parts = [
        Part("fails", "", 30, ("-c", "raise SystemExit('it is broken')")),
        Part("hangs", "", 1, ("-c", WRITES_AND_HANGS, FILE)),
        Part("works", "", 30, ("-c", WRITES, FILE)),
        Part("absent", "", 30, (), program="a-program-that-is-not-there"),
    ]
    path = tmp_path / "gpu.json"
    run_all(parts, path, 60)
    found = json.loads(path.read_text())
    assert {name: part["status"] for name, part in found["parts"].items()} == {
        "fails": "failed", "hangs": "timed out", "works": "passed", "absent": "skipped",
    }  # fmt: skip
    assert "it is broken" in found["parts"]["fails"]["error"]
    assert found["parts"]["works"]["found"] == {"answer": 1}
    assert found["parts"]["works"]["tests"] == ["3 passed"]
    assert "not installed" in found["parts"]["absent"]["error"]
    assert {"date", "python", "libraries", "gpu", "card"} <= found["machine"].keys()


def test_what_is_left_when_time_is_up_is_skipped(tmp_path: Path) -> None:
    found = run_all([Part("late", "", 30, ("-c", "pass"))], tmp_path / "gpu.json", 1)
    assert found["parts"]["late"]["error"] == "There was no time left."


def test_the_parts_fit_into_ten_minutes_with_what_is_asked_for() -> None:
    assert {"decoding", "engine", "whole", "kernels", "kernel times", "steps"} <= {part.name for part in PARTS}
    assert sum(part.limit_s for part in PARTS if part.program is None) <= 600


@pytest.mark.parametrize(
    "module", [part.command[1] for part in PARTS if part.program is None and part.command[1] != "pytest"]
)
def test_every_part_is_there(module: str) -> None:
    assert callable(importlib.import_module(module).main)
