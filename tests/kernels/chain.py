"""One frame through all kernels, from logits to what the host gets: for tests on every backend and the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import images, masks
from kernels.colour import Nv12
from kernels.cuda.launch import Runner
from kernels.look import Look
from tests.kernels import pictures
from tests.kernels.blobs import Kind, logits

Array = Any
LOW_SIDE_PX = 288
HYSTERESIS = 0.25
CODE_CAPACITY = 8192
LOOK = Look(outline_px=2, feather_px=1)


@dataclass(frozen=True)
class Scene:
    """What a frame brings: objects found in it, the masks that tracks had, and the picture. NumPy arrays."""

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    previous: NDArray[np.uint32]
    track_stats: NDArray[np.int32]
    frame: Nv12
    palette: NDArray[np.uint8]


def scene(kind: Kind, objects: int, size: tuple[int, int], seed: int = 0) -> Scene:
    """As many tracks as objects, which were somewhere near a moment before."""
    found = logits(kind, objects, LOW_SIDE_PX, LOW_SIDE_PX, seed)
    before = masks.clean_masks(np.roll(found, (3, 5), (1, 2)), with_logits=False)
    random = np.random.default_rng(seed)
    return Scene(
        found,
        random.random(objects, np.float32),
        before.bits,
        before.stats,
        pictures.nv12(*size, seed, matrix="bt709"),
        random.integers(0, 256, (objects + 1, 4), np.uint8),
    )


def same(array: NDArray[Any]) -> Array:
    """Arrays stay in NumPy."""
    return array


class Chain:
    """The calls of one frame, in order. The first run makes the outputs, later runs write to the same ones."""

    def __init__(
        self, scene: Scene, put: Callable[[NDArray[Any]], Array] = same, runner: Runner | None = None,
        put_logits: Callable[[NDArray[Any]], Array] | None = None,
    ) -> None:  # fmt: skip
        """`put` brings an array to where the kernels run; `put_logits` does that for the logits, where these change
        their type on the way."""
        self.logits = (put_logits or put)(scene.logits)
        self.scores, self.previous, self.track_stats, self.palette = map(
            put, (scene.scores, scene.previous, scene.track_stats, scene.palette)
        )
        self.frame = Nv12(put(scene.frame.y), put(scene.frame.uv), scene.frame.matrix, scene.frame.full_range)
        self.size = scene.frame.size
        self.valid = put(np.array([len(scene.logits)], np.int32))
        self.tracks = put(np.array([len(scene.logits)], np.int32))
        self.runner = {} if runner is None else {"runner": runner}
        self.clean: Any = None
        self.order: Any = None
        self.video: Any = None
        self.overlap: Any = None
        self.among: Any = None
        self.keep: Any = None
        self.codes: Any = None
        self.picture: Any = None
        self.block: Any = None
        self.steps: dict[str, Callable[[], None]] = {
            "clean_masks": self.clean_masks,
            "score_order": self.score_order,
            "upsample_owner": self.upsample_owner,
            "iou": self.iou,
            "nms": self.nms,
            "rle_coco": self.rle_coco,
            "composite": self.composite,
            "assoc_pack": self.assoc_pack,
        }

    def run(self) -> None:
        """All steps."""
        for step in self.steps.values():
            step()

    def clean_masks(self) -> None:
        self.clean = masks.clean_masks(
            self.logits, previous=self.previous, hysteresis=HYSTERESIS, n_valid=self.valid, out=self.clean,
            **self.runner,
        )  # fmt: skip

    def score_order(self) -> None:
        self.order = masks.score_order(self.scores, n_valid=self.valid, out=self.order, **self.runner)

    def upsample_owner(self) -> None:
        self.video = masks.upsample_owner(
            self.clean.logits, self.clean.stats, self.order, self.size, n_valid=self.valid, with_bits=True,
            out=self.video, **self.runner,
        )  # fmt: skip

    def iou(self) -> None:
        self.overlap = masks.iou(
            self.clean.bits, self.previous, self.clean.stats, self.track_stats, n_a=self.valid, n_b=self.tracks,
            out=self.overlap, **self.runner,
        )  # fmt: skip

    def nms(self) -> None:
        self.among = masks.iou(
            self.clean.bits, self.clean.bits, self.clean.stats, self.clean.stats, n_a=self.valid, n_b=self.valid,
            out=self.among, **self.runner,
        )  # fmt: skip
        self.keep = masks.nms(self.among, self.scores, n_valid=self.valid, out=self.keep, **self.runner)

    def rle_coco(self) -> None:
        self.codes = masks.rle_coco(
            self.video.bits, self.video.stats, self.size[1], capacity=CODE_CAPACITY, n_valid=self.valid,
            out=self.codes, **self.runner,
        )  # fmt: skip

    def composite(self) -> None:
        self.picture = images.composite(
            self.frame, self.video.owner[0], self.palette, logits=self.clean.logits, look=LOOK, n_valid=self.valid,
            out=self.picture, **self.runner,
        )  # fmt: skip

    def assoc_pack(self) -> None:
        self.block = masks.assoc_pack(
            self.overlap, self.scores, self.clean.stats, keep=self.keep, video=self.video, codes=self.codes,
            n_valid=self.valid, m_valid=self.tracks, out=self.block, **self.runner,
        )  # fmt: skip
