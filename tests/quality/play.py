"""Plays a scene to an engine on the virtual clock, as a session would, and records what it said."""

from __future__ import annotations

from dataclasses import dataclass

from stream.engines.base import Engine, StepError, Tracker
from stream.errors import OnlookerError
from stream.types import Frame, Point, Prompt, PromptKind, Track, TrackState, TrackUpdate
from tests.quality.metrics import Record, Seen, compare, decode
from tests.quality.paths import HEIGHT, WIDTH
from tests.quality.scenes import Ask, Scene, Truth, box_of, inner_point

SHOWN = (TrackState.LIVE, TrackState.TENTATIVE)


@dataclass(frozen=True, slots=True)
class Played:
    """`owners`: prompt id → the ask it came from. `refused`: what the engine said to asks it did not take."""

    scene: Scene
    record: Record
    clicks: tuple[Click, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Click:
    """What became of one ask: its first mask within a second, and how much of that lay on the object asked for."""

    ask: Ask
    first_index: int | None
    inside: float
    iou: float

    @property
    def hit(self) -> bool:
        return self.inside >= 0.5


def play(engine: Engine, scene: Scene) -> Played:
    """Feed every frame and prompt of `scene` to a new tracker of `engine`. Raises what a step failed with."""
    tracker = engine.open_tracker()
    run = _Run(scene, tracker)
    try:
        for k in range(scene.frames):
            frame, truth = scene.at(k)
            run.prompts(k, frame, truth)
            run.note(k, truth, _step(engine, tracker, frame))
    finally:
        tracker.close()
    return Played(scene, run.record, tuple(run.click(i) for i in range(len(scene.asks))), tuple(run.refused))


def _step(engine: Engine, tracker: Tracker, frame: Frame) -> TrackUpdate:
    result = engine.step([(tracker, frame)])[0]
    if isinstance(result, StepError):
        raise result.error
    return result


def prompt_of(scene: Scene, number: int, ask: Ask, frame: Frame, truth: Truth) -> Prompt:
    """What the user means by `ask`, made on the frame that he sees."""
    mover = scene.mover(ask.identity)
    if ask.kind == "text":
        return Prompt(number, PromptKind.TEXT, text=mover.label, frame=frame.ref)
    mask = truth.masks[ask.identity]
    if ask.kind == "box":
        return Prompt(number, PromptKind.BOX, box_xyxy_px=box_of(mask), frame=frame.ref)
    return Prompt(number, PromptKind.POINTS, points=(Point(*inner_point(mask)),), frame=frame.ref)


class _Run:
    """One scene under way. Prompt `k + 1` is the scene's ask `k`."""

    def __init__(self, scene: Scene, tracker: Tracker) -> None:
        self.scene = scene
        self.tracker = tracker
        self.record = Record({})
        self.refused: list[str] = []
        self._asked: dict[int, Prompt] = {}
        self._first: dict[int, tuple[int, float, float]] = {}
        for ask in scene.asks:
            self.record.heard.setdefault(ask.identity, ask.heard)

    def prompts(self, k: int, frame: Frame, truth: Truth) -> None:
        """Make the prompts whose frame this is, and hand over and take back those whose time has come."""
        for number, ask in enumerate(self.scene.asks, start=1):
            if ask.seen == k:
                self._asked[number] = prompt_of(self.scene, number, ask, frame, truth)
            if ask.heard == k:
                try:
                    self.tracker.add_prompt(self._asked[number])
                except OnlookerError as error:
                    self.refused.append(f"prompt {number} ({ask.kind}) at frame {k}: {error.code}")
            if ask.forget == k:
                self.tracker.remove_prompt(number)

    def note(self, k: int, truth: Truth, update: TrackUpdate) -> None:
        """Record what the engine said of frame `k`."""
        assert update.index == k, f"the update of frame {update.index} came for frame {k}"
        shown = [t for t in update.tracks if t.state in SHOWN and t.mask is not None]
        masks = {t.id: decode(t.mask, HEIGHT, WIDTH) for t in shown if t.mask is not None}
        owner = {t.id: self._owner(t) for t in shown}
        seen = compare(k, truth.masks, truth.visible, masks, {t: i for t, i in owner.items() if i is not None})
        self.record.frames.append(seen)
        self._note_clicks(k, seen, shown)

    def _owner(self, track: Track) -> int | None:
        """The identity that the track's prompt asked for."""
        if track.prompt_id is None or not 0 < track.prompt_id <= len(self.scene.asks):
            return None
        return self.scene.asks[track.prompt_id - 1].identity

    def _note_clicks(self, k: int, seen: Seen, shown: list[Track]) -> None:
        for track in shown:
            number = track.prompt_id
            if number is None or number in self._first or track.id not in seen.shown:
                continue
            ask = self.scene.asks[number - 1]
            if k <= ask.heard + 30:
                pair = ask.identity, track.id
                self._first[number] = k, seen.inside.get(pair, 0.0), seen.ious.get(pair, 0.0)

    def click(self, i: int) -> Click:
        index, inside, iou = self._first.get(i + 1, (None, 0.0, 0.0))
        return Click(self.scene.asks[i], index, inside, iou)
