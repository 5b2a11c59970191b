"""What the models on the processor share: a session of one quiet thread, and the picture as they want it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from stream.errors import ModelMissing
from stream.types import U8

F32 = NDArray[np.float32]
_MEAN_RGB = np.array((123.675, 116.28, 103.53), np.float32)
_STD_RGB = np.array((58.395, 57.12, 57.375), np.float32)
_TABLES_RGB: F32 = ((np.arange(256, dtype=np.float32) - _MEAN_RGB[:, None]) / _STD_RGB[:, None]).astype(np.float32)


def cpu_session(model: Path) -> onnxruntime.InferenceSession:
    """Open `model` on one thread that sleeps while it waits, so that idle models leave the cores to the video.

    Raises `ModelMissing` where the file is not there or cannot be read as a model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not model.is_file():
        raise ModelMissing(f"The model {model} is not there.")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        action = "Delete the file and run `onlooker models fetch`."
        raise ModelMissing(f"The model {model} cannot be read: {error}", action=action) from error


def normalised(bgr: U8, order: Literal["bgr", "rgb"]) -> F32:
    """`(H, W, 3)` uint8 BGR → `(1, 3, H, W)` float32 with ImageNet's mean and deviation, planes in `order`."""
    planes = np.empty((1, 3, *bgr.shape[:2]), np.float32)
    for index, plane in enumerate(cv2.split(bgr)):
        cv2.LUT(plane, _TABLES_RGB[2 - index], dst=planes[0, index if order == "bgr" else 2 - index])
    return planes
