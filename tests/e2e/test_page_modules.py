"""The page's own checks, which need no browser: types by tsc, pure modules by Node's test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "page"


@pytest.mark.parametrize("script", ["types", "test"])
def test_npm_run(script: str) -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", script], cwd=PAGE, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
