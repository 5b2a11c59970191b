"""The stepper: batches change nothing, nothing waits for the device, and recorded calls keep their buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stream.engines.sam3.graphs import BUCKETS, Compiled, Eager, Graphs, runner_for, split
from stream.engines.sam3.network import Decoded, Features, Network, Query
from stream.engines.sam3.shape import Shape
from stream.engines.sam3.stepping import Asked, Given, Outcome, Stepper
from tests.sam3_scene import Deed, Ours, pictures, script, tensor_bytes
from tests.tiny_sam3 import tiny_config, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 112
CPU = torch.device("cpu")
EXACT = 1e-5
"""Of the mean size of the logits."""
SYNCHRONISING = {
    "_local_scalar_dense", "item", "is_nonzero", "equal", "allclose",  # a value
    "nonzero", "nonzero_numpy", "argwhere", "where.default", "masked_select", "_unique2",  # a size
    "resolve_neg",  # .tolist() and .numpy()
}  # fmt: skip


class NoWaiting(TorchDispatchMode):
    """Fails on what would make the host wait for a GPU to read a value or a size back."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        named = {name, func.__name__}
        selects = name in ("index", "index_put", "index_put_") and any(
            isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if named & SYNCHRONISING or selects:
            raise AssertionError(f"{func} would wait for the device")
        return func(*args, **(kwargs or {}))


class Rehearsal:
    """Records as CUDA graphs do: the call runs again on the very inputs that it was recorded with, must not wait, and
    must make results of the same shapes, which go where those of the first run are."""

    def record(
        self, function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]
    ) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
        addresses = [given.data_ptr() for given in inputs]
        outputs = tuple(made.clone() for made in function(*inputs))

        def replay() -> None:
            assert [given.data_ptr() for given in inputs] == addresses
            with NoWaiting():
                made = function(*inputs)
            assert [one.shape for one in made] == [one.shape for one in outputs]
            for kept, one in zip(outputs, made, strict=True):
                kept.copy_(one)

        return replay, outputs


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model(0, side=SIDE)


@pytest.fixture(scope="module")
def network(model: Any) -> Network:
    return Network(model, device=CPU, dtype=torch.float32)


def played(network: Network, frames: int, **stepper: Any) -> tuple[Ours, Features]:
    """A stream after some frames of the script, and the features of the frame that comes next."""
    ours = Ours(Stepper(network, 6, **stepper))
    deeds = script(SIDE, mask_side=network.shape.mask)
    shown = pictures(frames + 1, SIDE)
    for frame in range(frames):
        ours.step(network.encode(shown[frame : frame + 1]), frame, deeds.get(frame, []))
    return ours, network.encode(shown[frames:])


def assert_same(mine: Outcome, theirs: Outcome, rows: slice | list[int] = slice(None)) -> None:
    for name in ("masks", "scores", "pointers"):
        one, other = getattr(mine, name), getattr(theirs, name)[rows]
        assert one.shape == other.shape
        assert float((one - other).abs().max()) <= EXACT * max(1.0, float(other.abs().mean()))


def test_objects_in_one_batch_are_followed_as_one_by_one(network: Network) -> None:
    ours, features = played(network, 14)
    asked = ours.asked([1, 2, 3], 14)
    together = ours.stepper.propagate(features, asked)
    assert float((together.masks[0] - together.masks[1]).abs().max()) > 0.1
    for number, one in enumerate(asked):
        assert_same(ours.stepper.propagate(features, [one]), together, [number])
    backwards = ours.stepper.propagate(features, asked[::-1])
    assert_same(backwards, together, [2, 1, 0])


