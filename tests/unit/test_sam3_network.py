"""The network's calls at static shapes against transformers' modules: features, detections, and other input sides."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stream.engines.sam3.detr import PADDING, box_features
from stream.engines.sam3.network import Concept, Network, Query
from stream.engines.sam3.preprocess import Preprocessor
from stream.engines.sam3.shape import Shape
from stream.types import Frame
from tests.bench.sam3_peers import Ours, build
from tests.tiny_sam3 import VOCABULARY, tiny_config, tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 112
CPU = torch.device("cpu")
EXACT = 1e-5
NO_BOX = torch.full((1, 1, 4), 0.5)
"""Stock leaves the geometry encoder's own token out when it is given no boxes; with one that is masked it does not."""
Prompted = tuple[int, Tensor, Tensor, Tensor | None, Tensor | None]
"""A picture, ids and mask of the tokens, boxes, and their labels."""


@pytest.fixture(scope="module")
def stock() -> Any:
    return amplify_detector(tiny_model(0, side=SIDE))


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(amplify_detector(tiny_model(0, side=SIDE)), device=CPU, dtype=torch.float32)


@torch.no_grad()
def amplify_detector(model: Any) -> Any:
    """As the tracker's weights are: what the detector finds then depends on the picture and on the prompt."""
    drawn = torch.Generator().manual_seed(9)
    detector = model.detector_model
    for part in (detector.geometry_encoder, detector.detr_encoder, detector.detr_decoder, detector.mask_decoder):
        for parameter in part.parameters():
            if parameter.dim() >= 2:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 1.2 / fan_in**0.5)
    return model


def photo(count: int, seed: int = 0, side: int = SIDE) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


def words(network: Network, count: int, seed: int) -> tuple[Concept, Tensor, Tensor]:
    """A concept of `count` tokens, and what stock gets instead."""
    drawn = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, VOCABULARY - 2, (1, network.shape.text), generator=drawn)
    mask = (torch.arange(network.shape.text) < count).long()[None]
    return network.embed_text(ids, mask), ids, mask


def exemplars(count: int, seed: int) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    centres = 0.3 + 0.4 * torch.rand(count, 2, generator=drawn)
    sizes = 0.05 + 0.5 * torch.rand(count, 2, generator=drawn)
    return torch.cat((centres, sizes), dim=1), torch.randint(0, 2, (count,), generator=drawn)


def assert_same(mine: Tensor, theirs: Tensor) -> None:
    """Within 1e-5, of the mean size of values that are logits."""
    assert mine.shape == theirs.shape
    assert float((mine - theirs).abs().max()) <= EXACT * max(1.0, float(theirs.abs().mean()))


def roi_align(features: Tensor, boxes: list[Tensor], size: int) -> Tensor:
    """torchvision's `roi_align` (not aligned, as many samples as a bin is wide), sample by sample."""
    made = []
    for picture, own in zip(features, boxes, strict=True):
        for x0, y0, x1, y1 in own.tolist():
            wide, high = max(x1 - x0, 1.0) / size, max(y1 - y0, 1.0) / size
            across, down = int(np.ceil(wide)), int(np.ceil(high))
            pooled = torch.zeros(picture.shape[0], size, size)
            for row in range(size):
                for column in range(size):
                    for i in range(down):
                        for j in range(across):
                            y, x = y0 + (row + (i + 0.5) / down) * high, x0 + (column + (j + 0.5) / across) * wide
                            pooled[:, row, column] += sample(picture, y, x) / (across * down)
            made.append(pooled)
    return torch.stack(made)


