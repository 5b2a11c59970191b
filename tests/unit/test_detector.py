"""The detector finds the people of the demo clip, in pixels of the picture it was given."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import stream
from stream.engines.light.detector import Detection, Detector
from stream.engines.words import COCO_NAMES
from stream.errors import ModelMissing
from stream.models.store import ModelStore
from stream.types import U8, BoxXyxyPx

CLIP = Path(stream.__file__).parent / "data" / "walking.mp4"
PEOPLE: tuple[BoxXyxyPx, ...] = ((522, 158, 547, 222), (296, 206, 320, 290), (686, 270, 714, 370))
"""The people in the clip's first frame, by eye."""
VAN: BoxXyxyPx = (653, 44, 725, 98)


@pytest.fixture(scope="module")
def detector(model_store: ModelStore) -> Detector:
    return Detector.load(model_store)


@pytest.fixture(scope="module")
def frame() -> U8:
    capture = cv2.VideoCapture(str(CLIP))
    read, bgr = capture.read()
    capture.release()
    assert read
    return bgr.astype(np.uint8)


def iou(a: BoxXyxyPx, b: BoxXyxyPx) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def people(found: list[Detection]) -> list[BoxXyxyPx]:
    return [detection.box_xyxy_px for detection in found if detection.label == "person"]


def test_all_people_are_found_once_and_nobody_else(detector: Detector, frame: U8) -> None:
    found = people(detector(frame))
    assert len(found) == len(PEOPLE)
    for person in PEOPLE:
        assert max(iou(person, box) for box in found) > 0.7


def test_a_van_is_found_as_some_vehicle(detector: Detector, frame: U8) -> None:
    vehicles = [d for d in detector(frame) if d.label in ("car", "truck", "bus")]
    assert max(iou(VAN, detection.box_xyxy_px) for detection in vehicles) > 0.7


def test_the_best_come_first_and_above_the_threshold(detector: Detector, frame: U8) -> None:
    scores = [detection.score for detection in detector(frame, 0.3)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0.3
    assert max(scores) <= 1
    assert len(detector(frame, 0.6)) < len(scores)
    assert detector(frame, 1.0) == []


def test_boxes_scale_with_the_picture(detector: Detector, frame: U8) -> None:
    larger = cv2.resize(frame, None, fx=1.5, fy=2.0, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    found = people(detector(larger))
    for person in PEOPLE:
        scaled = (person[0] * 1.5, person[1] * 2, person[2] * 1.5, person[3] * 2)
        assert max(iou(scaled, box) for box in found) > 0.6


def test_boxes_stay_within_the_picture(detector: Detector, frame: U8) -> None:
    cut = frame[:, 700:]  # through the person on the right
    for detection in detector(cut, 0.1):
        x0, y0, x1, y1 = detection.box_xyxy_px
        assert 0 <= x0 < x1 <= cut.shape[1]
        assert 0 <= y0 < y1 <= cut.shape[0]
        assert detection.label in COCO_NAMES


def test_a_region_is_answered_in_pixels_of_the_whole(detector: Detector, frame: U8) -> None:
    found = people(detector.in_region(frame, (420.4, 60.2, 680, 300)))
    assert max(iou(PEOPLE[0], box) for box in found) > 0.7
    assert max(iou(PEOPLE[1], box) for box in found) == 0


def test_a_region_that_reaches_beyond_the_picture_is_cut_to_it(detector: Detector, frame: U8) -> None:
    found = people(detector.in_region(frame, (-500, -500, 5000, 5000)))
    assert len(found) == len(PEOPLE)


@pytest.mark.parametrize(
    "rows_columns", [(slice(None), slice(None)), (slice(120, 552), slice(None)), (slice(None), slice(480, 768))]
)
def test_people_are_found_in_pictures_of_any_proportion(
    detector: Detector, frame: U8, rows_columns: tuple[slice, slice]
) -> None:
    rows, columns = rows_columns
    top, left = rows.start or 0, columns.start or 0
    part = np.ascontiguousarray(frame[rows, columns])
    found = people(detector(part))
    inside = [person for person in PEOPLE if person[0] >= left]
    assert len(found) == len(inside) > 0
    for x0, y0, x1, y1 in inside:
        assert max(iou((x0 - left, y0 - top, x1 - left, y1 - top), box) for box in found) > 0.7


@pytest.mark.parametrize("region", [(800, 0, 900, 100), (-50, -50, -10, -10), (100, 100, 100, 200), (9, 9, 3, 3)])
def test_a_region_outside_gives_nothing(detector: Detector, frame: U8, region: BoxXyxyPx) -> None:
    assert detector.in_region(frame, region) == []


def test_one_class_may_overlap_another(detector: Detector, frame: U8) -> None:
    found = detector(frame, 0.05)
    for index, first in enumerate(found):
        for second in found[index + 1 :]:
            assert first.label != second.label or iou(first.box_xyxy_px, second.box_xyxy_px) <= 0.51


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2000, 3), (1080, 1920, 3)])
def test_an_empty_picture_of_any_size_gives_nothing(detector: Detector, shape: tuple[int, ...]) -> None:
    assert detector(np.full(shape, 90, np.uint8)) == []


def test_a_missing_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        Detector.load(ModelStore(tmp_path))
