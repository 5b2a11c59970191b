"""Against Meta's own code: one small model, the same weights, outputs that `tests/goldens/make_sam3_goldens.py` made.

The weights go the way of a real `sam3.pt`: written under Meta's names, read by `load_model`. A parameter under a wrong
name, or one left out, would show in every output. What is compared is this project's network and stepper; transformers'
own detector beside them shows that the file's mapping alone, without our code, gives Meta's results.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Sam3VideoModel
from transformers.models.sam3 import modeling_sam3

from stream.engines.sam3 import memory as memory_module
from stream.engines.sam3 import network as network_module
from stream.engines.sam3.concepts import Concepts, read_vocabulary
from stream.engines.sam3.network import Network, Query
from stream.engines.sam3.stepping import Asked, Given, Stepper
from stream.engines.sam3.weights import load_model
from stream.models.sam3 import META_VOCABULARY, find_here
from tests.goldens import small_sam3 as small
from tests.goldens.meta_sam3 import roi_align
from tests.sam3_folders import write_merges, write_meta

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
GIVEN = {
    "clicks": Given(points=small.CLICKS_PX, labels=small.CLICK_LABELS),
    "click": Given(points=small.CLICKS_PX[:1], labels=small.CLICK_LABELS[:1]),
    "box": Given(box_xyxy=small.BOX_PX),
    "mask": Given(mask=torch.from_numpy(small.mask())),
}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(small.GOLDENS) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "versions"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Sam3VideoModel:
    found = find_here(str(write_meta(tmp_path_factory.mktemp("meta"))))
    assert found.form == "meta"
    return load_model(found, device=CPU, dtype=torch.float32)


@pytest.fixture(scope="module")
def network(model: Sam3VideoModel) -> Network:
    return Network(model, device=CPU, dtype=torch.float32)


def padded_tokens() -> tuple[Tensor, Tensor]:
    ids = torch.full((1, small.TEXT_LENGTH), small.TOKENS[-1])
    mask = torch.zeros((1, small.TEXT_LENGTH), dtype=torch.int64)
    ids[0, : len(small.TOKENS)] = torch.tensor(small.TOKENS)
    mask[0, : len(small.TOKENS)] = 1
    return ids, mask


def corners(boxes: Tensor) -> Tensor:
    return torch.cat((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), dim=1)


@pytest.mark.parametrize("name", ["text", "exemplars"])
def test_the_detector_finds_what_metas_finds(network: Network, golden: dict[str, Tensor], name: str) -> None:
    ids, mask = padded_tokens()
    boxes = torch.tensor(small.BOXES_CXCYWH) if name == "exemplars" else None
    labels = torch.tensor(small.BOX_LABELS) if name == "exemplars" else None
    query = Query(0, network.embed_text(ids, mask), boxes, labels)
    found = network.detect(network.encode(torch.from_numpy(small.pictures()[:1])), [query])
    assert golden[f"{name}.masks"].std() > 5, "an empty golden would prove nothing"
    torch.testing.assert_close(found.scores[0], golden[f"{name}.scores"], rtol=0, atol=3e-5)
    torch.testing.assert_close(found.boxes_xyxy[0], corners(golden[f"{name}.boxes_cxcywh"]), rtol=0, atol=3e-5)
    torch.testing.assert_close(found.masks[0], golden[f"{name}.masks"], rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", ["text", "exemplars"])
def test_transformers_with_the_mapped_weights_finds_it_too(
    model: Sam3VideoModel, golden: dict[str, Tensor], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta appends the geometry encoder's own token without boxes too; transformers does with a box that is masked."""
    ops = SimpleNamespace(ops=SimpleNamespace(roi_align=roi_align))
    monkeypatch.setattr(modeling_sam3, "torchvision", ops, raising=False)
    boxes, labels = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]), torch.tensor([[-10]])
    if name == "exemplars":
        boxes, labels = torch.tensor(small.BOXES_CXCYWH)[None], torch.tensor(small.BOX_LABELS)[None]
    ids, mask = padded_tokens()
    with torch.inference_mode():
        found = model.detector_model(
            pixel_values=torch.from_numpy(small.pictures()[:1]), input_ids=ids, attention_mask=mask,
            input_boxes=boxes, input_boxes_labels=labels,
        )  # fmt: skip
    scores = found.pred_logits[0].sigmoid() * found.presence_logits[0].sigmoid()
    torch.testing.assert_close(scores, golden[f"{name}.scores"], rtol=0, atol=3e-5)
    torch.testing.assert_close(found.presence_logits[0], golden[f"{name}.presence"], rtol=0, atol=3e-5)
    torch.testing.assert_close(found.pred_boxes[0], corners(golden[f"{name}.boxes_cxcywh"]), rtol=0, atol=3e-5)
    torch.testing.assert_close(found.pred_masks[0], golden[f"{name}.masks"], rtol=0, atol=1e-2)


