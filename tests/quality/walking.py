"""The walking people: a real clip with boxes and ids set by hand, and what an engine makes of the word "person"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from stream.engines.base import Engine, StepError
from stream.types import CLOCK_HZ, Frame, Prompt, PromptKind, TrackState
from tests.quality.cutouts import DATA
from tests.quality.metrics import Box, Detection, detection

CLIP = Path(__file__).parent.parent.parent / "stream" / "data" / "walking.mp4"
LEAD_IN_FRAMES = 30
"""The engine sees three seconds of the clip before the first frame that it is judged on."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Boxes of every person by frame number of the clip; hidden by half or more, or half outside, is `ignore`."""

    first: int
    last: int
    fps: int
    boxes: dict[int, tuple[Box, ...]]


def annotation() -> Annotation:
    """Read `walking.json`."""
    data = json.loads((DATA / "walking.json").read_text())
    boxes: dict[int, list[Box]] = {k: [] for k in range(data["first_frame"], data["last_frame"] + 1)}
    for frame, person, x0, y0, x1, y1, occluded in data["boxes"]:
        boxes[frame].append(Box(person, (x0, y0, x1, y1), bool(occluded)))
    return Annotation(data["first_frame"], data["last_frame"], data["fps"], {k: tuple(v) for k, v in boxes.items()})


def clip(last: int, fps: int) -> Iterator[Frame]:
    """The clip's frames up to number `last`, on a media clock of `fps`."""
    with av.open(str(CLIP)) as container:
        for k, picture in enumerate(container.decode(video=0)):
            if k > last:
                return
            planes = picture.to_ndarray(format="nv12")
            height, width = picture.height, picture.width
            pts = k * CLOCK_HZ // fps
            yield Frame(
                index=k, epoch=0, pts=pts, rtp=pts, captured_unix_us=None, received_s=k / fps, decoded_s=k / fps,
                y=np.ascontiguousarray(planes[:height]),
                uv=np.ascontiguousarray(planes[height:].reshape(height // 2, width // 2, 2)),
            )  # fmt: skip


def small(box: Box, height_px: float) -> Box:
    """The same box, to be ignored where it is less than `height_px` tall."""
    return Box(box.id, box.xyxy, box.ignore or box.xyxy[3] - box.xyxy[1] < height_px)


def follow_people(engine: Engine, *, tall_px: float = 60) -> Detection:
    """Ask for "person" and compare the boxes of live tracks with the annotation, people from `tall_px` on."""
    truth = annotation()
    tracker = engine.open_tracker()
    frames: list[tuple[list[Box], list[Box]]] = []
    start = truth.first - LEAD_IN_FRAMES
    try:
        for frame in clip(truth.last, truth.fps):
            if frame.index < start:
                continue
            if frame.index == start:
                tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="person", frame=frame.ref))
            result = engine.step([(tracker, frame)])[0]
            if isinstance(result, StepError):
                raise result.error
            if frame.index >= truth.first:
                said = [Box(t.id, t.box_xyxy_px) for t in result.tracks if t.state is TrackState.LIVE]
                frames.append(([small(b, tall_px) for b in truth.boxes[frame.index]], said))
    finally:
        tracker.close()
    return detection(frames)