def test_four_cameras_in_one_step_are_four_steps(network: Network) -> None:
    stepper = Stepper(network, 8)
    cameras = [Ours(stepper) for _ in range(4)]
    shown = [pictures(5, SIDE, seed=number) for number in range(4)]
    deeds = {0: [Deed("start", 1, Given(points=((60.0, 40.0),), labels=(1,)))],
             2: [Deed("start", 2, Given(box_xyxy=(10.0, 20.0, 70.0, 80.0)))]}  # fmt: skip
    for frame in range(4):
        for camera, film in zip(cameras, shown, strict=True):
            camera.step(network.encode(film[frame : frame + 1]), frame, deeds.get(frame, []))
    features = network.encode(torch.stack([film[4] for film in shown]))
    asked = [one for number, camera in enumerate(cameras) for one in camera.asked([1, 2], 4, picture=number)]
    together = stepper.propagate(features, asked)
    for number, (camera, film) in enumerate(zip(cameras, shown, strict=True)):
        alone = stepper.propagate(network.encode(film[4:5]), camera.asked([1, 2], 4))
        assert_same(alone, together, slice(2 * number, 2 * number + 2))
    memory = [stepper.bank.place(one.slot, 4, "none").memory_row for one in asked]
    stepper.remember(features, asked, together.masks, together.scores, conditioning="none", from_prompt=False)
    written = stepper.bank.memories[memory].clone()
    for number, (camera, film) in enumerate(zip(cameras, shown, strict=True)):
        rows = slice(2 * number, 2 * number + 2)
        stepper.remember(
            network.encode(film[4:5]), camera.asked([1, 2], 4), together.masks[rows], together.scores[rows],
            conditioning="none", from_prompt=False,
        )  # fmt: skip
    torch.testing.assert_close(stepper.bank.memories[memory].float(), written.float(), atol=1e-2, rtol=2**-7)


def test_the_rings_wrap_changes_nothing(network: Network) -> None:
    """One that never comes round in this time gives exactly the same."""
    (short, features), (long, _) = played(network, 30), played(network, 30, ring=64)
    outcomes = [ours.stepper.propagate(features, ours.asked(list(ours.slots), 30)) for ours in (short, long)]
    assert torch.equal(outcomes[0].masks, outcomes[1].masks)
    assert torch.equal(outcomes[0].pointers, outcomes[1].pointers)


def test_recorded_and_padded_calls_give_the_same(model: Any, network: Network) -> None:
    """With every batch padded to a bucket, in buffers that stay where they are, and without waiting."""
    graphs = Graphs(Rehearsal())
    padded = Network(model, device=CPU, dtype=torch.float32, runner=graphs)
    plain, recorded = Ours(Stepper(network, 6)), Ours(Stepper(padded, 6))
    shown = pictures(12, SIDE)
    deeds = script(SIDE, mask_side=network.shape.mask)
    with graphs.recording():
        for frame in range(12):
            one = shown[frame : frame + 1]
            wanted = plain.step(network.encode(one), frame, deeds.get(frame, []))
            made = recorded.step(padded.encode(one), frame, deeds.get(frame, []))
            for id_, found in wanted.items():
                size = max(1.0, float(found.mask.abs().mean()))
                assert float((made[id_].mask - found.mask).abs().max()) <= EXACT * size
    assert graphs.replayed > 20
    assert graphs.eager == 0


def test_padding_is_written_where_nobody_looks(model: Any) -> None:
    graphs = Graphs(Rehearsal(), buckets=(4,))
    network = Network(model, device=CPU, dtype=torch.float32, runner=graphs)
    ours = Ours(Stepper(network, 6))
    start = [Deed("start", number, Given(points=((20.0 * number, 50.0),), labels=(1,))) for number in (1, 2, 3)]
    with graphs.recording():
        ours.step(network.encode(pictures(1, SIDE)), 0, start)
        other = ours.stepper.open()
        bank = ours.stepper.bank
        kept = [tensor.clone() for tensor in bank.tensors]
        features = network.encode(pictures(1, SIDE, seed=9))
        outcome = ours.stepper.propagate(features, ours.asked([1, 2, 3], 1))
    assert outcome.masks.shape == (3, network.shape.mask, network.shape.mask)
    assert torch.equal(bank.logits[other.index], kept[2][other.index])
    assert torch.equal(bank.memories, kept[0])
    changed = (bank.logits != kept[2]).flatten(1).any(1).nonzero().flatten().tolist()
    assert set(changed) == {ours.slots[id_].index for id_ in (1, 2, 3)} | {bank.scratch}


def test_a_whole_step_never_waits_for_the_device(network: Network) -> None:
    ours, features = played(network, 13)
    shown = pictures(1, SIDE, seed=8)
    concept = network.embed_text(torch.arange(32)[None], torch.ones(1, 32, dtype=torch.long))
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.3]])
    mask = torch.zeros(network.shape.mask, network.shape.mask)
    with NoWaiting():
        features = network.encode(shown)
        asked = ours.asked([1, 2, 3], 13)
        outcome = ours.stepper.propagate(features, asked)
        network.detect(features, [Query(0, concept), Query(0, concept, boxes, torch.tensor([1]))])
        click = [Given(points=((30.0, 40.0),), labels=(0,))]
        ours.stepper.refine(features, asked[:1], click)
        slots = [ours.stepper.open() for _ in range(2)]
        new = [Asked(slot, 0, 13) for slot in slots]
        ours.stepper.start(features, new, [Given(mask=mask), *click])
        ours.stepper.remember(features, asked, outcome.masks, outcome.scores, conditioning="none", from_prompt=False)


