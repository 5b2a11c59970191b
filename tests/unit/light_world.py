"""A small drawn world and a sight that knows it, for tests of the light engine without models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import Patch, patch_iou, shrink
from stream.engines.light.appearance import Look, look_at
from stream.engines.light.engine import LightEngine
from stream.engines.light.gate import Measures
from stream.engines.light.sight import Answer, Ask, Candidate, Found, Searched, Sighting, Target, View, Wanted
from stream.engines.light.tracker import Eyes, LightTracker
from stream.types import CLOCK_HZ, Frame, FrameRef, Prompt, PromptKind, Rle, Track, TrackUpdate

U8 = NDArray[np.uint8]
RED, BLUE, GREEN = (40, 40, 220), (220, 60, 40), (40, 200, 60)


def frame_of(bgr: U8, index: int, *, epoch: int = 0, fps: float = 30.0) -> Frame:
    """`bgr` `(h, w, 3)` as the decoder would hand it over."""
    height, width = bgr.shape[:2]
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    h, w = even.shape[:2]
    planes = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = planes[h:].reshape(2, h // 2, w // 2)
    pts = round(index * CLOCK_HZ / fps)
    y, uv = planes[:height, :width].copy(), np.ascontiguousarray(np.moveaxis(chroma, 0, 2))
    return Frame(index, epoch, pts, pts & 0xFFFFFFFF, None, index / fps, index / fps, y, uv)


@dataclass
class World:
    """Coloured, textured squares on a textured ground: `things` maps a name to its colour BGR and its left top corner,
    None where it is not there."""

    size: tuple[int, int] = (320, 240)
    side: int = 40
    things: dict[str, tuple[tuple[int, int, int], tuple[float, float] | None]] = field(default_factory=dict)
    index: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(5)
        width, height = self.size
        coarse = rng.integers(90, 160, (max(2, height // 8), max(2, width // 8), 1)).repeat(3, 2).astype(np.uint8)
        self._ground = np.asarray(cv2.resize(coarse, self.size, interpolation=cv2.INTER_CUBIC), np.uint8)
        self._shade = cv2.resize(rng.uniform(0.75, 1.0, (6, 6)).astype(np.float32), (self.side, self.side))

    def picture(self) -> U8:
        out = self._ground.copy()
        for colour, at in self.things.values():
            if at is not None:
                tile = (self._shade[..., None] * np.array(colour, np.float32)).astype(np.uint8)
                move = np.array([[1, 0, at[0]], [0, 1, at[1]]], np.float64)
                cv2.warpAffine(tile, move, self.size, dst=out, borderMode=cv2.BORDER_TRANSPARENT)
        return out

    def frame(self, *, epoch: int = 0) -> Frame:
        """The next picture."""
        self.index += 1
        return frame_of(self.picture(), self.index, epoch=epoch)

    def place(self, name: str, at: tuple[float, float] | None) -> None:
        self.things[name] = self.things[name][0], at

    def middle(self, name: str) -> tuple[float, float]:
        at = self.things[name][1]
        assert at is not None
        return at[0] + self.side / 2, at[1] + self.side / 2


class ColourSight:
    """Sees regions of saturated colour exactly, as SAM and the detector would see things. Labels are by colour."""

    LABELS = {0: "cup", 1: "dog", 2: "person"}  # noqa: RUF012

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, view: View, labels: frozenset[str]) -> list[Found]:
        found = [Found(self.LABELS[channel], 0.9, _floats(patch)) for channel, patch in self._regions(view)]
        return [f for f in found if f.label in labels]

    def glance(self, view: View, ask: Ask) -> Answer | None:
        return None

    def first(self, view: View, ask: Ask) -> Answer | None:
        self.looks += 1
        if ask.mask is not None and not ask.points:
            return Answer(ask.mask, self._look(view, ask.mask), 1.0)
        for _, patch in self._regions(view):
            box = patch.box()
            assert box is not None
            if ask.box is not None:
                x, y = (ask.box[0] + ask.box[2]) / 2, (ask.box[1] + ask.box[3]) / 2
            else:
                x, y = next((p[0], p[1]) for p in ask.points)
            if box[0] <= x < box[2] and box[1] <= y < box[3]:
                for px, py, positive in ask.points:
                    if not positive:
                        patch = without_half(patch, px, py)
                return Answer(patch, self._look(view, patch), 0.95)
        return None

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        self.looks += 1
        out = {}
        for target in targets:
            best = max(self._regions(view), key=lambda r: patch_iou(r[1], target.patch), default=None)
            if best is None or patch_iou(best[1], target.patch) < 0.1:
                continue
            look = self._look(view, best[1])
            fit = patch_iou(best[1], target.patch)
            area = best[1].area() / max(1, target.patch.area())
            out[target.id] = Sighting(best[1], look, Measures(fit, 0.95, area, target.memory.similarity(look)))
        return out

    def search(self, view: View, wanted: Sequence[Wanted]) -> Searched | None:
        self.looks += 1
        out = []
        for _, patch in self._regions(view):
            if any(patch_iou(patch, other) > 0.3 for other in view.masks.values()):
                continue
            look = self._look(view, patch)
            out.append(
                Candidate(
                    patch,
                    look,
                    {
                        w.id: Measures(1.0, 0.95, patch.area() / max(1.0, w.area), w.memory.similarity(look))
                        for w in wanted
                    },
                )
            )
        return Searched((0.0, 0.0), out)

    def _regions(self, view: View) -> list[tuple[int, Patch]]:
        bgr = shrink(view.picture, view.grid.mask).astype(np.int16)
        out = []
        for channel in range(3):
            others = [c for c in range(3) if c != channel]
            on = (bgr[..., channel] - bgr[..., others].max(2) > 50).astype(np.uint8)
            count, labels, stats, _ = cv2.connectedComponentsWithStats(on)
            for i in range(1, count):
                if stats[i, cv2.CC_STAT_AREA] >= 30:
                    patch = Patch(0, 0, ((labels == i) * 255).astype(np.uint8)).tight()
                    out.append((2 - channel if channel != 1 else 1, patch))
        return out

    def _look(self, view: View, patch: Patch) -> Look:
        bgr = shrink(view.picture, view.grid.mask)
        return look_at(bgr, (patch.whole(view.grid.mask) >= 128).astype(np.uint8))


def _floats(patch: Patch) -> tuple[float, float, float, float]:
    box = patch.box()
    assert box is not None
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def without_half(patch: Patch, x: float, y: float) -> Patch:
    """The half of a mask that does not have the point."""
    data = patch.data.copy()
    middle = data.shape[1] // 2
    if x - patch.x0 < middle:
        data[:, :middle] = 0
    else:
        data[:, middle:] = 0
    return Patch(patch.x0, patch.y0, data)


class Player:
    """An engine, one tracker and a world, stepped together."""

    def __init__(self, world: World, *, latency: int = 0, sight: ColourSight | None = None) -> None:
        self.world = world
        self.sight = sight or ColourSight()
        self.engine = LightEngine(
            None, background=False, sam_latency_frames=latency, eyes=Eyes(self.sight, detector=True)
        )
        self.tracker: LightTracker = self.engine.open_tracker()
        self.update: TrackUpdate | None = None
        self.changes: list[object] = []
        self.frame: Frame | None = None

    def step(self, frames: int = 1, **places: tuple[float, float]) -> dict[int, Track]:
        """Advance; `places` gives speeds in pixels a frame."""
        for _ in range(frames):
            for name, (dx, dy) in places.items():
                at = self.world.things[name][1]
                assert at is not None
                self.world.place(name, (at[0] + dx, at[1] + dy))
            self.feed(self.world.frame())
        return self.tracks

    def feed(self, frame: Frame) -> dict[int, Track]:
        self.frame = frame
        result = self.engine.step([(self.tracker, frame)])[0]
        assert isinstance(result, TrackUpdate), result
        self.update = result
        self.changes += result.prompt_changes
        return self.tracks

    @property
    def tracks(self) -> dict[int, Track]:
        assert self.update is not None
        return {track.id: track for track in self.update.tracks}

    def text(self, prompt_id: int, words: str) -> Prompt:
        prompt = Prompt(prompt_id, PromptKind.TEXT, text=words)
        self.tracker.add_prompt(prompt)
        return prompt

    def box(self, prompt_id: int, name: str, ref: FrameRef | None = None) -> Prompt:
        at = self.world.things[name][1]
        assert at is not None
        box = at[0], at[1], at[0] + self.world.side, at[1] + self.world.side
        prompt = Prompt(prompt_id, PromptKind.BOX, box_xyxy_px=box, frame=ref)
        self.tracker.add_prompt(prompt)
        return prompt


def overlap(rle: Rle | None, world: World, name: str) -> float:
    """IoU of a track's mask with the square that is drawn, both on the picture's grid."""
    from kernels import cpu

    at = world.things[name][1]
    if rle is None or at is None:
        return 0.0
    mask = cpu.rle_decode(rle.size, rle.counts)
    got = cv2.resize(mask, world.size, interpolation=cv2.INTER_NEAREST) > 0
    want = np.zeros(got.shape, bool)
    x, y = round(at[0]), round(at[1])
    want[max(0, y) : max(0, y + world.side), max(0, x) : max(0, x + world.side)] = True
    return float((got & want).sum() / max(1, (got | want).sum()))


def two_things() -> World:
    return World(things={"cup": (RED, (60, 60)), "person": (BLUE, (200, 120))})
