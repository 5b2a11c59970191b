"""`onlooker bench --draw` measures up to the screen of a real Chromium."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import chromium_path


@pytest.mark.soak
def test_it_measures_up_to_the_screen(tmp_path: Path) -> None:
    (tmp_path / "onlooker.toml").touch()
    environment = {
        **os.environ, "ONLOOKER_CONFIG": str(tmp_path / "onlooker.toml"), "CHROMIUM": chromium_path(),
        "ONLOOKER_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "web.cli", "bench", "--draw", "--objects", "0", "--size", "320x180", "--fps", "10",
        "--seconds", "2", "--warm-up", "0", "--engine", "light", "--json", "drawn.json",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    (case,) = json.loads((tmp_path / "drawn.json").read_text())["cases"]
    assert case["stages"]["draw"]["n"] > 0
    assert case["stages"]["draw"]["p50"] > 0
