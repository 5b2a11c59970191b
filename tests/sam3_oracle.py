"""transformers' own SAM 3 tracker, streaming one object after another: what the live engine must agree with.

Every computation is stock's. What is added is the exact prune: stock keeps everything for ever, of which only the last
15 pointers, the last 6 memories and 4 conditioning frames are ever read again. Where stock is wrong by design, its
single functions are called with what they should have got: a correction gets the memory and the mask before it, and
memories of prompted and of followed objects are encoded in separate calls, since stock takes all masks of a frame as
certain as soon as one was prompted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoImageSegmentationOutput
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession, Sam3VideoModel

POINTERS = 15
MEMORIES = 6
CONDITIONING = 4
LOGIT_LIMIT = 32.0


class LiveSession(Sam3VideoInferenceSession):
    """Counts the frames that it has seen, however few of them it still holds."""

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(
            inference_device=device, inference_state_device=device, video_storage_device=device, dtype=dtype
        )
        self.obj_with_new_inputs: list[int] = []
        self.seen = 0

    @property
    def num_frames(self) -> int:
        return self.seen

    def add_new_frame(self, pixel_values: Tensor, frame_idx: int | None = None) -> int:
        index = self.seen if frame_idx is None else frame_idx
        self.seen = max(self.seen, index + 1)
        return int(super().add_new_frame(pixel_values, index))


@dataclass(frozen=True)
class Found:
    """One object: `mask` `(mask, mask)` logits, `score` a logit, `pointer` `(hidden,)`."""

    mask: Tensor
    score: Tensor
    pointer: Tensor


class Oracle:
    """One stream. In each frame: `see`, `track`, prompts, `remember`."""

    def __init__(self, model: Sam3VideoModel, *, pruned: bool = True) -> None:
        parameter = next(model.parameters())
        self.session = LiveSession(parameter.device, parameter.dtype)
        self._model = model
        self._tracker = model.tracker_model
        self._pruned = pruned
        self._frame = -1
        self._picture = torch.empty(0)
        self._pinned: dict[int, int] = {}

    @torch.inference_mode()
    def see(self, picture: Tensor) -> None:
        """The next frame, `(3, side, side)`: its features are computed."""
        self._frame += 1
        self._picture = picture
        embedded = self._model.detector_model.get_vision_features(pixel_values=picture[None])
        features, positions = self._model.get_vision_features_for_tracker(vision_embeds=embedded)
        self.session.cache.cache_vision_features(
            self._frame, {"vision_feats": features, "vision_pos_embeds": positions}
        )
        self.session.add_new_frame(picture, self._frame)

    @torch.inference_mode()
    def track(self) -> dict[int, Found]:
        """Stock's step: every object followed into this frame."""
        if not self.session.obj_ids:
            return {}
        self._tracker(inference_session=self.session, frame_idx=self._frame, frame=self._picture, run_mem_encoder=False)
        return {id_: self.found(id_) for id_ in self.session.obj_ids}

    @torch.inference_mode()
    def start(
        self, id_: int, *, points: Tensor | None = None, labels: Tensor | None = None, mask: Tensor | None = None
    ) -> Found:
        """A new object. `points`: `(P, 2)` pixels, `labels`: `(P,)`; or `mask`: `(h, w)` of 0 and 1."""
        self.session.obj_id_to_idx(id_)
        given = None if mask is None else mask[None, None].float()
        with mock.patch.object(self._tracker, "_use_mask_as_output", partial(mask_as_output, self._tracker)):
            return self._infer(id_, _points(points, labels), given, first=True)

    @torch.inference_mode()
    def refine(self, id_: int, points: Tensor, labels: Tensor, before: Tensor) -> Found:
        """Correct an object: with its memory and the mask logits `before`, `(mask, mask)`."""
        self._store(id_).get("non_cond_frame_outputs", {}).pop(self._frame, None)
        hint = before[None, None].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        return self._infer(id_, _points(points, labels), None, first=False, hint=hint)

    def _infer(
        self, id_: int, points: dict[str, Tensor] | None, mask: Tensor | None, *, first: bool,
        hint: Tensor | None = None,
    ) -> Found:  # fmt: skip
        index = self.session.obj_id_to_idx(id_)
        made = self._tracker._run_single_frame_inference(
            inference_session=self.session, frame_idx=self._frame, obj_idx=index, batch_size=1,
            is_init_cond_frame=first, point_inputs=points, mask_inputs=mask, reverse=False,
            prev_sam_mask_logits=hint, streaming=True,
        )  # fmt: skip
        self.session.store_output(index, self._frame, output_value=made, is_conditioning_frame=True)
        self._pinned[id_] = self._frame
        return self.found(id_)

    @torch.inference_mode()
    def remember(self, ids: list[int], masks: Tensor, scores: Tensor, *, from_prompt: bool) -> None:
        """`masks`: `(N, mask, mask)` logits, `scores`: `(N,)`."""
        features = self.session.cache.get_vision_features(self._frame)["vision_feats"][-1]
        memories, positions = self._tracker._encode_new_memory(
            current_vision_feats=features, pred_masks_high_res=masks[:, None],
            object_score_logits=scores[:, None, None], is_mask_from_pts=from_prompt,
        )  # fmt: skip
        for number, id_ in enumerate(ids):
            output = self._output(id_)
            output["maskmem_features"] = memories[:, number : number + 1]
            output["maskmem_pos_enc"] = positions[:, :1]

    def recondition(self, id_: int) -> None:
        """From now on this frame is one that vouches for the object, as stock does it after a confident detection."""
        store = self._store(id_)
        store["cond_frame_outputs"][self._frame] = store["non_cond_frame_outputs"].pop(self._frame)

    def remove(self, id_: int) -> None:
        if len(self.session.obj_ids) == 1:
            raise ValueError("stock forgets the whole session when its last object is removed")
        self.session.remove_object(id_)
        self._pinned.pop(id_, None)

    def found(self, id_: int) -> Found:
        output = self._output(id_)
        return Found(
            output["pred_masks"][0, 0], output["object_score_logits"].flatten()[0], output["object_pointer"].flatten()
        )

    def stored(self, id_: int) -> dict[str, dict[int, dict[str, Any]]]:
        """Everything kept of an object: by kind of frame, frame, and name."""
        return self._store(id_)

    def end_frame(self) -> None:
        """Drop what will never be read again."""
        if not self._pruned:
            return
        prune(self.session, self._frame, self._pinned)

    def _store(self, id_: int) -> dict[str, dict[int, dict[str, Any]]]:
        store: dict[str, dict[int, dict[str, Any]]] = self.session.output_dict_per_obj[self.session.obj_id_to_idx(id_)]
        return store

    def _output(self, id_: int) -> dict[str, Any]:
        store = self._store(id_)
        kinds = (store["cond_frame_outputs"], store["non_cond_frame_outputs"])
        return next(kind[self._frame] for kind in kinds if self._frame in kind)


