"""The sam3 engine on a GPU: what it is on the CPU, and one wait a step."""

from __future__ import annotations

from typing import Any
from unittest import mock

from stream.types import Point, Prompt, PromptKind, TrackUpdate

FRAMES = 12


def prompts(size: tuple[int, int]) -> list[Prompt]:
    width, height = size
    return [
        Prompt(1, PromptKind.TEXT, text="cup, dog"),
        Prompt(2, PromptKind.POINTS, points=(Point(0.5 * width, 0.5 * height),)),
        Prompt(3, PromptKind.BOX, box_xyxy_px=(0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height)),
        Prompt(4, PromptKind.EXEMPLAR, box_xyxy_px=(0.1 * width, 0.1 * height, 0.9 * width, 0.9 * height)),
    ]


def engine_on(device: Any) -> Any:
    from stream.engines.sam3.engine import Sam3Engine
    from stream.engines.sam3.network import Network
    from tests.sam3_shaped import sees_one_thing
    from tests.sam3_stock import LetterTokens

    model = sees_one_thing()
    return Sam3Engine.of(Network(model, device=device, dtype=next(model.parameters()).dtype), LetterTokens())


def streamed(engine: Any, frames: range, trackers: list[Any]) -> list[list[TrackUpdate]]:
    from tests.sam3_world import frame_of

    made = []
    for number in frames:
        updates = engine.step([(tracker, frame_of(stream, number)) for stream, tracker in enumerate(trackers)])
        assert all(isinstance(update, TrackUpdate) for update in updates), updates
        made.append(updates)
    return made


def begun(device: Any) -> tuple[Any, list[Any]]:
    """An engine and two streams, with words from the first frame and prompts by place from the second on."""
    from tests.sam3_world import SIZE

    engine = engine_on(device)
    trackers = [engine.open_tracker() for _ in range(2)]
    words, *places = prompts(SIZE)
    for tracker in trackers:
        tracker.add_prompt(words)
    streamed(engine, range(1), trackers)
    for tracker in trackers:
        for prompt in places:
            tracker.add_prompt(prompt)
    return engine, trackers


def followed(device: Any) -> list[list[TrackUpdate]]:
    engine, trackers = begun(device)
    return streamed(engine, range(1, FRAMES), trackers)


def test_it_follows_what_it_follows_on_the_cpu(torch: Any) -> None:
    """Masks of 32 pixels a side: they lie in the corner of what the kernel takes."""
    ours, theirs = (followed(torch.device(device)) for device in ("cuda", "cpu"))
    for mine, other in zip(ours, theirs, strict=True):
        for update, wanted in zip(mine, other, strict=True):
            assert [(track.id, track.state, track.box_xyxy_px, track.mask) for track in update.tracks] == [
                (track.id, track.state, track.box_xyxy_px, track.mask) for track in wanted.tracks
            ]
    assert len(ours[-1][0].tracks) >= 4


def test_a_step_waits_once(torch: Any) -> None:
    from stream.engines.sam3.masks import Digest

    engine, trackers = begun(torch.device("cuda"))
    streamed(engine, range(1, 30), trackers)
    real, reads = Digest.read, []

    def waits(digest: Digest) -> Any:
        torch.cuda.set_sync_debug_mode("default")
        reads.append(digest)
        try:
            return real(digest)
        finally:
            torch.cuda.set_sync_debug_mode("error")

    with mock.patch.object(Digest, "read", waits):
        torch.cuda.set_sync_debug_mode("error")
        try:
            streamed(engine, range(30, 50), trackers)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len(reads) == 20
