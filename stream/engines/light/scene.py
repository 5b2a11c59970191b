"""All objects of one stream on the present picture: carried, drawn, told apart, lost and found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.engines import lifecycle
from stream.engines.flow import FlowHistory
from stream.engines.grid import ON, U8, Grid, Patch, shrink
from stream.engines.lifecycle import Life
from stream.engines.light import gate
from stream.engines.light.appearance import Look, Memory, colour_bins
from stream.engines.light.carry import CarriedMask, Pace
from stream.engines.light.hiding import SURE
from stream.engines.light.replay import Replay
from stream.engines.light.sight import View
from stream.engines.light.tracks import Object
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx, FrameRef, TrackState

SURE_MARGIN = 60
"""Soft masks that differ by less are both sure of a pixel."""
RESIDUAL_MARGIN = 5.0
"""Mean differences from two keyframes that are closer than this do not tell which one is seen."""
STILL_SPEED = 0.15
"""Pixels of the flow grid a picture below which an object stands."""


MANY_PIXELS = 16_000


class Scene:
    """The engine thread's state of one stream. All coordinates are of the mask grid, times are media time."""

    def __init__(self, grid: Grid, tuning: Tuning, first_track_id: int = 1) -> None:
        self.tuning = tuning
        self.grid = grid
        self.objects: dict[int, Object] = {}
        self.history = FlowHistory(grid, tuning.history_s)
        self.generation = 0
        """Grows when coordinates change their meaning, so that older answers are recognised."""
        self.step = 0
        self.now_s = 0.0
        self.picture: U8 = np.zeros((2, 2, 3), np.uint8)
        self.small: U8 = np.zeros((grid.flow[1], grid.flow[0], 3), np.uint8)
        self._next_id = first_track_id

    def resize(self, grid: Grid) -> None:
        """The picture has another size from now on. Masks are rescaled where the aspect is the same; otherwise the
        objects are lost and searched for by their looks."""
        before, self.grid = self.grid, grid
        self.generation += 1
        self.history = FlowHistory(grid, self.tuning.history_s)
        factors = grid.mask[0] / before.mask[0], grid.mask[1] / before.mask[1]
        for thing in self.objects.values():
            patch = thing.patch
            thing.box = _scaled_box(thing.box, factors)
            thing.whole = None
            thing.size = thing.size[0] * factors[0], thing.size[1] * factors[1]
            thing.area *= factors[0] * factors[1]
            thing.pending = False
            if patch is None or thing.carried is None:
                continue
            if grid.same_shape(before):
                scaled = patch.scaled(before, grid)
                thing.patch = thing.raw = scaled
                thing.carried = CarriedMask(grid, scaled, shrink(self.small, grid.flow), self.history.xy)
            else:
                self.lose(thing)

    def advance(self, picture: U8, ref: FrameRef, now_s: float) -> None:
        """Take the next picture and carry every mask onto it."""
        self.step += 1
        self.now_s = now_s
        self.picture = picture
        self.small = shrink(picture, self.grid.flow)
        back = self.history.push(self.step, now_s, ref, self.small)
        if back is not None:
            followed = [(thing, thing.carried) for thing in self.objects.values() if thing.carried is not None]
            windows = [carried.next_window() for _, carried in followed]
            back.prepare([window for window in windows if window is not None])
            for thing, carried in followed:
                carried.roll(back)
                self._shift_whole(thing, carried)

    def _shift_whole(self, thing: Object, carried: CarriedMask) -> None:
        if thing.whole is not None:
            dx, dy = (float(v) for v in carried.shift * np.array(self.grid.mask_per_flow, np.float32))
            x0, y0, x1, y1 = thing.whole
            thing.whole = x0 + dx, y0 + dy, x1 + dx, y1 + dy

    def draw(self) -> None:
        """Render the carried masks, see what is hidden, and give every pixel to one object at most."""
        followed = [thing for thing in self.objects.values() if thing.carried is not None]
        for thing in followed:
            if thing.carried is not None:
                thing.patch = thing.raw = thing.carried.render()
                thing.carried.compare(self.small, self.tuning.same_pixel)
        boxes = {thing.id: thing.raw.box() if thing.raw else None for thing in followed}
        for i, a in enumerate(followed):
            for b in followed[i + 1 :]:
                if (a.hidden_s is None) == (b.hidden_s is None) and _boxes_meet(boxes[a.id], boxes[b.id]):
                    _compete(a, b)

    def judge(self, elapsed_s: float) -> None:
        """Is each object still there? By its mask, its colours and its pixels against the keyframe."""
        for thing in list(self.objects.values()):
            if thing.carried is None or thing.raw is None:
                continue
            box = thing.raw.box()
            on = self._on_small(thing)
            if box is None or int(on.sum()) < self.tuning.least_pixels:
                self.lose(thing)
                continue
            if self._leaving(thing, box):
                self.lose(thing)
                continue
            if thing.life.shown:
                thing.box = float(box[0]), float(box[1]), float(box[2]), float(box[3])
            self._measure(thing, thing.carried, on, elapsed_s)
            if gate.is_covered(thing.visible, thing.colour / max(thing.key_colour, 1e-6), self.tuning):
                self.lose(thing)

    def _leaving(self, thing: Object, box: tuple[int, int, int, int]) -> bool:
        """Whether all but a rest of the object is beyond the edge of the picture."""
        assert thing.raw is not None
        width, height = self.grid.mask
        at_edge = box[0] <= 1 or box[1] <= 1 or box[2] >= width - 1 or box[3] >= height - 1
        return at_edge and thing.raw.area() < self.tuning.leaving_share * thing.area

    def _on_small(self, thing: Object) -> NDArray[np.bool_]:
        """What is seen of the carried mask on the flow grid, in the carried window."""
        assert thing.carried is not None
        return thing.carried.soft > SURE

    def _measure(self, thing: Object, carried: CarriedMask, here: NDArray[np.bool_], elapsed_s: float) -> None:
        x0, y0, x1, y1 = carried.window
        # A large object is judged by every second pixel of every second row.
        step = 2 if here.size > MANY_PIXELS else 1
        here = here[::step, ::step]
        agrees = float((carried.residual[::step, ::step][here] < self.tuning.same_pixel).mean())
        thing.visible = 0.7 * thing.visible + 0.3 * agrees
        if thing.odds is not None:
            colour = float(thing.odds[colour_bins(self.small[y0:y1:step, x0:x1:step][here])].mean())
            thing.colour = 0.6 * thing.colour + 0.4 * colour
        if thing.life.shown and elapsed_s > 0:
            sx, sy = self.grid.mask_per_flow
            thing.velocity = (carried.velocity * np.array([sx, sy]) / max(elapsed_s, 1e-3)).astype(np.float32)

    # --- changes

    def room(self) -> bool:
        """Whether one more object may be followed; makes room by forgetting what was removed or lost longest."""
        if len(self.objects) < self.tuning.most_tracks:
            return True
        spare = [thing for thing in self.objects.values() if not thing.life.shown or thing.hidden_s is not None]
        if not spare:
            return False
        oldest = min(spare, key=lambda t: t.hidden_s if t.hidden_s is not None else t.life.since_s)
        del self.objects[oldest.id]
        return True

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def add(self, label: str, prompt_id: int | None, box: BoxXyxyPx, *, from_text: bool, sure: bool) -> Object:
        """A new object, as yet without a mask."""
        thing = Object(self.new_id(), label, prompt_id, from_text, Life.begin(self.now_s, sure=sure), box)
        self.objects[thing.id] = thing
        return thing

    def replay(self, patch: Patch, view: View, pace: Pace | None = None) -> Replay:
        """`patch`, true on the picture of `view`, on its way to the present, which takes a few milliseconds for each
        picture since. Any thread."""
        replay = Replay(patch, view, self.tuning.same_pixel, pace)
        replay.catch_up()
        return replay

    def install(self, thing: Object, replay: Replay, look: Look) -> bool:
        """Make the mask that `replay` brings the object's keyframe; `draw` renders it. False where it is empty."""
        patch, view = replay.patch, replay.view
        box = patch.box()
        if box is None:
            return False
        if thing.memory is None:
            thing.memory = Memory.of(look)
        fresh = thing.carried is None
        thing.carried = replay.catch_up()
        if thing.whole is None or patch.area() > self.tuning.shrunk * thing.area:
            dx, dy = (float(v) for v in replay.travel * np.array(self.grid.mask_per_flow, np.float32))
            thing.whole = box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy
        thing.key_s, thing.rejects = view.time_s, 0
        self._resize_memory(thing, patch, box)
        thing.odds = thing.memory.posterior(look.around)
        here = thing.carried.key_soft > SURE
        thing.key_colour = float(thing.odds[colour_bins(view.small[here])].mean()) if here.any() else 0.0
        thing.colour = thing.key_colour if fresh else max(thing.colour, 0.5 * thing.key_colour)
        thing.visible = 1.0 if fresh else max(thing.visible, 0.7)
        return True

    def _resize_memory(self, thing: Object, patch: Patch, box: tuple[int, int, int, int]) -> None:
        """Sizes are smoothed, shrinking more slowly than growing: a part is more often seen than too much."""
        area = float(patch.area())
        size = float(box[2] - box[0]), float(box[3] - box[1])
        if not thing.area:
            thing.area, thing.size = area, size
            return
        keep = self.tuning.shrink_slowly if area < thing.area else self.tuning.grow_slowly
        thing.area = keep * thing.area + (1 - keep) * area
        thing.size = 0.8 * thing.size[0] + 0.2 * size[0], 0.8 * thing.size[1] + 0.2 * size[1]

    def take_up(self, thing: Object, replay: Replay, look: Look, *, again: bool) -> None:
        """Follow a lost object again; shown at once, or where `again` only after a second hit."""
        thing.whole = None
        if not self.install(thing, replay, look):
            return
        thing.held_s = None
        thing.tried_s = replay.view.time_s
        if again:
            thing.hypothesis_s = self.now_s
        else:
            thing.life = lifecycle.find(thing.life, self.now_s)

    def lose(self, thing: Object) -> None:
        """The object is out of sight; its place, speed and look are kept."""
        thing.drop_mask()
        thing.rejects = thing.calm = 0
        if thing.life.state is TrackState.LIVE:
            thing.searches = 0
            thing.refused.clear()
        needed = self.tuning.known_hits if thing.by_detector and thing.hidden_s is None else 0
        thing.life = lifecycle.lose(thing.life, self.now_s, needed=needed)

    def pass_time(self) -> list[Object]:
        """Let time act; returns the objects that went for good, which are removed."""
        gone = []
        for thing in list(self.objects.values()):
            thing.life = lifecycle.pass_time(thing.life, self.now_s, self.tuning)
            if thing.gone:
                gone.append(self.objects.pop(thing.id))
        return gone

    def view(self, *, without: frozenset[int] = frozenset()) -> View:
        """The present, for work beside the picture."""
        masks = {
            thing.id: thing.raw for thing in self.objects.values() if thing.raw is not None and thing.id not in without
        }
        seen = ((i, self.objects[i]) for i in masks)
        shown = {i: thing.patch for i, thing in seen if thing.patch is not None and thing.hidden_s is None}
        newest = self.history.newest
        flow = newest.flow if newest is not None else None
        return View(self.step, self.now_s, self.grid, self.picture, self.small, self.history, masks, shown, flow)


