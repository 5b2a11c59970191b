"""What SAM 3 needs of a card, computed before anything is loaded, and the settings that decide it."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam3VideoConfig

from stream.config import EngineConfig, load_config
from stream.engines.sam3.shape import Shape
from stream.engines.sam3.weights import check_memory, choose_dtype
from stream.errors import BadInput
from stream.models.sam3 import NoSam3
from stream.models.sam3_memory import GROUPS, ITEM_BYTES, OBJECTS, PICTURES, SIDES, Room, need, precision, state_bytes

GB = 10**9


def test_the_state_is_as_large_as_the_engine_makes_it() -> None:
    for side in SIDES:
        for dtype in (torch.bfloat16, torch.float32):
            shape = Shape.of(Sam3VideoConfig(), side)
            assert state_bytes(side, dtype.itemsize) == shape.state_bytes(OBJECTS, dtype)
    assert state_bytes(1008, 2) <= 0.6 * GB


def test_too_little_memory_says_how_much_and_what_would_fit() -> None:
    with pytest.raises(NoSam3, match=r"4\.0 GB free; SAM 3 at 1008 px needs 4\.") as caught:
        check_memory(dtype=torch.bfloat16, side=1008, free_bytes=4 * GB)
    assert "--sam3-side 672" in caught.value.action
    with pytest.raises(NoSam3) as caught:
        check_memory(dtype=torch.bfloat16, side=1008, free_bytes=2 * GB)
    assert "--sam3-side" not in caught.value.action
    assert "--engine light" in caught.value.action


def test_room_grows_with_the_card_and_shrinks_with_the_side() -> None:
    rooms = [check_memory(dtype=torch.bfloat16, side=1008, free_bytes=free * GB) for free in (5, 7, 11, 15, 78)]
    assert [room.objects for room in rooms] == sorted(room.objects for room in rooms)
    assert rooms[-1] == Room(OBJECTS, PICTURES)
    assert all(room.objects in (*GROUPS, OBJECTS) for room in rooms)
    assert need(672, 2).total_bytes() < need(1008, 2).total_bytes() < need(1008, 4).total_bytes()


def test_cameras_take_room_from_objects_and_at_last_take_turns() -> None:
    needed = need(1008, 2)
    free = needed.total_bytes(16)
    assert needed.room(free) == Room(16, 1)
    assert needed.room(free, cameras=2) == Room(8, 4)
    assert needed.total_bytes(8, pictures=4) <= free < needed.total_bytes(16, pictures=2)
    scarce = needed.total_bytes(4, pictures=2)
    assert needed.room(scarce, cameras=9) == Room(4, 2)
    assert needed.room(needed.total_bytes() - 1) is None
    assert needed.room(80 * GB, cameras=9) == Room(OBJECTS, PICTURES)


def test_numbers_are_the_narrowest_that_the_card_is_fast_with() -> None:
    assert [precision(card) for card in ((9, 0), (8, 0), (7, 5), (6, 1))] == [
        "bfloat16", "bfloat16", "float16", "float32",
    ]  # fmt: skip
    assert all(getattr(torch, name).itemsize == size for name, size in ITEM_BYTES.items())


@pytest.mark.parametrize(
    ("units", "chosen"),
    [
        ({}, torch.float32),
        ({"avx512_bf16": False, "avx512_f": True}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
    ],
)
def test_a_processor_computes_in_bfloat16_where_it_has_units_for_it(
    units: dict[str, bool], chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert choose_dtype(torch.device("cpu")) == chosen


def test_the_configuration_says_when_sam3_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not EngineConfig().asks_for_sam3
    assert EngineConfig(name="sam3").asks_for_sam3
    assert EngineConfig(sam3="facebook/sam3").asks_for_sam3
    assert not EngineConfig(name="light", sam3="facebook/sam3").asks_for_sam3
    monkeypatch.setenv("ONLOOKER_ENGINE__SAM3_SIDE", "672")
    assert load_config().engine.sam3_side == 672
    with pytest.raises(BadInput, match="sam3_side"):
        load_config({"engine": {"sam3_side": 700}})
