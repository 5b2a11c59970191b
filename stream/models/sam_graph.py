"""Rewrites the published SAM graphs, traced at 1024×1024, for a smaller square picture.

No weight depends on the picture's size. In the encoder (TinyViT, Wu et al. 2022, as in MobileSAM) about 130 shape
constants do: those of the window attention, of the patch merging and of the neck. In the decoder (Kirillov et al.
2023) only the grid of positions does, of which a smaller picture uses the top left part; its last step, resizing
to the picture's own size, is cut off, and all four masks with their predicted IoUs are put out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

TRACED_SIDE = 1024
PATCH = 16
"""Pixels of a cell of the embedding."""
MASKS_OUT, IOUS_OUT = "mask_logits", "mask_ious"


@dataclass(frozen=True, slots=True)
class _Stage:
    """One stage of window attention: pixels a token, tokens a window's side."""

    stride: int
    window: int

    def tokens(self, side: int) -> int:
        return side // self.stride

    def windows(self, side: int) -> int:
        return -(-self.tokens(side) // self.window)

    def padded(self, side: int) -> int:
        return self.windows(side) * self.window


_STAGES = {"/layers.1/": _Stage(8, 7), "/layers.2/": _Stage(16, 14), "/layers.3/": _Stage(16, 7)}
_TOKEN_NODES = frozenset({"Concat", "Concat_7", "Slice_1", "Slice_2"})
_WINDOW_NODES = frozenset({"Concat_2", "Concat_4", "Mul", "Mul_1"})
_PADDED_NODES = frozenset({"Concat_5"})
_PADDING_NODE = "Concat_1"


class _Constants:
    """The constant inputs of a graph's nodes, replaced one by one without touching shared ones."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._values: dict[str, NDArray[Any]] = {
            node.output[0]: numpy_helper.to_array(node.attribute[0].t)
            for node in graph.node
            if node.op_type == "Constant"
        }

    def get(self, node: NodeProto, index: int) -> NDArray[Any] | None:
        return self._values.get(node.input[index])

    def put(self, node: NodeProto, index: int, values: list[int]) -> None:
        old = self._values[node.input[index]]
        name = f"{node.name}/input_{index}"
        self._graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64).reshape(old.shape), name))
        node.input[index] = name

    def swap(self, node: NodeProto, old: int, new: int) -> None:
        """Replace every constant of one element that equals `old`."""
        for index in range(len(node.input)):
            value = self.get(node, index)
            if value is not None and value.size == 1 and int(value.item()) == old:
                self.put(node, index, [new])


def resize_encoder(model: ModelProto, side: int) -> None:
    """Make the encoder take `(1, 3, side, side)` and give `(1, 256, side/16, side/16)`, in place."""
    if side % PATCH or not 0 < side <= TRACED_SIDE:
        raise ValueError(f"side must be a multiple of {PATCH} up to {TRACED_SIDE}, not {side}")
    graph = model.graph
    constants = _Constants(graph)
    for node in graph.node:
        stage = next((stage for prefix, stage in _STAGES.items() if node.name.startswith(prefix)), None)
        if stage and "/blocks." in node.name and node.name.count("/") == 3:
            _resize_attention(constants, node, stage, side)
        elif node.op_type == "Reshape" and "downsample" in node.name:
            _resize_merging(constants, node, side)
        elif node.name == "/Concat":
            constants.swap(node, TRACED_SIDE // PATCH, side // PATCH)
    _set_shape(graph.input[0], (1, 3, side, side))
    _set_shape(graph.output[0], (1, 256, side // PATCH, side // PATCH))
    del graph.value_info[:]


def _resize_attention(constants: _Constants, node: NodeProto, stage: _Stage, side: int) -> None:
    leaf = node.name.rsplit("/", 1)[-1]
    if leaf in _TOKEN_NODES:
        constants.swap(node, stage.tokens(TRACED_SIDE), stage.tokens(side))
    elif leaf in _WINDOW_NODES:
        constants.swap(node, stage.windows(TRACED_SIDE), stage.windows(side))
    elif leaf in _PADDED_NODES:
        constants.swap(node, stage.padded(TRACED_SIDE), stage.padded(side))
    elif leaf == _PADDING_NODE:
        padding = stage.padded(side) - stage.tokens(side)
        constants.put(node, 0, [0, 0, 0, padding, 0, padding])


def _resize_merging(constants: _Constants, node: NodeProto, side: int) -> None:
    shape = constants.get(node, 1)
    if shape is not None and shape.size == 4:
        tokens = side * int(shape[1]) // TRACED_SIDE
        constants.put(node, 1, [1, tokens, tokens, -1])


def resize_decoder(model: ModelProto, side: int) -> None:
    """Make the decoder take a `side/16` grid, in place.

    Inputs: `image_embeddings` (1, 256, s/16, s/16), `point_coords` (1, P, 2) in pixels, `point_labels` (1, P),
    `mask_input` (1, 1, s/4, s/4), `has_mask_input` (1,). Outputs: `mask_logits` (1, 4, s/4, s/4) and
    `mask_ious` (1, 4).
    """
    graph, cells = model.graph, side // PATCH
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] == "/pe_layer/Constant_output_0":
            grid = numpy_helper.to_array(node.attribute[0].t)[:cells, :cells]
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(grid)))
    iou = next(n.output[0] for n in graph.node if n.op_type == "Gemm" and "head/layers.2" in n.output[0])
    graph.node.append(helper.make_node("Identity", ["/Reshape_9_output_0"], [MASKS_OUT]))
    graph.node.append(helper.make_node("Identity", [iou], [IOUS_OUT]))
    _keep_only(graph, (MASKS_OUT, IOUS_OUT))
    shapes = {
        "image_embeddings": (1, 256, cells, cells),
        "point_coords": (1, "points", 2),
        "point_labels": (1, "points"),
        "mask_input": (1, 1, 4 * cells, 4 * cells),
    }
    for value in graph.input:
        if value.name in shapes:
            _set_shape(value, shapes[value.name])


def _keep_only(graph: GraphProto, outputs: tuple[str, ...]) -> None:
    """Drop every node, input and weight that `outputs` do not need."""
    needed, kept = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    nodes = list(reversed(kept))
    inputs = [value for value in graph.input if value.name in needed]
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field in (graph.node, graph.input, graph.output, graph.initializer, graph.value_info):
        del field[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(weights)
    graph.output.extend(helper.make_tensor_value_info(name, 1, None) for name in outputs)


def _set_shape(value: Any, shape: tuple[int | str, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    for dim, size in zip(dims, shape, strict=True):
        dim.Clear()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size
