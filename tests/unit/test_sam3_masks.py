"""Masks between the network and the host: cleaned, told apart, suppressed, measured, in one block."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels import cpu
from stream.engines.sam3 import masks
from stream.engines.sam3.masks import MOST_DETECTIONS, OFF_LOGIT, digest, pick, remembered
from tests.tiny_sam3 import tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 64
NONE = torch.zeros(0)


def boxes(*places: tuple[int, int, int, int], on: float = 3.0) -> Tensor:
    made = torch.full((len(places), SIDE, SIDE), -5.0)
    for mask, (x0, y0, x1, y1) in zip(made, places, strict=True):
        mask[y0:y1, x0:x1] = on
    return made


def decoded(code: bytes | None) -> np.ndarray:
    assert code is not None
    return cpu.rle_decode((SIDE, SIDE), code.decode()).astype(np.bool_)


def test_tracks_and_detections_come_in_one_block() -> None:
    tracks = boxes((5, 5, 20, 20), (40, 40, 50, 50))
    tracks[0, 10, 10] = -1.0  # a hole
    tracks[0, 60, 60] = 1.0  # a speck
    found = boxes((5, 5, 20, 21), (5, 5, 20, 22), (40, 40, 50, 52))
    scores, logits = torch.full((2, 4), 0.1), torch.full((2, 4, SIDE, SIDE), -5.0)
    for query, at, score, mask in ((0, 1, 0.8, found[0]), (0, 2, 0.9, found[1]), (1, 3, 0.7, found[2])):
        scores[query, at], logits[query, at] = score, mask
    picked = pick(scores, logits, 0.5, 4)
    made = digest(
        tracks, torch.tensor([1.0, 2.0]), [], picked, torch.tensor([7.0, 8.0, 9.0]),
        keys=torch.tensor([0, 1]), fill_area=16, nms_iou=0.1,
    )  # fmt: skip
    block, numbers = made.read()
    assert numbers.tolist() == [7.0, 8.0, 9.0]
    assert block.rows["score"].tolist() == pytest.approx([1.0, 2.0, 0.9, 0.8, 0.7])
    assert block.rows["stats"][:2, 1].tolist() == [225, 100]
    assert block.rows["keep"].tolist() == [1, 1, 1, 0, 1]
    assert picked.index[:3].tolist() == [2, 1, 7]
    assert block.iou[2:, 0].tolist() == pytest.approx([225 / 255, 225 / 240, 0])
    assert (decoded(block.codes[0]) == (boxes((5, 5, 20, 20))[0] > 0).numpy()).all()
    assert made.tracks[0, 10, 10] > 0 > made.tracks[0, 60, 60]
    assert made.detections is not None
    assert torch.equal(made.detections[2] > 0, found[2] > 0)


def test_a_pixel_is_shown_as_the_best_of_its_group() -> None:
    tracks = boxes((0, 0, 30, 30), (20, 0, 50, 30), (10, 0, 40, 30))
    made = digest(
        tracks, torch.tensor([1.0, 2.0, 9.0]), [torch.tensor([0, 1])], None, NONE, keys=None, fill_area=16, nms_iou=0.1
    )
    block, _ = made.read()
    first, second, other = (decoded(code) for code in block.codes)
    assert not (first & second).any()
    assert second.sum() == other.sum() == 900
    assert block.rows["stats"][:, 1].tolist() == [900, 900, 900]  # as tracked
    assert block.rows["video_stats"][:, 1].tolist() == [600, 900, 900]  # as shown
    assert block.iou[0, 1] == pytest.approx(300 / 1500)


def test_detections_suppress_each_other_within_a_prompt_only() -> None:
    logits = boxes((5, 5, 20, 20), (5, 5, 20, 21))[:, None]
    picked = pick(torch.tensor([[0.9], [0.8]]), logits, 0.5, 4)
    for keys, kept in (([0, 0], [1, 0]), ([0, 1], [1, 1])):
        made = digest(
            boxes()[:0], NONE, [], picked, NONE, keys=torch.tensor(keys), fill_area=16, nms_iou=0.1
        )  # fmt: skip
        assert made.read()[0].rows["keep"].tolist() == kept


def test_few_candidates_are_looked_at_and_numbers_that_are_none_come_last() -> None:
    scores = torch.rand(20, 50)
    scores[3, 4] = torch.nan
    picked = pick(scores, torch.zeros(20, 50, 4, 4), 0.5, 32)
    assert len(picked.scores) == MOST_DETECTIONS
    assert picked.scores.tolist() == sorted(picked.scores.tolist(), reverse=True)
    assert int(picked.count[0]) == int((picked.scores > 0.5).sum())
    assert 3 * 50 + 4 not in picked.index.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_remembered_is_what_the_model_would(seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 30, (6, 2), generator=drawn).tolist()
    logits = boxes(*((x, y, x + 30, y + 30) for x, y in corners)) + torch.randn(6, SIDE, SIDE, generator=drawn)
    prompts = torch.randint(0, 3, (6,), generator=drawn)
    hidden = torch.rand(6, generator=drawn) < 0.2
    groups = [group for value in range(3) if len(group := torch.nonzero(prompts == value).flatten()) > 1]
    made, scores = remembered(logits, groups, hidden, 0.3)
    theirs = logits.clone()
    theirs[hidden] = OFF_LOGIT
    theirs = tiny_model()._suppress_object_pw_area_shrinkage(theirs[:, None], prompts.tolist())[:, 0]
    assert torch.equal(made, theirs)
    assert torch.equal(scores > 0, (theirs > 0).flatten(1).any(dim=1))


def test_smaller_masks_lie_in_the_corner_of_the_kernels_one_size() -> None:
    """As on a GPU, whose kernel takes 288 pixels a side: the same masks, measures and codes."""
    drawn = torch.Generator().manual_seed(3)
    logits = torch.nn.functional.interpolate(
        torch.randn(4, 1, 9, 9, generator=drawn), (SIDE, SIDE), mode="bilinear"
    )[:, 0] + 0.3 * torch.randn(4, SIDE, SIDE, generator=drawn)  # fmt: skip
    inside = logits.clone()
    inside[:, -5:] = inside[:, :, -5:] = -1.0
    padded = torch.nn.functional.pad(inside, (0, 288 - SIDE, 0, 288 - SIDE), value=OFF_LOGIT)
    small, large = masks._clean(inside, 16, None), masks._clean(padded, 16, None)
    assert np.array_equal(small[1][:, 1:6], large[1][:, 1:6])
    assert torch.equal(small[2], large[2][:, :SIDE, :SIDE])
    cut = masks._cut(np.ascontiguousarray(large[0][:, :SIDE, : SIDE // 32]), SIDE)
    assert np.array_equal(small[0], cut)
