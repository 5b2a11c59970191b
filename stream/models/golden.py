"""Whether a converted model computes what it should: its answer to a fixed input against numbers kept here."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

F32 = NDArray[np.float32]
SAMPLES = 6
TOLERANCE = 0.02
"""Greatest deviation allowed, in standard deviations of the output; processors differ by about a thousandth of it."""
MIN_COSINE = 0.999
"""Least cosine similarity of the int8 encoder's answer with the float32 one's."""

GOLDEN: dict[str, list[list[float]]] = {
    "sam_encoder-320": [
        [-0.00171, 0.10271, -0.06712, 0.1265, -0.03049, 0.40512, 0.06435, -0.13252],
    ],
    "sam_decoder-320": [
        [-6.49904, 5.74132, -7.1655, -7.43134, -15.92607, -1.44878, -3.19883, -3.55335],
        [0.36753, 0.04377, 0.29358, 0.29358, 0.3768, 0.3768, 0.40292, 0.39681],
    ],
    "sam_encoder-448": [
        [-0.0019, 0.10364, -0.0684, 0.13134, -0.05969, 0.11743, 0.26056, -0.13581],
    ],
    "sam_decoder-448": [
        [-5.67117, 3.7522, -5.08994, -4.90413, -11.79286, -6.18828, -2.67325, -3.14252],
        [0.25128, 0.08142, 0.17823, 0.17823, 0.19224, 0.19224, 0.3843, 0.25033],
    ],
    "nanodet-416": [
        [0.01112, 0.00407, 0.01122, 0.01107, 0.0132, 0.01197, 0.0098, 0.00944],
        [-3e-05, 0.81012, 0.05725, 0.40222, 0.79389, 0.25483, 0.26295, -1.19055],
        [0.00635, 0.00766, 0.00717, 0.00508, 0.00559, 0.00791, 0.00436, 0.0065],
        [0.00326, 0.00128, 0.00907, 0.00473, 0.0034, 0.00266, 0.00437, 0.00461],
        [-2e-05, 0.69556, -0.27279, -0.52208, -0.10905, -0.01322, 0.35639, -0.59937],
        [-1e-05, 0.84252, 2.17037, 0.65445, 0.00978, 0.09236, -0.99147, -0.43043],
    ],
}


def synthetic_picture(side: int) -> F32:
    """`(1, 3, side, side)` float32 in about [-2, 2]: a bright disk on a gradient."""
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    disk = (x - 0.2) ** 2 + (y + 0.1) ** 2 < 0.16
    planes = [np.where(disk, 1.5 - 0.4 * channel, 0.8 * x - 0.6 * y * channel) for channel in range(3)]
    return np.stack(planes)[None].astype(np.float32)


def synthetic_inputs(recipe: str, side: int) -> dict[str, NDArray[Any]]:
    """What a model of `recipe` is asked, by input name."""
    if recipe == "sam_encoder":
        return {"input": synthetic_picture(side)}
    if recipe == "nanodet":
        return {"input_1": synthetic_picture(side)}
    cells = side // 16
    wave = np.sin(np.arange(256 * cells * cells, dtype=np.float64) * 0.37).astype(np.float32) * 0.2
    return {
        "image_embeddings": wave.reshape(1, 256, cells, cells),
        "point_coords": np.array([[[side * 0.6, side * 0.45], [0, 0]]], np.float32),
        "point_labels": np.array([[1, -1]], np.float32),
        "mask_input": np.zeros((1, 1, 4 * cells, 4 * cells), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }


def answer(model: ModelProto | str, recipe: str, side: int) -> list[F32]:
    """The outputs for the synthetic input; `model` is a graph or the path of one."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    data = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, synthetic_inputs(recipe, side))]


def fingerprint(outputs: list[F32]) -> list[list[float]]:
    """For each output its mean, standard deviation and a few samples."""
    prints = []
    for output in outputs:
        flat = output.ravel()
        samples = flat[np.linspace(0, flat.size - 1, SAMPLES).astype(int)]
        prints.append([round(float(value), 5) for value in (flat.mean(), flat.std(), *samples)])
    return prints


def check_golden(recipe: str, side: int, outputs: list[F32]) -> None:
    """Raises `ValueError` where the outputs are not those expected."""
    expected = GOLDEN[f"{recipe}-{side}"]
    found = fingerprint(outputs)
    if len(found) != len(expected):
        raise ValueError(f"{recipe}: {len(found)} outputs instead of {len(expected)}")
    for index, (now, then) in enumerate(zip(found, expected, strict=True)):
        deviation = max(abs(a - b) for a, b in zip(now, then, strict=True)) / (then[1] + 1e-3)
        if not deviation <= TOLERANCE:
            raise ValueError(f"{recipe}: output {index} deviates by {deviation:.3f} standard deviations")


def check_cosine(outputs: list[F32], reference: list[F32]) -> None:
    """Raises `ValueError` where a quantised model strays from the float32 one."""
    a, b = outputs[0].ravel().astype(np.float64), reference[0].ravel().astype(np.float64)
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    if not cosine >= MIN_COSINE:
        raise ValueError(f"the int8 encoder's answer has a cosine of {cosine:.5f} with the float32 one's")
