"""The memory bank: which frames are recalled, slots that are used again, and that it never grows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Sam3VideoConfig

from stream.engines.sam3.memory import MemoryBank, Slot, batches_of
from stream.engines.sam3.shape import CONDITIONING, Shape
from stream.errors import LimitReached
from tests.tiny_sam3 import tiny_config

SHAPE = Shape.of(tiny_config(56))
CPU = torch.device("cpu")


def bank(capacity: int = 2, ring: int | None = None) -> MemoryBank:
    return MemoryBank(SHAPE, capacity, device=CPU, dtype=torch.float32, ring=ring)


def frames(kept: MemoryBank, slot: Slot, now: int) -> list[int]:
    """The frames whose memory a step on `now` would read, by what was written into the rows."""
    return [int(kept.memories[row, 0, 0]) for row in kept.recall(slot, now).memory_rows]


def store(kept: MemoryBank, slot: Slot, frame: int, conditioning: str = "none") -> None:
    place = kept.place(slot, frame, conditioning)  # type: ignore[arg-type]
    kept.memories[place.memory_row] = frame
    kept.pointers[place.pointer_row] = frame


def test_the_last_six_memories_and_fifteen_pointers_are_recalled() -> None:
    kept = bank()
    slot = kept.open()
    store(kept, slot, 0, "pinned")
    for frame in range(1, 40):
        store(kept, slot, frame)
    recall = kept.recall(slot, 40)
    assert frames(kept, slot, 40) == [0, 34, 35, 36, 37, 38, 39]
    assert recall.offsets == (0, 6, 5, 4, 3, 2, 1)
    assert recall.ages == (40, *range(1, 16))
    assert [int(kept.pointers[row, 0]) for row in recall.pointer_rows] == [0, *range(39, 24, -1)]


def test_frames_that_were_not_processed_leave_a_gap() -> None:
    kept = bank()
    slot = kept.open()
    for frame, conditioning in ((10, "pinned"), (11, "none"), (14, "none")):
        store(kept, slot, frame, conditioning)
    assert kept.recall(slot, 16).offsets == (0, 5, 2)
    assert kept.recall(slot, 18).offsets == (0, 4)
    assert kept.recall(slot, 18).ages == (8, 4, 7)


def test_one_frame_is_pinned_and_three_roll() -> None:
    kept = bank()
    slot = kept.open()
    store(kept, slot, 0, "pinned")
    for frame in (10, 20, 30, 40, 50):
        store(kept, slot, frame, "rolling")
    assert frames(kept, slot, 1000) == [0, 30, 40, 50]


def test_a_new_pin_makes_the_old_one_roll() -> None:
    kept = bank()
    slot = kept.open()
    store(kept, slot, 0, "pinned")
    for frame in (10, 20):
        store(kept, slot, frame, "rolling")
    store(kept, slot, 25, "pinned")
    assert frames(kept, slot, 1000) == [0, 10, 20, 25]
    store(kept, slot, 30, "rolling")
    assert frames(kept, slot, 1000) == [10, 20, 25, 30]
    for frame in (40, 50, 60):
        store(kept, slot, frame, "rolling")
    assert frames(kept, slot, 1000) == [25, 40, 50, 60]


def test_a_frame_stored_again_is_replaced() -> None:
    kept = bank()
    slot = kept.open()
    store(kept, slot, 0, "pinned")
    store(kept, slot, 1)
    store(kept, slot, 1, "rolling")
    assert kept.recall(slot, 2).offsets == (0, 0)
    assert kept.recall(slot, 2).ages == (2, 1)
    store(kept, slot, 1)
    assert kept.recall(slot, 2).offsets == (0, 0)


def test_what_was_vouched_for_outlives_a_fault() -> None:
    kept = bank()
    slot = kept.open()
    store(kept, slot, 0, "pinned")
    for frame in range(1, 12):
        store(kept, slot, frame, "rolling" if frame in (8, 11) else "none")
    assert kept.forget_since(slot, 11)
    assert frames(kept, slot, 12) == [0, 8]
    store(kept, slot, 12)
    assert frames(kept, slot, 13) == [0, 8, 12]
    fresh = kept.open()
    store(kept, fresh, 3, "pinned")
    assert not kept.forget_since(fresh, 3)


def test_a_longer_ring_recalls_the_same_frames() -> None:
    short, long = bank(), bank(ring=50)
    slots = short.open(), long.open()
    for frame in range(30):
        for kept, slot in zip((short, long), slots, strict=True):
            store(kept, slot, frame, "pinned" if frame == 0 else "none")
    assert frames(short, slots[0], 30) == frames(long, slots[1], 30)


def test_slots_are_used_again_and_start_empty() -> None:
    kept = bank(2)
    first, second = kept.open(), kept.open()
    with pytest.raises(LimitReached, match="2 objects"):
        kept.open()
    store(kept, first, 0, "pinned")
    kept.close(first)
    kept.close(first)
    assert kept.used == 1
    again = kept.open()
    assert again.index == first.index != second.index
    with pytest.raises(ValueError, match="never remembered"):
        kept.recall(again, 1)
    with pytest.raises(ValueError, match="closed"):
        kept.recall(first, 1)


def test_objects_that_remember_equally_much_are_batched() -> None:
    kept = bank(3)
    slots = [kept.open() for _ in range(3)]
    for number, slot in enumerate(slots):
        store(kept, slot, 0, "pinned")
        if number == 1:
            store(kept, slot, 1)
    recalls = [kept.recall(slot, 2) for slot in slots]
    assert batches_of(recalls) == {(1, 1): [0, 2], (2, 2): [1]}


def test_64_objects_of_the_full_size_need_less_than_0_6_gb() -> None:
    shape = Shape.of(Sam3VideoConfig())
    full = MemoryBank(shape, 64, device=torch.device("meta"), dtype=torch.bfloat16)
    assert full.nbytes == shape.state_bytes(64, torch.bfloat16) == 442_757_120
    assert full.nbytes <= 0.6e9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["none", "none", "pinned", "rolling", "close"])), max_size=60)
)
def test_rows_of_different_slots_and_places_never_meet(deeds: list[tuple[int, str]]) -> None:
    """Whatever happens, each object recalls at most 4 + 6 frames, none twice, all its own and all in the past."""
    kept = bank(3)
    slots = [kept.open() for _ in range(3)]
    for frame, (number, deed) in enumerate(deeds):
        if deed == "close":
            kept.close(slots[number])
            slots[number] = kept.open()
        else:
            store(kept, slots[number], frame, deed)
        seen: set[int] = set()
        for slot in slots:
            recent = [at for at in slot.memories if at is not None and at > frame - SHAPE.recent]
            if not recent and not slot.vouched:
                continue
            recall = kept.recall(slot, frame + 1)
            assert len(recall.memory_rows) <= CONDITIONING + SHAPE.recent
            assert len(recall.pointer_rows) <= CONDITIONING + SHAPE.pointers
            assert len(set(recall.memory_rows)) == len(recall.memory_rows)
            assert not seen & set(recall.memory_rows)
            seen |= set(recall.memory_rows)
            held = [int(kept.pointers[row, 0]) for row in recall.pointer_rows]
            assert held == [frame + 1 - age for age in recall.ages]


def wear(steps: int) -> None:
    """Objects come and go; what is read and written stays within what was allocated."""
    kept = bank(4)
    before, addresses = kept.nbytes, [tensor.data_ptr() for tensor in kept.tensors]
    slots = {number: kept.open() for number in range(3)}
    for slot in slots.values():
        kept.place(slot, 0, "pinned")
    for frame in range(1, steps):
        if frame % 37 == 0:
            number = frame // 37 % 3
            kept.close(slots[number])
            slots[number] = kept.open()
            kept.place(slots[number], frame, "pinned")
        for number, slot in slots.items():
            conditioning = "pinned" if frame % 101 == number else "rolling" if frame % 16 == number else "none"
            kept.place(slot, frame, conditioning)  # type: ignore[arg-type]
            recall = kept.recall(slot, frame + 1)
            assert max(recall.memory_rows) < len(kept.memories)
            assert len(slot.vouched) <= CONDITIONING
    assert kept.nbytes == before
    assert [tensor.data_ptr() for tensor in kept.tensors] == addresses
    assert kept.used == 3


def test_state_is_flat_over_2000_steps() -> None:
    wear(2_000)


@pytest.mark.soak
def test_state_is_flat_over_100000_steps() -> None:
    wear(100_000)
