"""Turns a TF.js graph model of static shape into ONNX: the operators that NanoDet uses, and no others."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 18, 9
_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_IGNORED = frozenset({"Const", "NoOp"})

Array = NDArray[Any]
TfNode = dict[str, Any]


def read_tfjs(graph_file: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The model's description and its weights by name; float16 weights are widened."""
    model = json.loads(graph_file.read_text())
    weights: dict[str, Array] = {}
    for group in model["weightsManifest"]:
        data = b"".join((graph_file.parent / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
            if stored not in ("float16", *_DTYPES):
                raise ValueError(f"weights stored as {stored} are not supported")
            dtype = np.dtype(np.float16) if stored == "float16" else np.dtype(_DTYPES[stored])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values: Array = np.frombuffer(data, dtype, count, offset).astype(_DTYPES[entry["dtype"]])
            weights[entry["name"]] = values.reshape(entry["shape"])
            offset += count * dtype.itemsize
    return model, weights


def convert_tfjs(graph_file: Path) -> ModelProto:
    """The same computation in ONNX, with the model's own names for inputs and outputs.

    Raises `ValueError` for an operator that is not supported.
    """
    model, weights = read_tfjs(graph_file)
    return _Converter(model, weights).convert()


def _plain(name: str) -> str:
    return name.removesuffix(":0")


def _attribute(node: TfNode, key: str, default: Any = None) -> Any:
    value = node.get("attr", {}).get(key)
    if value is None:
        return default
    if "list" in value:
        return [int(item) for item in value["list"].get("i", [])]
    kind, content = next(iter(value.items()))
    decoders: dict[str, Callable[[Any], Any]] = {
        "i": int, "f": float, "b": bool, "s": lambda text: base64.b64decode(text).decode(),
    }  # fmt: skip
    return decoders[kind](content)


class _Converter:
    def __init__(self, model: dict[str, Any], weights: dict[str, Array]) -> None:
        self._tf = {node["name"]: node for node in model["modelTopology"]["node"]}
        self._signature = model["signature"]
        self._constants = dict(weights)
        self._weights: dict[str, TensorProto] = {}
        self._nodes: list[NodeProto] = []

    def convert(self) -> ModelProto:
        for name in self._in_order():
            node = self._tf[name]
            if node["op"] in _IGNORED or node["op"] == "Placeholder":
                continue
            if not self._fold(node):
                self._emit(node)
        inputs = [self._value_info(value) for value in self._signature["inputs"].values()]
        outputs = [self._value_info(value) for value in self._signature["outputs"].values()]
        graph = helper.make_graph(self._nodes, "tfjs", inputs, outputs, list(self._weights.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def _in_order(self) -> list[str]:
        """The nodes that the outputs need, inputs first."""
        order: dict[str, None] = {}
        stack = [(_plain(value["name"]), False) for value in self._signature["outputs"].values()]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                order[name] = None
            elif name not in order:
                stack.append((name, True))
                stack.extend(
                    (source.removeprefix("^").split(":")[0], False) for source in self._tf[name].get("input", ())
                )
        return list(order)

    @staticmethod
    def _value_info(value: dict[str, Any]) -> Any:
        shape = [int(dim["size"]) for dim in value["tensorShape"]["dim"]]
        return helper.make_tensor_value_info(_plain(value["name"]), TensorProto.FLOAT, shape)

    def _fold(self, node: TfNode) -> bool:
        """Compute what depends on constants only; True when that was so."""
        values = [self._constants.get(_plain(name)) for name in node.get("input", ())]
        known = [value for value in values if value is not None]
        if len(known) < len(values) or not known:
            return False
        match node["op"]:
            case "SparseToDense":
                indices, shape, sparse, default = known
                result = np.full(tuple(shape), default.item() if default.size else 0, sparse.dtype)
                result[tuple(indices.reshape(-1, result.ndim).T)] = sparse
            case "AddV2" | "Add":
                result = known[0] + known[1]
            case "Transpose":
                result = known[0].transpose(known[1])
            case "Reshape":
                result = known[0].reshape(known[1])
            case "ConcatV2":
                result = np.concatenate(known[:-1], int(known[-1]))
            case _:
                return False
        self._constants[node["name"]] = result
        return True

    def _emit(self, node: TfNode) -> None:
        name, inputs = node["name"], list(node.get("input", ()))
        match node["op"]:
            case "AddV2" | "Add":
                self._add("Add", [self._tensor(source) for source in inputs], name)
            case "Identity" | "Sigmoid":
                self._add(node["op"], [self._tensor(inputs[0])], name)
            case "LeakyRelu":
                self._add("LeakyRelu", [self._tensor(inputs[0])], name, alpha=_attribute(node, "alpha", 0.2))
            case "Pad" | "PadV2":
                self._pad(name, inputs)
            case "Conv2D" | "MaxPool":
                self._window(node, name, inputs)
            case "ResizeBilinear":
                self._resize(node, name, inputs)
            case op:
                self._rearrange(op, name, inputs)

    def _rearrange(self, op: str, name: str, inputs: list[str]) -> None:
        match op:
            case "Transpose":
                self._add("Transpose", [self._tensor(inputs[0])], name, perm=self._constant(inputs[1]).tolist())
            case "Reshape":
                self._add("Reshape", [self._tensor(inputs[0]), self._integers(name, self._constant(inputs[1]))], name)
            case "ConcatV2":
                axis = int(self._constant(inputs[-1]))
                self._add("Concat", [self._tensor(source) for source in inputs[:-1]], name, axis=axis)
            case "SplitV":
                sizes = self._constant(inputs[1])
                outputs = [name, *(f"{name}:{index}" for index in range(1, sizes.size))]
                split = [self._tensor(inputs[0]), self._integers(name, sizes)]
                self._nodes.append(helper.make_node("Split", split, outputs, axis=int(self._constant(inputs[2]))))
            case _:
                raise ValueError(f"operator {op} of {name} is not supported")

    def _pad(self, name: str, inputs: list[str]) -> None:
        sides = self._constant(inputs[1])
        operands = [self._tensor(inputs[0]), self._integers(name, sides.T.reshape(-1))]
        if len(inputs) > 2:
            operands.append(self._tensor(inputs[2]))
        self._add("Pad", operands, name)

    def _window(self, node: TfNode, name: str, inputs: list[str]) -> None:
        if _attribute(node, "data_format") != "NHWC" or _attribute(node, "padding") != "VALID":
            raise ValueError(f"{name}: only NHWC without padding is supported")
        options = {"strides": _attribute(node, "strides")[1:3]}
        operands = [self._to_nchw(name, inputs[0])]
        if node["op"] == "Conv2D":
            kernel = np.ascontiguousarray(self._constant(inputs[1]).transpose(3, 2, 0, 1))
            operands.append(self._weight(f"{name}/kernel", kernel))
            self._add("Conv", operands, f"{name}/nchw", dilations=_attribute(node, "dilations")[1:3], **options)
        else:
            self._add("MaxPool", operands, f"{name}/nchw", kernel_shape=_attribute(node, "ksize")[1:3], **options)
        self._add("Transpose", [f"{name}/nchw"], name, perm=_TO_NHWC)

    def _resize(self, node: TfNode, name: str, inputs: list[str]) -> None:
        if _attribute(node, "align_corners") or not _attribute(node, "half_pixel_centers"):
            raise ValueError(f"{name}: only half-pixel centres are supported")
        picture = self._to_nchw(name, inputs[0])
        self._add("Shape", [picture], f"{name}/batch_channels", start=0, end=2)
        size = self._integers(name, self._constant(inputs[1]))
        self._add("Concat", [f"{name}/batch_channels", size], f"{name}/sizes", axis=0)
        operands = [picture, "", "", f"{name}/sizes"]
        self._add("Resize", operands, f"{name}/nchw", mode="linear", coordinate_transformation_mode="half_pixel")
        self._add("Transpose", [f"{name}/nchw"], name, perm=_TO_NHWC)

    def _to_nchw(self, name: str, source: str) -> str:
        self._add("Transpose", [self._tensor(source)], f"{name}/input_nchw", perm=_TO_NCHW)
        return f"{name}/input_nchw"

    def _add(self, op: str, inputs: list[str], output: str, **options: Any) -> None:
        self._nodes.append(helper.make_node(op, inputs, [output], **options))

    def _constant(self, source: str) -> Array:
        return self._constants[_plain(source)]

    def _tensor(self, source: str) -> str:
        """The ONNX name of a value, made a weight of the graph where it is constant."""
        name = _plain(source)
        return self._weight(name, self._constants[name]) if name in self._constants else name

    def _integers(self, name: str, values: Array) -> str:
        return self._weight(f"{name}/integers", values.astype(np.int64))

    def _weight(self, name: str, values: Array) -> str:
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name