def mask_as_output(tracker: Any, coarse: Tensor, fine: list[Tensor], mask: Tensor) -> Any:
    """What stock makes of a given mask, as Meta's code has it: at four times the size of the decoder's hint, where
    stock takes the picture's, and with a single mask decoded, where stock takes the best of three."""
    quarter = tracker.prompt_encoder.mask_input_size
    given = _resized(mask, (4 * quarter[0], 4 * quarter[1])).to(coarse.dtype)
    hint = tracker.mask_downsample(given)
    decoded = tracker._single_frame_forward(
        input_masks=hint, image_embeddings=[*fine, coarse], multimask_output=False
    )  # fmt: skip
    there = (mask.flatten(1).amax(dim=1, keepdim=True) > 0).to(coarse.dtype)
    return Sam3TrackerVideoImageSegmentationOutput(
        iou_scores=there.new_ones(len(mask), 1),
        pred_masks=_resized(given * 20.0 - 10.0, quarter),
        high_res_masks=given * 20.0 - 10.0,
        object_pointer=there * decoded.object_pointer + (1 - there) * tracker.no_object_pointer,
        object_score_logits=(20.0 * there - 10.0)[..., None],
        image_embeddings=[*fine, coarse],
    )


def _resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    if mask.shape[-2:] == size:
        return mask
    return functional.interpolate(mask.float(), size, mode="bilinear", align_corners=False, antialias=True)


def prune(session: LiveSession, now: int, pinned: dict[int, int]) -> None:
    """Drop what will never be read again after frame `now`. `pinned`: the frame of each object that must be kept."""
    frames = session.processed_frames
    for frame in [frame for frame in frames if frame < now]:
        del frames[frame]
    for id_, index in session._obj_id_to_idx.items():
        store = session.output_dict_per_obj[index]
        recent, vouched = store["non_cond_frame_outputs"], store["cond_frame_outputs"]
        for frame in [frame for frame in recent if frame <= now - POINTERS]:
            del recent[frame]
        for frame, output in recent.items():
            output.pop("high_res_masks", None)
            if frame <= now - MEMORIES:
                output["maskmem_features"] = output["maskmem_pos_enc"] = None
        others = sorted(frame for frame in vouched if frame != pinned.get(id_))
        for frame in others[: max(0, len(vouched) - CONDITIONING)]:
            del vouched[frame]
        tracked = session.frames_tracked_per_obj[index]
        for frame in [frame for frame in tracked if frame <= now - POINTERS]:
            del tracked[frame]


def _points(points: Tensor | None, labels: Tensor | None) -> dict[str, Tensor] | None:
    if points is None or labels is None:
        return None
    return {"point_coords": points[None, None], "point_labels": labels[None, None]}
