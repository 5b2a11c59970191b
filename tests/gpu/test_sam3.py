"""SAM 3's step on a GPU: CUDA graphs, no waiting, memory as computed, and what the CPU finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SIDE = 112
FRAMES = 14
CLOSE = 2e-3
"""Of logits whose mean size is about 2.5, in float32 without TF32."""


@pytest.fixture
def cuda(torch: Any) -> Any:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield torch.device("cuda", torch.cuda.current_device())
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def streamed(torch: Any, device: Any, *, graphs: bool, dtype: Any = None) -> list[Any]:
    """Masks of each frame of the script, on the host."""
    from stream.engines.sam3.graphs import runner_for
    from stream.engines.sam3.network import Network
    from stream.engines.sam3.stepping import Stepper
    from tests.sam3_scene import Ours, pictures, script
    from tests.tiny_sam3 import tiny_model

    dtype = dtype or torch.float32
    runner = runner_for(device, graphs=graphs)
    network = Network(tiny_model(0, side=SIDE), device=device, dtype=dtype, runner=runner)
    ours = Ours(Stepper(network, 6))
    deeds, made = script(SIDE, mask_side=network.shape.mask), []
    with runner.recording():
        for frame, picture in enumerate(pictures(FRAMES, SIDE)):
            now = [on(deed, device) for deed in deeds.get(frame, [])]
            found = ours.step(network.encode(picture[None].to(device, dtype)), frame, now)
            made.append(torch.stack([found[id_].mask.float().cpu() for id_ in sorted(found)]))
    return made


def on(deed: Any, device: Any) -> Any:
    """The deed with its mask on the device."""
    from dataclasses import replace

    if deed.given is None or deed.given.mask is None:
        return deed
    return replace(deed, given=replace(deed.given, mask=deed.given.mask.to(device)))


def test_it_finds_what_the_cpu_finds(torch: Any, cuda: Any) -> None:
    """In the first frames: later ones differ by roundings of stored memories."""
    for ours, theirs in zip(
        streamed(torch, cuda, graphs=False)[:6], streamed(torch, torch.device("cpu"), graphs=False)[:6], strict=True
    ):
        assert float((ours - theirs).abs().max()) <= CLOSE * 10


def test_graphs_replay_what_eager_calls_do(torch: Any, cuda: Any) -> None:
    for recorded, eager in zip(streamed(torch, cuda, graphs=True), streamed(torch, cuda, graphs=False), strict=True):
        equal = ((recorded > 0) == (eager > 0)).float().mean()
        assert float(equal) >= 0.999


def test_a_warm_step_neither_waits_nor_grows(torch: Any, cuda: Any) -> None:
    from stream.engines.sam3.graphs import runner_for
    from tests.bench.sam3_peers import Ours, build

    model = build("tiny", device=cuda, dtype=torch.bfloat16, side=SIDE)
    runner = runner_for(cuda)
    ours = Ours(model, 10, cameras=2, device=cuda, dtype=torch.bfloat16, runner=runner)
    ours.stepper.warm_up(2, objects=10)
    shown = torch.rand(2, 3, SIDE, SIDE, device=cuda).bfloat16()
    for frame in range(20):
        ours.step(shown, frame)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for frame in range(20, 60):
            ours.step(shown, frame)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == before


def test_64_objects_of_full_size_take_what_was_computed(torch: Any, cuda: Any) -> None:
    from transformers import Sam3VideoConfig

    from stream.engines.sam3.memory import MemoryBank
    from stream.engines.sam3.shape import Shape

    shape = Shape.of(Sam3VideoConfig())
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    bank = MemoryBank(shape, 64, device=cuda, dtype=torch.bfloat16)
    taken = torch.cuda.memory_allocated() - before
    assert bank.nbytes == shape.state_bytes(64, torch.bfloat16)
    assert bank.nbytes <= taken <= 0.6e9


def test_pictures_are_those_of_the_cpu(torch: Any, cuda: Any) -> None:
    from stream.engines.sam3.preprocess import Preprocessor
    from stream.types import Frame

    drawn = np.random.default_rng(0)
    frame = Frame(
        index=0, epoch=0, pts=0, rtp=0, captured_unix_us=None, received_s=0.0, decoded_s=0.0,
        y=drawn.integers(16, 236, (360, 640), np.uint8), uv=drawn.integers(16, 240, (180, 320, 2), np.uint8),
    )  # fmt: skip
    made = [
        Preprocessor(SIDE, device=device, dtype=torch.bfloat16)([frame]).float().cpu()
        for device in (cuda, torch.device("cpu"))
    ]
    assert float((made[0] - made[1]).abs().max()) <= 0.03
