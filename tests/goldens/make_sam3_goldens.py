"""Golden tensors of a small SAM 3, computed by Meta's own code: the second oracle beside transformers.

Run it in an environment of its own, never the project's: Meta's package pins other versions.

    python -m venv /somewhere/meta && . /somewhere/meta/bin/activate
    pip install torch==2.13.0 "numpy<3" iopath ftfy regex huggingface_hub tqdm psutil pillow scipy \
        opencv-python-headless einops pycocotools
    pip install --no-deps timm sam3==0.1.4 triton
    python tests/goldens/make_sam3_goldens.py

It needs no GPU and no weights; `meta_sam3.py` says what is put around Meta's code. `--goldens-only` leaves the list of
the released model's keys as it is, which takes the most time and memory.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.goldens import small_sam3 as small
from tests.goldens.meta_sam3 import detector, load, prepare, tracker

VERSIONS = ("sam3", "torch", "timm", "numpy")


def detect(model: Any, *, boxes: bool) -> dict[str, Tensor]:
    """One picture, the concept, with box exemplars or without."""
    from sam3.model.data_misc import FindStage
    from sam3.model.geometry_encoders import Prompt

    features = model.backbone.forward_image(torch.from_numpy(small.pictures()[:1]))
    features.update(model.backbone.forward_text(["a concept"], device="cpu"))
    count = len(small.BOXES_CXCYWH) if boxes else 0
    prompt = Prompt(
        box_embeddings=torch.tensor(small.BOXES_CXCYWH[:count]).reshape(count, 1, 4),
        box_mask=torch.zeros(1, count, dtype=torch.bool),
        box_labels=torch.tensor(small.BOX_LABELS[:count], dtype=torch.long).reshape(count, 1),
    )
    first = torch.tensor([0])
    stage = FindStage(
        img_ids=first, text_ids=first, input_boxes=None, input_boxes_mask=None, input_boxes_label=None,
        input_points=None, input_points_mask=None,
    )  # fmt: skip
    out = model.forward_grounding(features, stage, None, prompt)
    return {
        "scores": out["pred_logits"][0, :, 0].sigmoid(),
        "presence": out["presence_logit_dec"].reshape(-1),
        "boxes_cxcywh": out["pred_boxes"][0],
        "masks": out["pred_masks"][0],
    }


def features_of(detector: Any, tracker: Any, frame: int) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
    """The tracker's view of a frame, as `Sam3TrackerBase.forward_image` prepares it."""
    out = detector.backbone.forward_image(torch.from_numpy(small.pictures()[frame : frame + 1]))["sam2_backbone_out"]
    out["backbone_fpn"][0] = tracker.sam_mask_decoder.conv_s0(out["backbone_fpn"][0])
    out["backbone_fpn"][1] = tracker.sam_mask_decoder.conv_s1(out["backbone_fpn"][1])
    _, features, positions, sizes = tracker._prepare_backbone_features(out)
    return features, positions, sizes