def test_the_guard_notices_waiting() -> None:
    waits: list[Callable[[Tensor], object]] = [
        lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: torch.where(x > 0), lambda x: bool(x[0] > 0),
        lambda x: x.tolist(), lambda x: x.nonzero(), lambda x: x.unique(),
    ]  # fmt: skip
    for wait in waits:
        with pytest.raises(AssertionError, match="would wait"), NoWaiting(), torch.inference_mode():
            wait(torch.ones(3))


def test_a_correction_uses_memory_and_the_mask_before_it(network: Network) -> None:
    ours, features = played(network, 10)
    asked, click = ours.asked([1], 10), [Given(points=((30.0, 40.0),), labels=(0,))]
    ours.stepper.propagate(features, asked)
    with_both = ours.stepper.refine(features, asked, click)
    bank, index = ours.stepper.bank, asked[0].slot.index
    bank.logits[index] = 0.0
    without_mask = ours.stepper.refine(features, asked, click)
    bank.logits[index] = with_both.masks[0]
    bank.memories[bank.recall(asked[0].slot, 10).memory_rows[0]] = 0
    without_memory = ours.stepper.refine(features, asked, click)
    for other in (without_mask, without_memory):
        assert float((with_both.masks - other.masks).abs().max()) > 0.01


def test_what_is_given_is_checked() -> None:
    with pytest.raises(ValueError, match="labels"):
        Given(points=((1.0, 1.0),))
    with pytest.raises(ValueError, match="mask"):
        Given()
    with pytest.raises(ValueError, match="mask"):
        Given(box_xyxy=(0, 0, 1, 1), mask=torch.ones(4, 4))
    both = Given(points=((5.0, 6.0),), labels=(0,), box_xyxy=(1.0, 2.0, 3.0, 4.0))
    assert both.marks == (((1.0, 2.0), 2), ((3.0, 4.0), 3), ((5.0, 6.0), 0))


def test_a_step_without_objects_is_empty(network: Network) -> None:
    outcome = Stepper(network, 2).propagate(network.encode(pictures(1, SIDE)), [])
    assert outcome.masks.shape == (0, network.shape.mask, network.shape.mask)
    assert outcome.scores.shape == (0,)


@pytest.mark.parametrize(
    ("count", "batches"),
    [
        (0, []),
        (1, [(1, 1)]),
        (3, [(2, 2), (1, 1)]),
        (5, [(4, 4), (1, 1)]),
        (7, [(7, 8)]),
        (10, [(8, 8), (2, 2)]),
        (12, [(8, 8), (4, 4)]),
        (13, [(13, 16)]),
        (15, [(15, 16)]),
        (64, [(32, 32), (32, 32)]),
    ],
)
def test_batches_are_cut_into_buckets_with_little_padding(count: int, batches: list[tuple[int, int]]) -> None:
    assert split(count, BUCKETS) == batches
    assert split(count, ()) == ([(count, count)] if count else [])


def test_warming_up_records_what_a_full_stream_needs(model: Any) -> None:
    graphs = Graphs(Rehearsal(), buckets=(1, 2))
    network = Network(model, device=CPU, dtype=torch.float32, runner=graphs)
    stepper = Stepper(network, 2)
    told: list[tuple[int, int, str]] = []
    concept = network.embed_text(torch.arange(32)[None], torch.ones(1, 32, dtype=torch.long))
    stepper.warm_up(1, concept=concept, progress=lambda *what: told.append(what))
    # One for pictures, four lengths of memory and one encoder for each bucket, one for the detector.
    assert len(graphs) == 1 + 2 * (4 + 1) + 1
    assert [done for done, _, _ in told] == list(range(13))
    assert told[-1][0] == told[-1][1] == 12
    ours = Ours(stepper)
    shown = pictures(24, SIDE)
    for frame in range(24):
        start = [Deed("start", 1, Given(points=((30.0, 40.0),), labels=(1,)))] if frame == 0 else []
        graphs.eager = 0
        ours.step(network.encode(shown[frame : frame + 1]), frame, start)
    assert graphs.eager == 0


