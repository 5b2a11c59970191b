"""A tiny SAM 3 that sees one thing, as large as the picture, whatever it is asked: enough to go through every part of
the live path, since random weights see nothing."""

from __future__ import annotations

import torch
from transformers import Sam3VideoModel

from tests.tiny_sam3 import tiny_model

SIDE = 112
SURE = 5.0


@torch.no_grad()
def sees_one_thing(seed: int = 0) -> Sam3VideoModel:
    """For pictures of 112 pixels; all random but for the heads that decide."""
    return made_sure(tiny_model(seed, side=SIDE, amplified=False))


@torch.no_grad()
def made_sure(model: Sam3VideoModel) -> Sam3VideoModel:
    """Have a model with random weights see one thing, as large as the picture. Changes `model`."""
    detector, decoder = model.detector_model, model.tracker_model.mask_decoder
    scoring = detector.dot_product_scoring
    for certain in (scoring.query_proj, scoring.text_proj, detector.mask_decoder.mask_embedder.layers[-1]):
        certain.weight.zero_()
        certain.bias.fill_(1.0)
    detector.mask_decoder.instance_projection.weight.zero_()
    detector.mask_decoder.instance_projection.bias.fill_(0.1)
    detector.detr_decoder.presence_head.layer3.bias.fill_(SURE)
    decoder.pred_obj_score_head.proj_out.bias.fill_(SURE)
    for outputs in decoder.output_hypernetworks_mlps:
        outputs.proj_out.weight.zero_()
        outputs.proj_out.bias.fill_(1.0)
    decoder.upscale_conv2.bias.fill_(2.0)
    return model
