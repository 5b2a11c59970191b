"""What only a GPU can show. Run by `make gpu`; skipped where there is none, and an error where one was promised."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.kernels.runner import KIND


@pytest.fixture(scope="session")
def torch() -> Any:
    """torch with a CUDA device, and CuPy importable."""
    missing = _missing()
    if missing and KIND == "cuda":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return importlib.import_module("torch")


def _missing() -> str:
    try:
        importlib.import_module("cupy")
        torch = importlib.import_module("torch")
    except ImportError as error:
        return str(error)
    return "" if torch.cuda.is_available() else "torch finds no CUDA device"