def test_a_gpu_gets_graphs_and_compiling_is_a_choice() -> None:
    assert isinstance(runner_for(CPU), Eager)
    compiled = runner_for(CPU, compiled=True)
    assert isinstance(compiled, Compiled)
    assert compiled.buckets == ()


@pytest.mark.soak
def test_whole_calls_compile_without_breaks() -> None:
    """Traced as for torch.compile, but run as they are: what generates code is not under test."""
    side, found = 56, []
    for runner in (Eager(), Compiled(Eager(), backend="aot_eager", fullgraph=True)):
        network = Network(tiny_model(0, side=side), device=CPU, dtype=torch.float32, runner=runner, narrow=False)
        ours, deeds = Ours(Stepper(network, 3)), script(side, mask_side=network.shape.mask)
        for frame, picture in enumerate(pictures(3, side)):
            features = network.encode(picture[None])
            made = ours.step(features, frame, deeds.get(frame, []))
        concept = network.embed_text(torch.arange(32)[None], torch.ones(1, 32, dtype=torch.long))
        found.append((made[1].mask, network.detect(features, [Query(0, concept)]).masks))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, atol=EXACT, rtol=EXACT)


class Stub:
    """A network without modules: only what the stepper keeps is real."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.device, self.dtype, self.run = shape, CPU, torch.float32, Eager()

    def put(self, host: Tensor) -> Tensor:
        return host

    def attend(self, features: Any, pictures: Tensor, *memory: Tensor) -> Tensor:
        return torch.zeros(len(pictures), 1)

    def without_memory(self, features: Any, pictures: Tensor) -> Tensor:
        return torch.zeros(len(pictures), 1)

    def decode(self, features: Any, pictures: Tensor, *prompt: Any) -> Decoded:
        count, shape = len(pictures), self.shape
        return Decoded(torch.ones(count, shape.mask, shape.mask), torch.ones(count), torch.ones(count, shape.hidden))

    def remember(self, features: Any, pictures: Tensor, *found: Tensor) -> Tensor:
        return torch.ones(len(pictures), self.shape.tokens, self.shape.memory, dtype=torch.bfloat16)


def wear(ours: Ours, features: Callable[[int], Features], steps: int, settled: int) -> None:
    """Objects come, are corrected and vouched for, and go; the bytes of all tensors there are stay the same."""
    bank = ours.stepper.bank
    addresses, alive = [tensor.data_ptr() for tensor in bank.tensors], 0
    click = Given(points=((9.0, 12.0),), labels=(1,))
    for frame in range(steps):
        deeds = []
        if frame % 53 == 0:
            deeds += [Deed("remove", number) for number in list(ours.slots) if number % 3 == frame // 53 % 3]
            kept = set(ours.slots) - {deed.id for deed in deeds}
            new = [number + 3 * (frame // 53) for number in range(3)][: 3 - len(kept)]
            deeds += [Deed("start", number, click) for number in new]
        elif frame % 16 == 0 and ours.slots:
            deeds.append(Deed("recondition", min(ours.slots)))
        elif frame % 41 == 0 and ours.slots:
            deeds.append(Deed("refine", max(ours.slots), click))
        ours.step(features(frame), frame, deeds)
        if frame == settled:
            alive = tensor_bytes()
    assert tensor_bytes() == alive
    assert [tensor.data_ptr() for tensor in bank.tensors] == addresses
    assert bank.used == len(ours.slots) <= 3


def worn_stub(steps: int) -> None:
    stepper = Stepper(Stub(Shape.of(tiny_config(56))), 3)  # type: ignore[arg-type]
    nothing = torch.zeros(1)
    still = Features(nothing, (nothing, nothing, nothing))
    wear(Ours(stepper), lambda _: still, steps, settled=200)


def test_state_is_flat_over_2000_steps_without_modules() -> None:
    worn_stub(2_001)


@pytest.mark.soak
def test_state_is_flat_over_100000_steps_without_modules() -> None:
    worn_stub(100_001)


def worn_model(side: int, steps: int) -> None:
    network = Network(tiny_model(0, side=side), device=CPU, dtype=torch.float32)
    shown = pictures(16, side)
    wear(Ours(Stepper(network, 3)), lambda frame: network.encode(shown[frame % 16, None]), steps, settled=100)


def test_state_is_flat_over_200_steps_of_the_tiny_model() -> None:
    worn_model(56, 201)


@pytest.mark.soak
def test_state_is_flat_over_2000_steps_of_the_tiny_model() -> None:
    worn_model(SIDE, 2_001)
