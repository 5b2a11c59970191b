"""What all tests share."""

from __future__ import annotations

import pytest

from stream.models.fetch import fetch_all
from stream.models.store import ModelStore


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """The real models in the user's cache, fetched where they are missing; failing to get them fails the test."""
    store = ModelStore()
    fetch_all(store, wait_s=900)
    return store
