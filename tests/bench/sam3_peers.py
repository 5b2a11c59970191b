"""What `tests.bench.sam3` compares: the live engine's step, transformers' tracker, and transformers' whole streaming.

Random weights never detect anything, so stock is handed detections, the same in each frame, in place of what its
detector finds, and is told that its masks fit them: all objects live for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformers import Sam3VideoConfig, Sam3VideoModel

from stream.engines.sam3.graphs import Runner
from stream.engines.sam3.network import Concept, Features, Network, Query
from stream.engines.sam3.resize import fit
from stream.engines.sam3.shape import Shape
from stream.engines.sam3.stepping import Asked, Given, Stepper
from tests.sam3_oracle import LiveSession, Oracle, prune
from tests.tiny_sam3 import amplify, tiny_config


def middle_config() -> Sam3VideoConfig:
    """The real tracker, with a small backbone and detector, on pictures of 224 px."""
    config = Sam3VideoConfig()
    config.image_size = 224
    for vision in (config.detector_config.vision_config, config.tracker_config.vision_config):
        backbone = vision.backbone_config
        backbone.hidden_size, backbone.intermediate_size = 256, 512
        backbone.num_hidden_layers, backbone.num_attention_heads, backbone.global_attn_indexes = 4, 4, [3]
        backbone.window_size = 8  # windows that fill the picture, as they do in the real one
    text = config.detector_config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers, text.num_attention_heads = 64, 64, 1, 4
    for part in (config.detector_config.detr_encoder_config, config.detector_config.detr_decoder_config):
        part.num_layers = 1
    return config


CONFIGS = {"tiny": tiny_config, "middle": middle_config, "full": Sam3VideoConfig}


def build(name: str, *, device: torch.device, dtype: torch.dtype, side: int | None = None) -> Sam3VideoModel:
    """A model with random weights, the same for the same name, fitted to an input side."""
    torch.manual_seed(0)
    with device:
        model = Sam3VideoModel(CONFIGS[name]()).eval()
    if name != "full":
        amplify(model)
    fit(model, Shape.of(model.config, side))
    return model.to(device=device, dtype=dtype)


def places(count: int, side: int) -> list[tuple[float, float, float, float]]:
    """Boxes of `count` objects that do not touch, in pixels of a picture of `side`."""
    columns = int(count**0.5 + 0.999)
    step = side / columns
    corners = [((i % columns + 0.1) * step, (i // columns + 0.1) * step) for i in range(count)]
    return [(x, y, x + 0.8 * step, y + 0.8 * step) for x, y in corners]


class Ours:
    """`objects` spread over `cameras`, whose pictures come together."""

    def __init__(
        self, model: Sam3VideoModel, objects: int, *, cameras: int = 1, device: torch.device, dtype: torch.dtype,
        runner: Runner | None = None, vouched: int = 1, name: str = "ours",
    ) -> None:  # fmt: skip
        self.name = name
        self.network = Network(model, device=device, dtype=dtype, runner=runner)
        self.stepper = Stepper(self.network, max(64, objects))
        self._slots = [self.stepper.open() for _ in range(objects)]
        self._cameras, self._vouched = cameras, vouched
        self._concept: Concept | None = None
        self._seen: Features | None = None

    def asked(self, frame: int) -> list[Asked]:
        return [Asked(slot, number % self._cameras, frame) for number, slot in enumerate(self._slots)]

    def step(self, pictures: Tensor, frame: int) -> Tensor:
        """Masks `(N, mask, mask)`, on the device. The first frames, `vouched` of them, vouch for the objects."""
        features, asked = self.network.encode(pictures), self.asked(frame)
        if frame == 0:
            boxes = places(len(asked), self.network.shape.side)
            outcome = self.stepper.start(features, asked, [Given(box_xyxy=box) for box in boxes])
        else:
            outcome = self.stepper.propagate(features, asked)
        self.stepper.remember(
            features, asked, outcome.masks, outcome.scores, from_prompt=frame == 0,
            conditioning="pinned" if frame == 0 else "rolling" if frame < self._vouched else "none",
        )  # fmt: skip
        return outcome.masks

    def look(self, pictures: Tensor) -> None:
        """What the detector adds to a frame that it looks at: one concept in each picture."""
        if self._concept is None:
            ids = torch.zeros(1, self.network.shape.text, dtype=torch.long)
            self._concept = self.network.embed_text(ids, torch.ones_like(ids))
        if self._seen is None:
            self._seen = self.network.encode(pictures)
        self.network.detect(self._seen, [Query(picture, self._concept) for picture in range(len(pictures))])

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    @property
    def state_bytes(self) -> int:
        return self.stepper.nbytes


class Tracker:
    """transformers' tracker alone, pruned: no detections, no planning, no association."""

    name, dtype = "tracker", torch.float32

    def __init__(self, model: Sam3VideoModel, objects: int, *, vouched: int = 1) -> None:
        self._oracle = Oracle(model)
        self._vouched = vouched
        self._objects = objects
        self._side = int(model.tracker_model.image_size)

    def step(self, pictures: Tensor, frame: int) -> None:
        self._oracle.see(pictures[0])
        found = self._oracle.track()
        if frame == 0:
            for id_, box in enumerate(places(self._objects, self._side)):
                points = torch.tensor(box, device=pictures.device, dtype=pictures.dtype).view(2, 2)
                labels = torch.tensor((2, 3), device=pictures.device)
                found[id_] = self._oracle.start(id_, points=points, labels=labels)
        masks = torch.stack([one.mask for one in found.values()])
        scores = torch.stack([one.score for one in found.values()])
        self._oracle.remember(list(found), masks, scores, from_prompt=frame == 0)
        if 0 < frame < self._vouched:
            for id_ in found:
                self._oracle.recondition(id_)
        self._oracle.end_frame()

    @property
    def state_bytes(self) -> int:
        return session_bytes(self._oracle.session)


