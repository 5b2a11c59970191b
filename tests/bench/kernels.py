"""Mask post-processing on the CPU: the kernels' CPU backend against the usual way, step by step and as a chain.

    python -m tests.bench.kernels [--runs 9] [--objects 10] [--json FILE]

From SAM 3's low-resolution logits to clean masks, masks and boxes at the picture's size, overlap, COCO codes and a
picture with the masks drawn on it. The usual way: SciPy's labels, torch's interpolation and threshold, overlap of
boolean tensors as transformers has it, pycocotools and supervision's annotator. Both see the same masks, in turns
(ABBA) in one process, with the libraries' own number of threads; what they give is compared first. `ratio` is the
median of the runs' ratios; `cpu_ratio` that of processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import supervision
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy import ndimage

from kernels import images, masks
from kernels.cpu.masks import unpack
from kernels.look import Look
from tests.bench.report import table, write
from tests.kernels.blobs import Kind, logits

SIZES = {"720p": (720, 1280), "1080p": (1080, 1920)}
KINDS: tuple[Kind, ...] = ("smooth", "noisy", "crowded")
PEERS = ("torch", "scipy", "pycocotools", "supervision", "rlemasklib")
FILL = Look(fill=True)
STEPS = ("clean", "to the picture", "overlap", "codes", "overlay")
CHAIN, WITHOUT = "all", "all but overlap"
STEPS_WITHOUT = tuple(step for step in STEPS if step != "overlap")
SETS = 4
LOW_SIDE_PX = 288
LIMIT_PX = 16
EIGHT = np.ones((3, 3), np.int8)
ALPHA = 128
COLOURS = supervision.ColorPalette.DEFAULT


class Laps:
    """Milliseconds of the steps of one run: on the wall, and of the process on all processors."""

    def __init__(self) -> None:
        self.wall_ms: dict[str, float] = {}
        self.cpu_ms: dict[str, float] = {}
        self._last_s = time.perf_counter(), time.process_time()

    def lap(self, step: str) -> None:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        self.wall_ms[step] = 1000 * (wall_s - self._last_s[0])
        self.cpu_ms[step] = 1000 * (cpu_s - self._last_s[1])
        self._last_s = time.perf_counter(), time.process_time()


@dataclass(frozen=True)
class Scene:
    """What one run starts from. `before`: logits of the frame before, for the overlap."""

    frame: NDArray[np.uint8]
    logits: NDArray[np.float32]
    before: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        return self.frame.shape[:2]


@dataclass(frozen=True)
class Result:
    """What both ways give: `clean` and `large` masks as booleans, half-open boxes, and the picture drawn on."""

    laps: Laps
    clean: NDArray[np.bool_]
    large: NDArray[np.bool_]
    boxes: NDArray[Any]
    areas: NDArray[Any]
    overlap: NDArray[np.float32]
    codes: list[str | None]
    picture: NDArray[np.uint8]


def scenes(kind: Kind, size: tuple[int, int], objects: int) -> list[Scene]:
    random = np.random.default_rng(1)
    made = []
    for seed in range(SETS):
        frame = cv2.GaussianBlur(random.integers(0, 255, (*size, 3), np.uint8), (0, 0), 5).astype(np.uint8)
        now = logits(kind, objects, LOW_SIDE_PX, LOW_SIDE_PX, seed)
        made.append(Scene(frame, now, np.roll(now, 3, axis=2)))
    return made


def _small(mask: NDArray[np.bool_], limit: int) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, EIGHT)
    small = np.bincount(labels.ravel(), minlength=count + 1) <= limit
    small[0] = False
    return np.asarray(small[labels], np.bool_)


def usual(scene: Scene) -> Result:
    """Library by library."""
    before = torch.from_numpy(scene.before > 0).flatten(1)[None]
    laps = Laps()
    clean = scene.logits.copy()
    for each in clean:
        each[_small(each <= 0, LIMIT_PX)] = 0.1
        on = each > 0
        each[_small(on, min(LIMIT_PX, int(on.sum()) // 2))] = -0.1
    laps.lap("clean")
    large = torch.nn.functional.interpolate(
        torch.from_numpy(clean)[:, None], size=scene.size, mode="bilinear", align_corners=False
    )
    masks_now = (large[:, 0] > 0).numpy()
    boxes = supervision.mask_to_xyxy(masks_now, "exclusive")
    areas = masks_now.sum((1, 2))
    laps.lap("to the picture")
    now = torch.from_numpy(clean > 0).flatten(1)[:, None]
    overlap = ((now & before).sum(-1) / (now | before).sum(-1).clamp(min=1)).numpy()
    laps.lap("overlap")
    codes = coco.encode(np.asfortranarray(masks_now.transpose(1, 2, 0).astype(np.uint8)))
    texts = [code["counts"].decode("ascii") for code in codes]
    laps.lap("codes")
    annotator = supervision.MaskAnnotator(COLOURS, ALPHA / 255, supervision.ColorLookup.INDEX)
    picture = scene.frame.copy()
    annotator.annotate(picture, supervision.Detections(xyxy=boxes.astype(np.float32), mask=masks_now))
    laps.lap("overlay")
    return Result(laps, clean > 0, masks_now, boxes, areas, overlap, texts, picture)


class Kept(NamedTuple):
    """What the CPU backend wrote for a frame, and writes over for the next one."""

    clean: masks.CleanMasks
    owners: masks.OwnerMap
    overlap: NDArray[np.float32]
    codes: masks.RunLengths
    picture: NDArray[np.uint8]


class Kernels:
    """The CPU backend, into arrays that it keeps."""

    def __init__(self, palette: NDArray[np.uint8]) -> None:
        self._palette = palette
        self._kept: Kept | None = None

    def run(self, scene: Scene, before: masks.CleanMasks) -> tuple[Kept, Laps]:
        """One frame. Smaller masks lie on larger ones, as supervision draws them."""
        clean, owners, overlap, codes, picture = self._kept or (None,) * 5
        laps = Laps()
        clean = masks.clean_masks(scene.logits, out=clean)
        laps.lap("clean")
        order = masks.score_order(-clean.stats[:, 1].astype(np.float32))
        owners = masks.upsample_owner(clean.logits, clean.stats, order, scene.size, with_bits=True, out=owners)
        laps.lap("to the picture")
        overlap = masks.iou(clean.bits, before.bits, clean.stats, before.stats, out=overlap)
        laps.lap("overlap")
        codes = masks.rle_coco(owners.bits, owners.stats, scene.size[1], capacity=1 << 15, out=codes)
        masks.rle_strings(codes)
        laps.lap("codes")
        picture = images.composite(scene.frame, owners.owner[0], self._palette, look=FILL, out=picture)
        laps.lap("overlay")
        self._kept = Kept(clean, owners, overlap, codes, picture)
        return self._kept, laps

    def result(self, scene: Scene, before: masks.CleanMasks) -> Result:
        kept, laps = self.run(scene, before)
        clean, large = unpack(kept.clean.bits, LOW_SIDE_PX), unpack(kept.owners.bits, scene.size[1])
        stats = kept.owners.stats
        return Result(
            laps, clean.astype(bool), large.astype(bool), stats[:, 2:6], stats[:, 1], kept.overlap,
            masks.rle_strings(kept.codes), kept.picture,
        )  # fmt: skip


def palette_of(objects: int) -> NDArray[np.uint8]:
    """Supervision's colours in the frame's order, row 0 unused."""
    rows = [(*COLOURS.by_idx(i).as_bgr(), ALPHA) for i in range(objects)]
    return np.array([(0, 0, 0, 0), *rows], np.uint8)


def compared(ours: Result, theirs: Result) -> dict[str, int]:
    """Fails where the two ways disagree; returns what is left: pixels whose interpolated logit is 0 but for rounding,
    and pixels of the picture that differ by one level."""
    np.testing.assert_array_equal(ours.clean, theirs.clean)
    apart = ours.large != theirs.large
    assert apart.sum() <= 1e-6 * apart.size + 2, f"{apart.sum()} pixels apart"
    np.testing.assert_allclose(ours.overlap, theirs.overlap, atol=1e-6)
    alike = ~apart.any((1, 2))
    np.testing.assert_array_equal(ours.boxes[alike], theirs.boxes[alike])
    np.testing.assert_array_equal(ours.areas[alike], theirs.areas[alike])
    assert [code for code, same in zip(ours.codes, alike, strict=True) if same] == [
        code for code, same in zip(theirs.codes, alike, strict=True) if same
    ]
    levels = np.abs(ours.picture.astype(int) - theirs.picture)[~apart.any(0)]
    assert levels.max() <= 1, f"{levels.max()} levels apart"
    return {"pixels apart": int(apart.sum()), "levels apart": int(levels.max())}


def measure(kind: Kind, size_name: str, objects: int, runs: int) -> Iterator[dict[str, Any]]:
    """Rows of one kind and size: each step and the whole chain."""
    size = SIZES[size_name]
    kernels = Kernels(palette_of(objects))
    sets = [(scene, masks.clean_masks(scene.before, max_hole=0, max_speck=0)) for scene in scenes(kind, size, objects)]
    apart = [compared(kernels.result(scene, before), usual(scene)) for scene, before in sets]
    found = {name: max(each[name] for each in apart) for name in apart[0]}
    ours: list[Laps] = []
    theirs: list[Laps] = []
    for run in range(runs):
        scene, before = sets[run % SETS]
        ways: list[Callable[[], None]] = [
            lambda scene=scene, before=before: ours.append(kernels.run(scene, before)[1]),
            lambda scene=scene: theirs.append(usual(scene).laps),
        ]
        for way in ways[:: 1 if run % 2 else -1]:
            way()
    for step, parts in {**{step: (step,) for step in STEPS}, WITHOUT: STEPS_WITHOUT, CHAIN: STEPS}.items():
        row = {"masks": kind, "size": size_name, "step": step, **ratios(ours, theirs, parts)}
        yield {**row, **found} if step == CHAIN else row


def ratios(ours: list[Laps], theirs: list[Laps], parts: tuple[str, ...]) -> dict[str, float]:
    """Medians of some steps together, and how many times the usual way takes what the kernels take."""
    usual_ms, kernels_ms = ([sum(run.wall_ms[part] for part in parts) for run in way] for way in (theirs, ours))
    usual_cpu, kernels_cpu = (sum(run.cpu_ms[part] for run in way for part in parts) for way in (theirs, ours))
    each = [b / a for a, b in zip(kernels_ms, usual_ms, strict=True)]
    return {
        "usual_ms": round(statistics.median(usual_ms), 2), "kernels_ms": round(statistics.median(kernels_ms), 3),
        "ratio": round(statistics.median(each), 1), "least": round(min(each), 1), "most": round(max(each), 1),
        "cpu_ratio": round(usual_cpu / max(kernels_cpu, 1e-3), 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="runs of each way, in turns")
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    rows = []
    for kind in KINDS:
        for size_name in SIZES:
            found = list(measure(kind, size_name, options.objects, options.runs))
            table(f"{options.objects} {kind} masks at {size_name}: ms, and the usual way over the kernels", found)
            rows += [{"objects": options.objects, "runs": options.runs, **row} for row in found]
    threads = {"torch": torch.get_num_threads(), "opencv": cv2.getNumThreads()}
    libraries = {name: importlib.metadata.version(name) for name in PEERS}
    print(write("kernels", [{"threads": threads, "peers": libraries}, *rows], options.json))


if __name__ == "__main__":
    main()
