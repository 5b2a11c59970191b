"""The tracker of one stream: prompts in, a `TrackUpdate` for every picture out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from stream.engines import places
from stream.engines.grid import Grid, picture_of
from stream.engines.light import concepts, prompts
from stream.engines.light.background import Background
from stream.engines.light.concepts import Concepts
from stream.engines.light.effort import tuned
from stream.engines.light.fallback import MOVING, MovingThings
from stream.engines.light.prompts import Request
from stream.engines.light.scene import Scene
from stream.engines.light.sight import Ask, Sight, View
from stream.engines.light.tracks import Object
from stream.engines.light.tuning import Tuning
from stream.engines.light.worker import Lane
from stream.engines.mediaclock import MediaClock
from stream.errors import BadInput, NotFound
from stream.relief import FULL, Effort
from stream.stages import StageClock
from stream.types import Frame, Prompt, PromptChange, PromptKind, PromptState, TrackUpdate


@dataclass(frozen=True, slots=True)
class Eyes:
    """What an engine can see with at present; replaced when models arrive."""

    sight: Sight
    detector: bool
    effort: Effort = FULL


class LightTracker:
    """Implements `stream.engines.base.Tracker`; all calls on the engine thread."""

    def __init__(
        self, eyes: Callable[[], Eyes], lane: Lane, tuning: Tuning, first_track_id: int = 1,
        stages: StageClock | None = None,
    ) -> None:  # fmt: skip
        self._stages = stages or StageClock()
        self._first_track_id = first_track_id
        self._eyes = eyes
        self._lane = lane
        self._tuning = tuning
        self._scene: Scene | None = None
        self._background: Background | None = None
        self._concepts: dict[int, Concepts] = {}
        self._early: list[Prompt] = []
        """Prompts about the newest picture that came before there was one."""
        self._moving: MovingThings | None = None
        self._moving_s = -1e9
        self._last: Frame | None = None
        self._clock = MediaClock()
        self._tick = 0
        self._gone: list[Object] = []
        self._closed = False

    @property
    def busy(self) -> bool:
        return self._background is not None and self._background.waiting

    # --- prompts

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        scene = self._scene
        prompts.check(prompt, scene.grid if scene else None)
        if prompt.track_id is not None:
            self._require(prompt)
        if prompt.kind is PromptKind.TEXT:
            read = concepts.read(prompt.text or "", detector=self._eyes().detector)
            self._concepts[prompt.id] = read
            if self._background is not None:
                self._background.naming.detect_soon()
                self._background.schedule(self._tick)
            return PromptChange(prompt.id, PromptState.ACTIVE, read.message)
        if scene is None or self._background is None or not len(scene.history):
            self._early.append(prompt)
        else:
            self._background.ask(self._request(prompt, scene))
            self._background.schedule(self._tick)
        return PromptChange(prompt.id, PromptState.PENDING)

    def _require(self, prompt: Prompt) -> None:
        thing = self._scene.objects.get(prompt.track_id or 0) if self._scene else None
        if thing is None or thing.hidden_s is not None:
            raise BadInput(
                f"There is no track {prompt.track_id}.", code="unknown_track", action="Pick one that is there."
            )
        if prompt.kind is PromptKind.TEXT:
            raise BadInput("Words cannot refine a track.", code="unsupported_prompt", action="Use clicks or a box.")

    def _request(self, prompt: Prompt, scene: Scene) -> Request:
        """Raises `FrameTooOld`, or `BadInput` for an unreadable mask."""
        moment = places.moment_of(prompt, scene.history)
        ask = prompts.to_ask(prompt, scene.grid)
        if prompt.track_id is not None:
            if moment is not None:
                ask = replace(ask, points=places.carry_points(ask.points, moment, scene.history, scene.grid))
                if ask.box is not None:
                    ask = replace(ask, box=places.carry_box(ask.box, moment, scene.history, scene.grid))
            return Request(prompt, self._with_mask(ask, scene.objects[prompt.track_id]), scene.view())
        if moment is None:
            return Request(prompt, ask, scene.view())
        small = moment.small
        view = View(moment.step, moment.time_s, scene.grid, small, small, scene.history, flow=moment.flow)
        return Request(prompt, ask, view)

    @staticmethod
    def _with_mask(ask: Ask, thing: Object) -> Ask:
        """A refinement starts from the mask that is there, unless a new one or a box was given."""
        if ask.mask is None and ask.box is None and thing.patch is not None:
            return replace(ask, mask=thing.patch, look_for_whole=False)
        return replace(ask, look_for_whole=False)

    def remove_prompt(self, prompt_id: int) -> None:
        self._concepts.pop(prompt_id, None)
        self._early = [prompt for prompt in self._early if prompt.id != prompt_id]
        if self._background is not None:
            self._background.forget(prompt_id)
        for thing in self._things():
            if thing.prompt_id == prompt_id and thing.hidden_s is None:
                self._hide(thing, with_prompt=True)

    def restore_prompt(self, prompt: Prompt) -> None:
        if prompt.kind is PromptKind.TEXT:
            self._concepts[prompt.id] = concepts.read(prompt.text or "", detector=self._eyes().detector)
            if self._background is not None:
                self._background.naming.detect_soon()
        for thing in self._things():
            if thing.prompt_id == prompt.id and thing.hidden_with_prompt:
                self._unhide(thing)

    def remove_track(self, track_id: int) -> None:
        for thing in self._things():
            if thing.id == track_id and thing.hidden_s is None:
                self._hide(thing, with_prompt=False)

    def restore_track(self, track_id: int) -> None:
        scene = self._scene
        thing = scene.objects.get(track_id) if scene else None
        if (
            scene is None
            or thing is None
            or thing.hidden_s is None
            or scene.now_s - thing.hidden_s > self._tuning.restore_s
        ):
            raise NotFound(f"Track {track_id} cannot be restored any more.", code="unknown_track")
        self._unhide(thing)

    def _hide(self, thing: Object, *, with_prompt: bool) -> None:
        assert self._scene is not None
        thing.hidden_s, thing.hidden_with_prompt = self._scene.now_s, with_prompt

    @staticmethod
    def _unhide(thing: Object) -> None:
        thing.hidden_s, thing.hidden_with_prompt = None, False

    def _things(self) -> list[Object]:
        return list(self._scene.objects.values()) if self._scene else []

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._lane.close()
            self._scene = self._background = self._last = None

    # --- pictures

    def step(self, frame: Frame) -> TrackUpdate:
        """Advance by one picture; the same one again brings only answers of the background work."""
        self._tick += 1
        scene, background = self._ready(frame)
        still = self._last is not None and (self._last.index, self._last.epoch) == (frame.index, frame.epoch)
        elapsed = 0.0
        if not still:
            now = self._clock.advance(frame)
            elapsed = now - scene.now_s
            with self._stages.part("preprocess"):
                picture = picture_of(frame)
            with self._stages.part("flow"):
                # before the next picture, so that a new mask goes on to it in place of the old one, not after it
                background.collect(self._tick, kind="refresh")
                scene.advance(picture, frame.ref, now)
            self._last = frame
        with self._stages.part("post"):
            background.collect(self._tick)
            scene.draw()
            scene.judge(elapsed)
            self._expire(scene)
            self._watch_motion(scene, background, still=still)
            while self._early:
                background.ask(self._request(self._early.pop(0), scene))
            background.schedule(self._tick)
            if self._lane.inline and background.collect(self._tick):
                scene.draw()
                scene.judge(0.0)
        with self._stages.part("encode_masks"):
            return self._update(frame, scene, background)

    def _ready(self, frame: Frame) -> tuple[Scene, Background]:
        """The state for pictures of this size."""
        eyes = self._eyes()
        grid = Grid.of(frame.width, frame.height, eyes.effort.detail)
        if self._scene is None or self._background is None:
            self._scene = Scene(grid, self._tuning, self._first_track_id)
            self._background = Background(self._scene, self._lane, lambda: self._eyes().sight, self._labels)
        elif grid != self._scene.grid and not (grid.frame == self._scene.grid.frame and self._background.asked):
            # Other detail waits until what was pointed at is answered: answers hold on their own grid only.
            self._scene.resize(grid)
            self._moving = None
        self._scene.tuning = tuned(self._tuning, eyes.effort)
        self._background.naming.by_detector = eyes.detector
        return self._scene, self._background

    def _labels(self) -> dict[str, int]:
        """Label → the oldest prompt that asks for it."""
        out: dict[str, int] = {}
        for prompt_id, read in self._concepts.items():
            for label in read.labels:
                out.setdefault(label, prompt_id)
        return out

    def _watch_motion(self, scene: Scene, background: Background, *, still: bool) -> None:
        if MOVING not in self._labels():
            self._moving = None
            return
        if still:
            return
        self._moving = self._moving or MovingThings()
        found = self._moving.watch(scene.small, scene.grid)
        if scene.now_s - self._moving_s >= self._tuning.detect_gap_s:
            self._moving_s = scene.now_s
            background.naming.seen(found, scene.view())

    def _expire(self, scene: Scene) -> None:
        """Let time act, and forget removals that can no longer be undone and that guard nothing."""
        self._gone = [thing for thing in scene.pass_time() if thing.hidden_s is None]
        for thing in list(scene.objects.values()):
            if thing.hypothesis_s is not None and scene.now_s - thing.hypothesis_s > self._tuning.hypothesis_s:
                scene.lose(thing)
            over = thing.hidden_s is not None and scene.now_s - thing.hidden_s > self._tuning.restore_s
            guards = thing.from_text and not thing.hidden_with_prompt and thing.prompt_id in self._concepts
            if over and not guards:
                del scene.objects[thing.id]

    def _update(self, frame: Frame, scene: Scene, background: Background) -> TrackUpdate:
        shown = [thing for thing in scene.objects.values() if thing.hidden_s is None]
        tracks = tuple(thing.as_track(scene.grid, scene.now_s) for thing in (*shown, *self._gone))
        changes, background.changes = tuple(background.changes), []
        self._gone = []
        return TrackUpdate.of(frame, tracks, changes)