def _scaled_box(box: BoxXyxyPx, factors: tuple[float, float]) -> BoxXyxyPx:
    return box[0] * factors[0], box[1] * factors[1], box[2] * factors[0], box[3] * factors[1]


def _boxes_meet(a: tuple[int, int, int, int] | None, b: tuple[int, int, int, int] | None) -> bool:
    if a is None or b is None:
        return False
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _compete(a: Object, b: Object) -> None:
    """Give every pixel that two masks claim to one of them.

    At edges to the stronger mask. Where both are sure, to the one that is in front: the one whose keyframe predicts
    what is seen there better, or where that says nothing the one that would lose more of itself.
    """
    if a.raw is None or b.raw is None or a.carried is None or b.carried is None:
        return
    (ax, ay, ax1, ay1), (bx, by, bx1, by1) = a.raw.window, b.raw.window
    x0, y0, x1, y1 = max(ax, bx), max(ay, by), min(ax1, bx1), min(ay1, by1)
    in_a = a.raw.data[y0 - ay : y1 - ay, x0 - ax : x1 - ax]
    in_b = b.raw.data[y0 - by : y1 - by, x0 - bx : x1 - bx]
    contested = (in_a >= ON) & (in_b >= ON)
    if not contested.any():
        return
    difference = in_a.astype(np.int16) - in_b
    for_a = np.where(np.abs(difference) > SURE_MARGIN, difference > 0, _in_front(a, b, a.carried, b.carried))
    _give_up(a, contested & ~for_a, x0, y0)
    _give_up(b, contested & for_a, x0, y0)