def followed(network: Network, given: Given) -> dict[str, Tensor]:
    """One object through all frames, as the goldens were made."""
    stepper = Stepper(network, 1)
    slot, frames = stepper.open(), torch.from_numpy(small.pictures())
    masks, scores, pointers = [], [], []
    for frame in range(small.FRAMES):
        features, asked = network.encode(frames[frame : frame + 1]), [Asked(slot, 0, frame)]
        found = stepper.start(features, asked, [given]) if frame == 0 else stepper.propagate(features, asked)
        kind: Any = "pinned" if frame == 0 else "none"
        stepper.remember(features, asked, found.masks, found.scores, conditioning=kind, from_prompt=frame == 0)
        for kept, value in zip((masks, scores, pointers), (found.masks, found.scores, found.pointers), strict=True):
            kept.append(value[0].clone())
    shown = torch.stack([masks[frame] for frame in small.SHOWN])
    return {"masks": shown, "scores": torch.stack(scores), "pointers": torch.stack(pointers)}


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_the_stepper_follows_as_metas_tracker_does(
    network: Network, golden: dict[str, Tensor], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With memories that are not rounded, which would hide small differences behind large ones."""
    for module in (memory_module, network_module):
        monkeypatch.setattr(module, "MEMORY_DTYPE", torch.float32)
    found = followed(network, GIVEN[name])
    wanted = golden[f"{name}.masks"]
    assert (wanted > 0).float().mean() > 0.01, "an empty golden would prove nothing"
    torch.testing.assert_close(found["scores"], golden[f"{name}.scores"], rtol=0, atol=2e-4)
    torch.testing.assert_close(found["pointers"], golden[f"{name}.pointers"], rtol=0, atol=1e-3)
    torch.testing.assert_close(found["masks"], wanted, rtol=0, atol=2e-2)
    assert torch.equal(found["masks"] > 0, wanted > 0)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_rounded_memories_change_next_to_nothing(network: Network, golden: dict[str, Tensor], name: str) -> None:
    found, wanted = followed(network, GIVEN[name])["masks"], golden[f"{name}.masks"]
    assert ((found > 0) != (wanted > 0)).float().mean() < 2e-3


def test_metas_vocabulary_gives_metas_tokens(golden: dict[str, Tensor], tmp_path: Any) -> None:
    write_merges(tmp_path / META_VOCABULARY)
    concepts = Concepts(read_vocabulary(tmp_path / META_VOCABULARY), length=2 * small.TEXT_LENGTH)
    for text, wanted in zip(small.TEXTS, golden["tokens"].long(), strict=True):
        ids, mask = concepts.tokens(text)
        count = int(mask.sum())
        assert (ids[0, 0], ids[0, count - 1]) == tuple(golden["ends"].long())
        assert torch.equal(ids[0, :count], wanted[:count]), text
        assert not wanted[count:].any()
