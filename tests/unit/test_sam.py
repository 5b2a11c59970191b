"""SAM at a small input: what a click and a box give, and the shapes that the tracker relies on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.engines.light.sam import Sam
from stream.errors import ModelMissing
from stream.models.store import ModelStore

SIDE = 320
CENTRE, RADIUS = (190, 150), 50
SECOND = (70, 230)


@pytest.fixture(scope="module")
def sam(model_store: ModelStore) -> Sam:
    return Sam.load(model_store)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """Two disks on a soft gradient with a little noise."""
    rng = np.random.default_rng(5)
    image = np.repeat(np.linspace(40, 120, SIDE)[None, :, None], SIDE, 0).repeat(3, 2)
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    cv2.circle(image, CENTRE, RADIUS, (40, 160, 220), -1, cv2.LINE_AA)
    cv2.circle(image, SECOND, 30, (200, 90, 60), -1, cv2.LINE_AA)
    return image


def disk(centre: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:SIDE, :SIDE]
    inside: NDArray[np.bool_] = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2
    return inside


def iou(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    mask = cv2.resize(logits, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > 0
    return float((mask & truth).sum() / (mask | truth).sum())


def best_iou(logits: NDArray[np.float32], ious: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    return iou(logits[int(ious.argmax())], truth)


def test_shapes(sam: Sam, picture: NDArray[np.uint8]) -> None:
    embedding = sam.encode(picture)
    assert embedding.shape == (1, 256, 20, 20)
    assert embedding.dtype == np.float32
    logits, ious = sam.decode(embedding, [CENTRE], [1])
    assert logits.shape == (4, 80, 80)
    assert ious.shape == (4,)
    assert logits.dtype == ious.dtype == np.float32
    assert sam.side == SIDE


@pytest.mark.parametrize("offset", [(0, 0), (30, 0), (-20, 25), (0, -38)])
def test_a_click_inside_the_disk_gives_the_disk(sam: Sam, picture: NDArray[np.uint8], offset: tuple[int, int]) -> None:
    point = (CENTRE[0] + offset[0], CENTRE[1] + offset[1])
    logits, ious = sam.decode(sam.encode(picture), [point], [1])
    assert best_iou(logits, ious, disk(CENTRE, RADIUS)) > 0.95


def test_a_box_gives_what_is_in_it(sam: Sam, picture: NDArray[np.uint8]) -> None:
    embedding = sam.encode(picture)
    for centre, radius in ((CENTRE, RADIUS), (SECOND, 30)):
        x, y = centre
        logits, _ = sam.decode(embedding, [], [], (x - radius, y - radius, x + radius, y + radius))
        assert iou(logits[0], disk(centre, radius)) > 0.95


def test_box_points_and_the_earlier_mask_go_together(sam: Sam, picture: NDArray[np.uint8]) -> None:
    embedding = sam.encode(picture)
    logits, ious = sam.decode(embedding, [CENTRE], [1])
    earlier = logits[int(ious.argmax())]
    again, _ = sam.decode(embedding, [CENTRE, SECOND], [1, 0], (138, 98, 242, 202), earlier)
    assert iou(again[0], disk(CENTRE, RADIUS)) > 0.95


def test_the_same_input_gives_the_same_mask(sam: Sam, picture: NDArray[np.uint8]) -> None:
    first = sam.decode(sam.encode(picture), [CENTRE], [1])
    second = sam.decode(sam.encode(picture), [CENTRE], [1])
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("shape", [(300, 320, 3), (320, 320), (320, 320, 4), (0, 0, 3)])
def test_another_size_is_refused(sam: Sam, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="320×320"):
        sam.encode(np.zeros(shape, np.uint8))


def test_another_kind_of_number_is_refused(sam: Sam) -> None:
    with pytest.raises(ValueError, match="float32"):
        sam.encode(np.zeros((SIDE, SIDE, 3), np.float32))


def test_points_without_labels_are_refused(sam: Sam, picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="2 points with 1 labels"):
        sam.decode(sam.encode(picture), [CENTRE, SECOND], [1])


def test_a_missing_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        Sam.load(ModelStore(tmp_path))


def test_a_broken_file_is_said(tmp_path: Path, model_store: ModelStore) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelMissing, match="cannot be read") as caught:
        Sam(tmp_path / "encoder.onnx", model_store.path("sam-decoder-320"), SIDE)
    assert "Delete the file" in caught.value.action
    with pytest.raises(ModelMissing, match="is not there"):
        Sam(tmp_path / "nothing.onnx", model_store.path("sam-decoder-320"), SIDE)