def track(detector: Any, tracker: Any, given: dict[str, Any]) -> dict[str, Tensor]:
    """One object from a prompt on the first frame through all others.

    Memories are made as Meta's video model makes them, from the small masks brought to the memory encoder's size; they
    are not rounded to bfloat16 as it stores them, which would hide small differences behind large ones.
    """
    outputs: dict[str, dict[int, dict[str, Any]]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    masks, scores, pointers = [], [], []
    for frame in range(small.FRAMES):
        features, positions, sizes = features_of(detector, tracker, frame)
        out = tracker.track_step(
            frame_idx=frame, is_init_cond_frame=frame == 0, current_vision_feats=features,
            current_vision_pos_embeds=positions, feat_sizes=sizes, image=None,
            point_inputs=given.get("points") if frame == 0 else None,
            mask_inputs=given.get("mask") if frame == 0 else None,
            output_dict=outputs, num_frames=frame + 1, run_mem_encoder=False,
        )  # fmt: skip
        if out["mask_inputs"] is not None:  # its small mask has a size that nothing else has: 16 g // 14 * 4
            out["pred_masks"] = _resized(out["pred_masks_high_res"], 4 * small.GRID)
        masks.append(out["pred_masks"][0, 0])
        scores.append(out["object_score_logits"].reshape(()))
        pointers.append(out["obj_ptr"][0])
        memory, out["maskmem_pos_enc"] = tracker._encode_new_memory(
            image=None, current_vision_feats=features, feat_sizes=sizes,
            pred_masks_high_res=_resized(out["pred_masks"], small.MASK_SIDE),
            object_score_logits=out["object_score_logits"], is_mask_from_pts=frame == 0,
        )  # fmt: skip
        out["maskmem_features"] = memory
        outputs["cond_frame_outputs" if frame == 0 else "non_cond_frame_outputs"][frame] = out
    return {
        "masks": torch.stack([masks[frame] for frame in small.SHOWN]),
        "scores": torch.stack(scores),
        "pointers": torch.stack(pointers),
    }


def _resized(masks: Tensor, side: int) -> Tensor:
    smaller = side < masks.shape[-1]
    return functional.interpolate(masks, (side, side), mode="bilinear", align_corners=False, antialias=smaller)


def objects() -> dict[str, dict[str, Any]]:
    """What is followed: from two clicks, from one, from a box, from a mask."""
    clicks = torch.tensor(small.CLICKS_PX)[None], torch.tensor(small.CLICK_LABELS, dtype=torch.int32)[None]
    box = torch.tensor(small.BOX_PX).reshape(1, 2, 2), torch.tensor([[2, 3]], dtype=torch.int32)
    return {
        "clicks": {"points": {"point_coords": clicks[0], "point_labels": clicks[1]}},
        "click": {"points": {"point_coords": clicks[0][:, :1], "point_labels": clicks[1][:, :1]}},
        "box": {"points": {"point_coords": box[0], "point_labels": box[1]}},
        "mask": {"mask": torch.from_numpy(small.mask())[None, None].float()},
    }


def tokens() -> dict[str, Tensor]:
    """Each text under Meta's tokenizer, with a small list of merges."""
    from sam3.model.tokenizer_ve import SimpleTokenizer

    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder) / "merges.txt.gz"
        merges.write_bytes(gzip.compress("\n".join(("#version: 0.2", *small.MERGES)).encode()))
        tokenizer = SimpleTokenizer(str(merges))
    ids = tokenizer(list(small.TEXTS), context_length=2 * small.TEXT_LENGTH)
    return {"tokens": ids, "ends": torch.tensor([tokenizer.sot_token_id, tokenizer.eot_token_id])}


def write_keys(path: Path, model: nn.Module) -> None:
    lines = [
        f"{name} {str(tuple(value.shape)).replace(' ', '')} {str(value.dtype).removeprefix('torch.')}"
        for name, value in model.state_dict().items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_released_keys() -> None:
    """Names and shapes of the released model: built whole, without weights."""
    from sam3.model_builder import build_sam3_video_model

    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder) / "merges.txt.gz"
        merges.write_bytes(gzip.compress(b"#version\nt h\n"))
        write_keys(small.KEYS, build_sam3_video_model(load_from_HF=False, bpe_path=str(merges), device="cpu"))


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    prepare()
    model = nn.ModuleDict({"detector": detector(), "tracker": tracker()}).eval()
    load(model)
    write_keys(small.SMALL_KEYS, model)
    goldens: dict[str, Tensor] = tokens()
    for name, boxes in {"text": False, "exemplars": True}.items():
        goldens.update({f"{name}.{key}": value for key, value in detect(model["detector"], boxes=boxes).items()})
    for name, given in objects().items():
        found = track(model["detector"], model["tracker"], given)
        goldens.update({f"{name}.{key}": value for key, value in found.items()})
    arrays = {name: value.float().numpy() for name, value in goldens.items()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    np.savez_compressed(small.GOLDENS, versions=np.array(versions), **arrays)
    if "--goldens-only" not in sys.argv:
        write_released_keys()


if __name__ == "__main__":
    main()
