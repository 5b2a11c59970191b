"""What a change of SAM 3's input side is made of: the same weights, the memory bank, and what is recorded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.graphs import Graphs
from stream.engines.sam3.memory import MemoryBank, Slot
from stream.engines.sam3.network import Network
from stream.engines.sam3.shape import Shape
from stream.types import Prompt, PromptKind, TrackUpdate
from tests.sam3_scene import pictures
from tests.sam3_shaped import SIDE, sees_one_thing
from tests.sam3_stock import LetterTokens
from tests.sam3_world import frame_of
from tests.tiny_sam3 import tiny_config, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
BOX = Prompt(1, PromptKind.BOX, box_xyxy_px=(40.0, 30.0, 280.0, 200.0))


def test_a_network_at_another_side_has_the_same_weights_and_gives_what_one_built_for_it_gives() -> None:
    network = Network(tiny_model(side=112), device=CPU, dtype=torch.float32)
    where = [parameter.data_ptr() for parameter in network._model.parameters()]
    before = network.encode(pictures(1, 112))
    other, built = network.at(56), Network(tiny_model(side=112), device=CPU, dtype=torch.float32, side=56)
    assert [parameter.data_ptr() for parameter in other._model.parameters()] == where
    assert [parameter.data_ptr() for parameter in network._model.parameters()] == where
    small = pictures(1, 56)
    for mine, right in zip(other.encode(small).tracker, built.encode(small).tracker, strict=True):
        assert torch.equal(mine, right)
    for now, then in zip(network.encode(pictures(1, 112)).tracker, before.tracker, strict=True):
        assert torch.equal(now, then), "the first one is as it was"


def bank(side: int, capacity: int = 4) -> MemoryBank:
    return MemoryBank(Shape.of(tiny_config(side)), capacity, device=CPU, dtype=torch.float32)


def plane(side: int) -> Tensor:
    """A ramp over the grid, which stretching keeps but for its ends."""
    at = (torch.arange(side) + 0.5) / side
    return at[:, None] + 2 * at[None]


def test_a_bank_is_stretched_in_place_down_and_up_again() -> None:
    kept = bank(112)
    slots = [kept.open() for _ in range(3)]
    kept.close(slots[1])
    address, nbytes = kept.memories.data_ptr(), kept.nbytes
    ramp, low = plane(kept.shape.grid), plane(kept.shape.mask)
    for slot in (slots[0], slots[2]):
        first = slot.index * kept._per_memory
        for row in range(first, first + kept._per_memory):
            kept.memories[row] = ((row + 1) * ramp).flatten()[:, None].to(torch.bfloat16)
        kept.logits[slot.index] = (slot.index + 1) * low
        kept.pointers[kept.newest(slot.index)] = slot.index + 5.0
    for side in (84, 56, 112):
        kept.resize(Shape.of(tiny_config(112), side))
        assert kept.memories.shape[1:] == (kept.shape.tokens, kept.shape.memory)
        assert (kept.memories.data_ptr(), kept.nbytes) == (address, nbytes)
        inner = slice(1, kept.shape.grid - 1)
        for slot in (slots[0], slots[2]):
            first = slot.index * kept._per_memory
            for row in (first, first + kept._per_memory - 1):
                made = kept.memories[row, :, 7].view(kept.shape.grid, -1).float() / (row + 1)
                assert (made - plane(kept.shape.grid))[inner, inner].abs().max() < 0.12
            assert kept.logits[slot.index].shape == (kept.shape.mask, kept.shape.mask)
            assert float(kept.pointers[kept.newest(slot.index), 0]) == slot.index + 5.0


def test_what_is_pinned_is_as_it_was_when_the_full_side_is_back() -> None:
    kept, drawn = bank(112), torch.Generator().manual_seed(1)
    full, slots = kept.shape, [kept.open() for _ in range(2)]

    def remember(slot: Slot, frame: int, *, pinned: bool) -> Tensor:
        place = kept.place(slot, frame, "pinned" if pinned else "rolling")
        kept.memories[place.memory_row] = torch.randn(kept.memories.shape[1:], generator=drawn).to(torch.bfloat16)
        return kept.memories[place.memory_row].clone()

    def recalled(slot: Slot, frame: int) -> Tensor:
        vouched = [one.frame for one in slot.vouched]
        return kept.memories[kept.recall(slot, 50).memory_rows[vouched.index(frame)]]

    originals = [remember(slot, 0, pinned=True) for slot in slots]
    rolled = remember(slots[0], 16, pinned=False)
    for side in (84, 56, 84, 56):
        kept.resize(Shape.of(tiny_config(112), side))
    lower = remember(slots[0], 32, pinned=True)
    once = bank(112)
    other = once.open()
    once.memories[once.place(other, 0, "pinned").memory_row] = originals[1]
    once.resize(kept.shape)
    assert torch.equal(recalled(slots[1], 0), once.memories[once.recall(other, 50).memory_rows[0]]), "stretched once"
    assert kept.resize(full) == slots
    assert all(torch.equal(recalled(slot, 0), original) for slot, original in zip(slots, originals, strict=True))
    assert not torch.equal(recalled(slots[0], 16), rolled)
    assert recalled(slots[0], 32).shape != lower.shape
    assert torch.isfinite(recalled(slots[0], 32).float()).all()
    kept.resize(Shape.of(tiny_config(112), 56))
    kept.close(slots[1])
    again = kept.open()
    assert again.index == slots[1].index
    remember(again, 0, pinned=True)
    assert kept.resize(full) == [slots[0]]
    assert not torch.equal(recalled(again, 0), originals[1]), "what was another object's does not come back"


class Recorded:
    """Records by running."""

    def record(self, function: object, inputs: tuple[Tensor, ...]) -> tuple[object, tuple[Tensor, ...]]:
        outputs = function(*inputs)  # type: ignore[operator]

        def replay() -> None:
            for kept, made in zip(outputs, function(*inputs), strict=True):  # type: ignore[operator]
                kept.copy_(made)

        return replay, outputs


@pytest.mark.parametrize("at_start", [True, False])
def test_calls_of_each_side_are_recorded_at_the_start_or_when_they_are_first_needed(at_start: bool) -> None:
    graphs = Graphs(Recorded(), buckets=(1, 2))  # type: ignore[arg-type]
    network = Network(sees_one_thing(), device=CPU, dtype=torch.float32, runner=graphs)
    engine = Sam3Engine.of(network, LetterTokens(), sides=(56,), capacity=2)
    engine.warm_up(1, all_sides=at_start)
    assert engine.parts.network.shape.side == SIDE
    before = len(graphs)
    tracker = engine.open_tracker()
    tracker.add_prompt(BOX)
    results = []
    for number in range(12):
        if number == 6:
            engine.make_do(engine.efforts[-1])
        results += engine.step([(tracker, frame_of(0, number))])
    assert (len(graphs) > before) is not at_start
    assert all(isinstance(result, TrackUpdate) and result.tracks for result in results)
    ids = [[track.id for track in result.tracks] for result in results if isinstance(result, TrackUpdate)]
    assert all(one == ids[0] for one in ids)