def sample(picture: Tensor, y: float, x: float) -> Tensor:
    height, width = picture.shape[-2:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros(picture.shape[0])
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    low, near = y - top, x - left
    upper = (1 - near) * picture[:, top, left] + near * picture[:, top, right]
    lower = (1 - near) * picture[:, bottom, left] + near * picture[:, bottom, right]
    return (1 - low) * upper + low * lower


@torch.inference_mode()
def one_by_one(stock: Any, pictures: Tensor, asked: list[Prompted]) -> list[Tensor]:
    """Stock's detector, a picture and a prompt at a time."""
    made = []
    for picture, ids, mask, boxes, labels in asked:
        output = stock.detector_model(
            pixel_values=pictures[picture : picture + 1], input_ids=ids, attention_mask=mask,
            input_boxes=NO_BOX if boxes is None else boxes[None],
            input_boxes_labels=torch.tensor([[PADDING]]) if labels is None else labels[None],
        )  # fmt: skip
        scores = output.pred_logits.sigmoid() * output.presence_logits.sigmoid()
        made.append((output.pred_boxes[0], scores[0], output.pred_masks[0]))
    return [torch.stack(column) for column in zip(*made, strict=True)]


def test_features_are_stocks_for_every_picture_of_a_batch(network: Network, stock: Any) -> None:
    pictures = photo(3)
    features = network.encode(pictures)
    with torch.inference_mode():
        embedded = stock.detector_model.get_vision_features(pixel_values=pictures)
        tracker, _ = stock.get_vision_features_for_tracker(vision_embeds=embedded)
        own = stock.detector_model.vision_encoder.neck(features.detector)[0]
    for mine, theirs in zip(own, embedded.fpn_hidden_states, strict=True):
        assert_same(mine, theirs)
    for mine, theirs in zip(features.tracker, tracker, strict=True):
        assert_same(mine.flatten(2).permute(2, 0, 1), theirs)


def test_all_queries_of_all_pictures_at_once_find_what_stock_finds_one_by_one(
    network: Network, stock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys.modules[type(stock.detector_model).__module__],
        "torchvision",
        SimpleNamespace(ops=SimpleNamespace(roi_align=roi_align)),
        raising=False,
    )
    pictures = photo(2, seed=4)
    queries, asked = [], []
    for picture, tokens, boxes in ((0, 3, 0), (1, 7, 1), (0, 32, 2), (1, 4, 5), (1, 3, 0)):
        concept, ids, mask = words(network, tokens, seed=tokens)
        own, labels = exemplars(boxes, seed=boxes) if boxes else (None, None)
        queries.append(Query(picture, concept, own, labels))
        asked.append((picture, ids, mask, own, labels))
    found = network.detect(network.encode(pictures), queries)
    made = one_by_one(stock, pictures, asked)
    for mine, theirs in zip((found.boxes_xyxy, found.scores, found.masks), made, strict=True):
        assert_same(mine, theirs)
    assert float((found.boxes_xyxy[0] - found.boxes_xyxy[2]).abs().max()) > 1e-3


def test_padding_to_the_longest_list_of_examples_changes_nothing(network: Network) -> None:
    concept = words(network, 5, seed=1)[0]
    features = network.encode(photo(1))
    few, many = exemplars(1, seed=2), exemplars(9, seed=3)
    alone = network.detect(features, [Query(0, concept, *few)])
    text = network.detect(features, [Query(0, concept)])
    beside = network.detect(features, [Query(0, concept, *few), Query(0, concept, *many), Query(0, concept)])
    for name in ("boxes_xyxy", "scores", "masks"):
        together = getattr(beside, name)
        assert_same(together[0], getattr(alone, name)[0])
        assert_same(together[2], getattr(text, name)[0])


def test_examples_unlike_the_object_are_not_taken_as_examples_of_it(network: Network) -> None:
    concept = words(network, 5, seed=1)[0]
    features = network.encode(photo(1))
    box = torch.tensor([[0.4, 0.5, 0.3, 0.2]])
    like, unlike = (network.detect(features, [Query(0, concept, box, torch.tensor([label]))]) for label in (1, 0))
    assert float((like.scores - unlike.scores).abs().max()) > 1e-4


@pytest.mark.parametrize("side", [8, 24, 72])
def test_box_features_are_roi_align(side: int) -> None:
    features = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    boxes = torch.tensor(
        [[[0.5, 0.5, 1.0, 1.0], [0.2, 0.7, 0.01, 0.3]], [[0.95, 0.1, 0.4, 0.3], [0.31, 0.47, 0.333, 0.777]]]
    )
    corners = torch.cat((boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2), dim=-1) * side
    wanted = roi_align(features, list(corners), 7)
    torch.testing.assert_close(box_features(features, boxes, 7).flatten(0, 1), wanted, atol=2e-5, rtol=0)


def test_another_side_is_what_a_model_built_for_it_computes() -> None:
    """Also where the patches' position embeddings have to be tiled: they stay those of the model's first side."""
    source = tiny_model(0, side=SIDE)
    config = tiny_config(224)
    for part in (config.detector_config.vision_config, config.tracker_config.vision_config):
        part.backbone_config.pretrain_image_size = SIDE
    built = type(source)(config).eval()
    built.load_state_dict(source.state_dict())
    picture = photo(1, side=224)
    fitted = Network(copy.deepcopy(source), device=CPU, dtype=torch.float32, side=224)
    assert fitted.shape == Shape.of(config)
    mine, theirs = fitted.encode(picture), Network(built, device=CPU, dtype=torch.float32).encode(picture)
    for one, other in zip((mine.detector, *mine.tracker), (theirs.detector, *theirs.tracker), strict=True):
        assert torch.equal(one, other)
    with torch.inference_mode():
        stock = built.detector_model.get_vision_features(pixel_values=picture).last_hidden_state
    assert_same(mine.detector.flatten(2).transpose(1, 2), stock)


def test_a_side_that_is_no_multiple_of_the_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        Shape.of(tiny_config(SIDE), 100)


def test_sizes_of_the_real_model() -> None:
    from transformers import Sam3VideoConfig

    full, small = Shape.of(Sam3VideoConfig()), Shape.of(Sam3VideoConfig(), 672)
    assert (full.side, full.grid, full.mask, full.memory_mask, full.hidden, full.memory) == (
        1008,
        72,
        288,
        1152,
        256,
        64,
    )
    assert (full.recent, full.pointers, full.splits, full.text) == (6, 15, 4, 32)
    assert (small.grid, small.mask) == (48, 192)


@pytest.mark.soak
@pytest.mark.parametrize("side", [1008, 672, 504])
def test_a_step_in_full_size_fits_together(side: int) -> None:
    """Shapes and dtypes only, on torch's meta device: four cameras, full memories, a concept with examples."""
    meta = torch.device("meta")
    ours = Ours(
        build("full", device=meta, dtype=torch.bfloat16, side=side), 5, cameras=4, device=meta, dtype=torch.bfloat16,
        vouched=4,
    )  # fmt: skip
    shape = ours.network.shape
    shown = torch.zeros(4, 3, side, side, dtype=torch.bfloat16, device=meta)
    for frame in range(6):
        masks = ours.step(shown, frame)
    assert masks.shape == (5, 4 * side // 14, 4 * side // 14)
    tokens = torch.zeros(1, shape.text, shape.hidden, dtype=torch.bfloat16, device=meta)
    concept = Concept(tokens, torch.ones(1, shape.text, dtype=torch.bool, device=meta))
    found = ours.network.detect(ours.network.encode(shown), [Query(0, concept), Query(3, concept, *exemplars(2, 1))])
    assert found.masks.shape == (2, 200, shape.mask, shape.mask)
    assert found.masks.dtype == masks.dtype == torch.bfloat16


def test_a_frame_becomes_a_square_picture_in_the_models_range() -> None:
    frame = Frame(
        index=0, epoch=0, pts=0, rtp=0, captured_unix_us=None, received_s=0.0, decoded_s=0.0,
        y=np.full((48, 64), 235, np.uint8), uv=np.full((24, 32, 2), 128, np.uint8),
    )  # fmt: skip
    made = Preprocessor(SIDE, device=CPU, dtype=torch.bfloat16)([frame, frame])
    assert made.shape == (2, 3, SIDE, SIDE)
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), torch.ones(2, 3, SIDE, SIDE), atol=0.02, rtol=0)
