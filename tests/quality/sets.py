"""The sets of scenes that the gates are judged on, drawn from a seed and a split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np

from tests.quality.cutouts import BACKGROUNDS, CUTOUTS, F32, SAME_CLASS, Cutout, Split, background, cutout
from tests.quality.paths import F64, HEIGHT, WIDTH, behind, entering, leaving, wander
from tests.quality.scenes import Ask, AskKind, Mover, Scene

SetName = Literal["plain", "hard", "reentry5", "reentry10", "reentry30", "newcomer", "lateclick"]
SEED_BASE: dict[Split, int] = {"tuning": 10_000, "judged": 20_000}
SEEN, HEARD = 5, 8
"""A click is heard 100 ms after the frame that it was made on."""
_TRIES = 400


def make(name: SetName, split: Split, seed: int, frames: int | None = None) -> Scene:
    """The scene of that set and seed. `frames` shortens it where the set allows that."""
    build, usual = _SETS[name]
    for attempt in range(_TRIES):
        rng = np.random.default_rng([SEED_BASE[split] + seed, attempt, sum(name.encode())])
        scene = build(rng, name, split, seed, frames or usual)
        if _fair(scene):
            return scene
    raise RuntimeError(f"no fair scene was found for {name} {split} {seed}")


def names() -> tuple[SetName, ...]:
    return tuple(_SETS)


def _plain(rng: np.random.Generator, name: str, split: Split, seed: int, frames: int) -> Scene:
    """Three distinct objects that partly hide each other, at 2 to 4 pixels a frame."""
    movers = [
        _mover(rng, i + 1, c, wander(rng, frames, rng.uniform(2, 4), 0.55 * c.height_px))
        for i, c in enumerate(_distinct(rng, split, 3))
    ]
    return _scene(rng, name, split, seed, frames, movers, sway=20)


def _hard(rng: np.random.Generator, name: str, split: Split, seed: int, frames: int) -> Scene:
    """At 8 pixels a frame: one is wholly hidden for a second, one leaves and returns, two look alike."""
    hidden, leaver, twin = _distinct(rng, split, 3)
    pillar_x = rng.uniform(0.42, 0.58) * WIDTH
    wide = _shown(hidden, rng).shape[1]
    pillar = _pillar(rng, split, wide * 1.15 + 60, pillar_x, frames)
    hidden_px = pillar.picture.shape[1] - 1.15 * wide
    path = behind(rng, frames, 8, 0.6 * hidden.height_px, pillar_x=pillar_x, hidden_px=hidden_px, hide=27)
    away, margin = int(rng.integers(50, 80)), 0.55 * leaver.height_px
    first = int(rng.integers(100, 130))
    reach = 0.9 * max(_shown(leaver, rng).shape)
    there = leaving(rng, first, 8, margin, reach)
    back = entering(rng, frames - first - away, 8, margin, reach)
    movers = [
        _mover(rng, 1, hidden, path, depth=2, wobble=0.05),
        pillar,
        _mover(rng, 2, leaver, np.concatenate([there, np.repeat(there[-1:], away, 0), back]), depth=11),
        _mover(rng, 3, twin, wander(rng, frames, 8, 0.55 * twin.height_px), depth=12),
        _mover(rng, 4, twin, wander(rng, frames, 8, 0.55 * twin.height_px), depth=13, alike=True),
    ]
    return _scene(rng, name, split, seed, frames, movers, sway=4)


def _reentry(absence: int) -> Callable[[np.random.Generator, str, Split, int, int], Scene]:
    def build(rng: np.random.Generator, name: str, split: Split, seed: int, frames: int) -> Scene:
        """One object leaves and returns after `absence` frames less than half visible; another one stays."""
        goer, stayer = _distinct(rng, split, 2)
        margin, reach, speed = 0.55 * goer.height_px, 0.9 * max(_shown(goer, rng).shape), rng.uniform(3, 5)
        there = leaving(rng, 130, speed, margin, reach)
        back = entering(rng, 130, speed, margin, reach)
        outside = sum(int(((path[:, 0] < 0) | (path[:, 0] >= WIDTH)).sum()) for path in (there, back))
        gone = np.repeat(there[-1:], max(1, absence - outside), 0)
        path = np.concatenate([there, gone, back])
        movers = [
            _mover(rng, 1, goer, path, depth=11),
            _mover(rng, 2, stayer, wander(rng, len(path), rng.uniform(1.5, 3), 0.55 * stayer.height_px), depth=2),
        ]
        return _scene(rng, name, split, seed, len(path), movers, sway=15)

    return build


def _newcomer(rng: np.random.Generator, name: str, split: Split, seed: int, frames: int) -> Scene:
    """One object leaves for good; two seconds later a different one of the same class enters and stays."""
    pair = SAME_CLASS[split][seed % len(SAME_CLASS[split])]
    gone, comer = (cutout(n) for n in (pair if rng.random() < 0.5 else pair[::-1]))
    speed = rng.uniform(3, 5)
    there = leaving(rng, 130, speed, 0.55 * gone.height_px, 0.9 * max(_shown(gone, rng).shape))
    pause = 60
    back = entering(rng, frames - 130 - pause, speed, 0.55 * comer.height_px, 0.9 * max(_shown(comer, rng).shape))
    lead = np.repeat(back[:1], 130 + pause, 0)
    movers = [
        _mover(rng, 1, gone, np.concatenate([there, np.repeat(there[-1:], frames - 130, 0)]), depth=11),
        _mover(rng, 2, comer, np.concatenate([lead, back]), depth=12),
    ]
    kind: AskKind = "text" if gone.label == "person" and (seed // len(SAME_CLASS[split])) % 2 == 1 else "click"
    return _scene(rng, name, split, seed, frames, movers, sway=15, asks=(Ask(1, kind, SEEN, HEARD),))


def _lateclick(rng: np.random.Generator, name: str, split: Split, seed: int, frames: int) -> Scene:
    """Three objects at 300 pixels a second, each clicked twice, 300 ms late."""
    movers = [
        _mover(rng, i + 1, c, wander(rng, frames, 10, 0.55 * c.height_px), depth=i)
        for i, c in enumerate(_distinct(rng, split, 3))
    ]
    scene = _scene(rng, name, split, seed, frames, movers, sway=15, asks=())
    seen = _clear_frames(scene, frames)
    asks = tuple(Ask(i % 3 + 1, "click", k, k + 9, k + 9 + 30) for i, k in enumerate(seen))
    return Scene(scene.name, split, seed, frames, scene.background, scene.camera, scene.movers, asks)


def _clear_frames(scene: Scene, frames: int) -> list[int]:
    """One frame for each of six clicks on which its object is in full view."""
    out: list[int] = []
    for click in range(6):
        start = 15 + click * (frames - 60) // 6
        chosen = next((k for k in range(start, start + 24) if scene.truth(k).visible[click % 3 + 1] > 0.9), start)
        out.append(chosen)
    return out


_SETS: dict[SetName, tuple[Callable[[np.random.Generator, str, Split, int, int], Scene], int]] = {
    "plain": (_plain, 300),
    "hard": (_hard, 300),
    "reentry5": (_reentry(150), 0),
    "reentry10": (_reentry(300), 0),
    "reentry30": (_reentry(900), 0),
    "newcomer": (_newcomer, 330),
    "lateclick": (_lateclick, 240),
}


def _distinct(rng: np.random.Generator, split: Split, count: int) -> list[Cutout]:
    """Objects that nobody would mistake for one another: no two of one class."""
    chosen: list[Cutout] = []
    for c in rng.permutation(np.array(CUTOUTS[split], dtype=object)):
        if all(c.label is None or c.label != other.label for other in chosen):
            chosen.append(c)
    return chosen[:count]


def _shown(c: Cutout, rng: np.random.Generator) -> F32:
    """The cut-out at its usual height."""
    source = c.premultiplied
    size = (max(1, round(source.shape[1] * c.height_px / source.shape[0])), c.height_px)
    return cv2.resize(source, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _mover(
    rng: np.random.Generator, identity: int, c: Cutout, positions: F64, *, depth: int | None = None,
    wobble: float = 0.1, alike: bool = False,
) -> Mover:  # fmt: skip
    """A cut-out on a path, breathing by `wobble` in size and swinging a little.

    With `alike` it is the mirror image under slightly different light: a look-alike, not a copy.
    """
    picture = _shown(c, rng)
    if alike:
        picture = np.ascontiguousarray(picture[:, ::-1])
        picture[..., :3] = np.minimum(picture[..., :3] * np.array([0.94, 0.97, 0.95], np.float32), 255)
    t = np.arange(len(positions))
    turn = 4 if c.name.startswith("person") else 9
    scales = 1 + wobble * np.sin(t * 2 * np.pi / rng.uniform(90, 200) + rng.uniform(0, 6.28))
    angles = turn * np.sin(t * 2 * np.pi / rng.uniform(70, 160) + rng.uniform(0, 6.28))
    return Mover(identity, c.name, c.label, picture, positions, scales, angles, identity if depth is None else depth)


def _pillar(rng: np.random.Generator, split: Split, width: float, x: float, frames: int) -> Mover:
    """Something upright and opaque to hide behind, cut from another photograph of the same split."""
    source = background(BACKGROUNDS[split][int(rng.integers(3))])
    x0 = int(rng.integers(0, 800 - int(width)))
    patch = source[60:540, x0 : x0 + int(width)].astype(np.float32)
    shade = 1 - 0.35 * np.abs(np.linspace(-1, 1, patch.shape[1], dtype=np.float32)) ** 2
    alpha = np.ones((*patch.shape[:2], 1), np.float32)
    picture = np.dstack([patch * shade[:, None], alpha]).astype(np.float32)
    positions = np.tile([x, HEIGHT / 2], (frames, 1))
    return Mover(None, "pillar", None, picture, positions, np.ones(frames), np.zeros(frames), 10)


def _scene(
    rng: np.random.Generator, name: str, split: Split, seed: int, frames: int, movers: list[Mover], *, sway: float,
    asks: tuple[Ask, ...] | None = None,
) -> Scene:  # fmt: skip
    """A scene on a random background under a camera that sways by up to `sway` pixels."""
    t = np.arange(frames)
    waves = [np.sin(t * 2 * np.pi / rng.uniform(150, 400) + rng.uniform(0, 6.28)) for _ in range(2)]
    tremor = rng.standard_normal((frames, 2)).cumsum(0)
    tremor = 0.4 * (tremor - cv2.blur(tremor, (1, 31)))
    camera = sway * np.column_stack(waves) + tremor
    if asks is None:
        kinds: tuple[AskKind, AskKind] = ("click", "box")
        identities = [m.identity for m in movers if m.identity is not None]
        asks = tuple(Ask(identity, kinds[i % 2], SEEN, HEARD) for i, identity in enumerate(identities))
    where = str(rng.choice(BACKGROUNDS[split]))
    return Scene(f"{name}-{split}-{seed}", split, seed, frames, where, camera, tuple(movers), asks)


def _fair(scene: Scene) -> bool:
    """Whether the scene shows what its set is about, and no more: a check on the truth alone.

    Nobody clicks on what is hidden: all that is asked for stays in the clear for the first second.
    """
    asked = {ask.identity for ask in scene.asks}
    kind = scene.name.split("-")[0]
    if kind == "lateclick":
        return all(scene.truth(k).visible[a.identity] > 0.7 for a in scene.asks for k in (a.seen, a.heard, a.heard + 8))
    if not all(scene.truth(k).visible[i] > 0.9 for k in (SEEN, 30, 18, 12, 24) for i in asked):
        return False
    shown = [scene.truth(k) for k in range(0, scene.frames, 8)]
    lowest = {i: min(t.visible[i] for t in shown) for i in scene.identities}
    if kind == "plain":
        return 0.4 < min(lowest.values()) < 0.85
    if kind == "hard":
        return min(lowest[3], lowest[4]) > 0.3 and 3 <= sum(t.visible[1] == 0 for t in shown) <= 5
    if kind.startswith("reentry"):
        return lowest[2] > 0.5
    return True