def _in_front(a: Object, b: Object, carried_a: CarriedMask, carried_b: CarriedMask) -> bool:
    """Whether `a` is in front of `b` where both claim to be; marks the other's flow there as not its own."""
    windows = carried_a.window, carried_b.window
    x0, y0 = max(w[0] for w in windows), max(w[1] for w in windows)
    x1, y1 = min(w[2] for w in windows), min(w[3] for w in windows)
    both = None
    if x1 > x0 and y1 > y0:
        shared = x0, y0, x1, y1
        both = (carried_a.part(carried_a.soft, shared) > SURE) & (carried_b.part(carried_b.soft, shared) > SURE)
    if both is None or not both.any():
        return a.area < b.area
    misses_a = float(carried_a.part(carried_a.residual, shared)[both].mean())
    misses_b = float(carried_b.part(carried_b.residual, shared)[both].mean())
    a_wins = misses_a < misses_b if abs(misses_a - misses_b) > RESIDUAL_MARGIN else a.area < b.area
    behind = carried_b if a_wins else carried_a
    if behind.doubt is not None:
        behind.part(behind.doubt, shared)[both] = 1
    return a_wins


def _give_up(thing: Object, lost: NDArray[np.bool_], x0: int, y0: int) -> None:
    """Take the pixels `lost`, a window at `(x0, y0)` of the mask grid, from the mask that is shown."""
    if thing.patch is None or not lost.any():
        return
    if thing.patch is thing.raw:
        thing.patch = Patch(thing.patch.x0, thing.patch.y0, thing.patch.data.copy())
    x, y = x0 - thing.patch.x0, y0 - thing.patch.y0
    thing.patch.data[y : y + lost.shape[0], x : x + lost.shape[1]][lost] = 0