class Stock:
    """transformers' streaming, `Sam3VideoModel.forward`, as it is or with the exact prune after each frame.

    Its detector looks at every frame; its text is embedded once.
    """

    def __init__(self, model: Sam3VideoModel, objects: int, *, pruned: bool) -> None:
        self.name = "stock_pruned" if pruned else "stock"
        self.dtype = torch.float32
        self._model, self._pruned = model, pruned
        model.recondition_every_nth_frame = 0  # as many memories as the others have
        parameter = next(model.parameters())
        self._session = LiveSession(parameter.device, parameter.dtype)
        self._session.add_prompt("thing")
        self._masks = self._rectangles(objects, int(model.low_res_mask_size)).to(parameter)
        ids = torch.zeros(1, Shape.of(model.config, None).text, dtype=torch.long, device=parameter.device)
        self._mask = torch.ones_like(ids)
        with torch.inference_mode():
            self._text = model.detector_model.get_text_features(
                input_ids=ids, attention_mask=self._mask, return_dict=True
            )

    @staticmethod
    def _rectangles(objects: int, side: int) -> Tensor:
        masks = torch.full((objects, side, side), -5.0)
        for mask, (x0, y0, x1, y1) in zip(masks, places(objects, side), strict=True):
            mask[round(y0) : round(y1), round(x0) : round(x1)] = 5.0
        return masks

    def step(self, pictures: Tensor, frame: int) -> None:
        model, follow = self._model, type(self._model).run_tracker_propagation
        model.run_detection = self._detections
        model.run_tracker_propagation = lambda *given, **named: self._fitting(follow(model, *given, **named))
        try:
            model(inference_session=self._session, frame=pictures[0], frame_idx=frame)
        finally:
            del model.run_detection, model.run_tracker_propagation
        if self._pruned:
            prune(self._session, frame, {})
            for kept in (self._session.obj_id_to_tracker_score_frame_wise, self._session.suppressed_obj_ids):
                for old in [key for key in kept if key < frame]:
                    del kept[old]

    def _detections(self, inference_session: Any, vision_embeds: Any) -> dict[int, dict[str, Tensor]]:
        self._model.detector_model(vision_embeds=vision_embeds, text_embeds=self._text, attention_mask=self._mask)
        count = len(self._masks)
        boxes, scores = self._masks.new_zeros(count, 4), self._masks.new_full((count,), 0.95)
        return {
            id_: {"bbox": boxes, "mask": self._masks.clone(), "scores": scores} for id_ in inference_session.prompts
        }

    def _fitting(self, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        count = len(found[0])
        return self._masks[:count].clone(), self._masks.new_full((count,), 5.0)

    @property
    def state_bytes(self) -> int:
        return session_bytes(self._session)


def session_bytes(session: Any) -> int:
    """Bytes of all tensors that a session of transformers holds, but its features of the present picture."""
    seen: dict[int, int] = {}
    waiting: list[Any] = [value for name, value in vars(session).items() if name != "cache"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            seen[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, Iterable) and not isinstance(value, str):
            waiting.extend(value)
    return sum(seen.values())
