"""Frees NanoDet's graph from the one picture size that it was exported for."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper, shape_inference


def free_size(model: ModelProto) -> None:
    """Let the input be `(1, 3, H, W)` for multiples of 32, in place; outputs are `(1, cells, 80 or 44)`.

    The network is convolutional: sizes stand only in its resampling, where factors take their place.
    """
    graph = model.graph
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inferred}
    for node in graph.node:
        if node.op_type == "Resize":
            source, result = node.input[0], node.output[0]
            factors = np.array(shapes[result], np.float32) / np.array(shapes[source], np.float32)
            graph.initializer.append(numpy_helper.from_array(factors, f"{result}/factors"))
            del node.input[:]
            node.input.extend([source, "", f"{result}/factors"])
    sides = graph.input[0].type.tensor_type.shape.dim
    sides[2].dim_param, sides[3].dim_param = "height", "width"
    for output in graph.output:
        cells = output.type.tensor_type.shape.dim[1]
        cells.dim_param = f"cells_{cells.dim_value}"
