"""What `/health` says of the event store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.recording import StoreState
from stream.errors import StoreError
from web.health import store_check
from web.state import State


def check(*, error: StoreError | None = None, lost: int = 0, losing: int = 0) -> dict[str, Any]:
    kept = StoreState("onlooker.db", error, lost, losing, 0)
    state = SimpleNamespace(recording=SimpleNamespace(state=lambda: kept))
    return store_check(cast(State, state))


@pytest.mark.parametrize(
    ("how", "ok", "message"),
    [
        ({}, True, "onlooker.db"),
        ({"error": StoreError("The disk is full.")}, False, "The disk is full."),
        ({"lost": 3, "losing": 3}, False, "3 facts could not be stored since the start"),
        ({"lost": 3}, True, "onlooker.db; 3 facts could not be stored since the start"),
    ],
    ids=["well", "a fault", "losing", "well again"],
)
def test_the_store_is_well_again_after_the_next_write(how: dict[str, Any], ok: bool, message: str) -> None:
    found = check(**how)
    assert (found["ok"], found["message"]) == (ok, message)
