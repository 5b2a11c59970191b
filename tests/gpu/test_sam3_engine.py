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


LOWER = (84, 56)


def engine_on(device: Any, *, graphs: bool = False) -> Any:
    from stream.engines.sam3.engine import Sam3Engine
    from stream.engines.sam3.graphs import runner_for
    from stream.engines.sam3.network import Network
    from tests.sam3_shaped import sees_one_thing
    from tests.sam3_stock import LetterTokens

    model, runner = sees_one_thing(), runner_for(device, graphs=graphs)
    network = Network(model, device=device, dtype=next(model.parameters()).dtype, runner=runner)
    return Sam3Engine.of(network, LetterTokens(), sides=LOWER, capacity=16)


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


def through_sides(engine: Any) -> list[TrackUpdate]:
    """One stream that is followed at each side in turn, at each twice."""
    from stream.relief import FULL

    tracker, made = engine.open_tracker(), []
    tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(160.0, 120.0),)))
    tracker.add_prompt(Prompt(2, PromptKind.BOX, box_xyxy_px=(40.0, 30.0, 280.0, 200.0)))
    for turn, effort in enumerate((FULL, *engine.efforts[-2:], FULL, *engine.efforts[-2:], FULL)):
        engine.make_do(effort)
        made += [updates[0] for updates in streamed(engine, range(6 * turn, 6 * turn + 6), [tracker])]
    return made


def test_smaller_sides_keep_what_is_followed_and_take_no_more_state(torch: Any) -> None:
    """With graphs, which read the memory at each side where they were recorded: as on the processor without any."""
    ours, theirs = engine_on(torch.device("cuda"), graphs=True), engine_on(torch.device("cpu"))
    ours.warm_up(1)
    state = ours.parts.stepper.nbytes
    followed, right = through_sides(ours), through_sides(theirs)
    for update, wanted in zip(followed, right, strict=True):
        assert [(track.id, track.state, track.mask) for track in update.tracks] == [
            (track.id, track.state, track.mask) for track in wanted.tracks
        ]
    assert len(followed[-1].tracks) == 2
    assert {track.mask.size[0] for update in followed for track in update.tracks if track.mask} == {32, 24, 16}
    assert ours.parts.stepper.nbytes == state
    assert ours.counters["change_side"] == 6


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
