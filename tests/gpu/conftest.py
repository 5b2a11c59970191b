"""What only a GPU can show. Run by `make gpu`; skipped where there is none, and an error where one was promised."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.kernels.runner import KIND


@pytest.fixture(scope="session")
def torch() -> Any:
    """torch with a CUDA device, and CuPy importable."""
    if MISSING:
        pytest.skip(MISSING)
    return importlib.import_module("torch")


def _missing() -> str:
    try:
        importlib.import_module("cupy")
        torch = importlib.import_module("torch")
    except ImportError as error:
        return str(error)
    return "" if torch.cuda.is_available() else "torch finds no CUDA device"


MISSING = _missing()
if MISSING and KIND == "cuda":
    # Before anything is collected: a module that skips itself would hide that the promised GPU is not there.
    raise RuntimeError(MISSING)
