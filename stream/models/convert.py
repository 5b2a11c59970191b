"""Makes the files that the engine loads from the downloaded ones: `python -m stream.models.convert --root DIR NAME…`

Runs as a process of its own, since onnx and the float32 graphs take memory that a server should not keep. Writes one
line `converted NAME` for each model that is done; on failure the reason goes to standard error and the exit status
is 1. Files appear whole, after their check.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import ModelProto

from stream.models.catalogue import MODELS, Model
from stream.models.golden import answer, check_cosine, check_golden
from stream.models.nanodet_graph import free_size
from stream.models.sam_graph import resize_decoder, resize_encoder
from stream.models.store import ModelStore
from stream.models.tfjs_graph import convert_tfjs


def convert(store: ModelStore, model: Model) -> Path:
    """Make one model and return its path.

    Raises `ValueError` where the result does not compute what it should, `OSError` where a file cannot be read or
    written; nothing is left behind then.
    """
    final = store.root / model.file_name
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=store.root) as folder:
        part = Path(folder) / final.name
        _build(store, model, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(final)
    return final


def _build(store: ModelStore, model: Model, part: Path) -> None:
    source = store.source_path(model.package, model.members[0])
    if model.recipe == "nanodet":
        graph = convert_tfjs(source)
        free_size(graph)
    else:
        graph = onnx.load(source)
        (resize_encoder if model.recipe == "sam_encoder" else resize_decoder)(graph, model.side)
    expected = answer(graph, model.recipe, model.side)
    check_golden(model.recipe, model.side, expected)
    if model.recipe == "sam_encoder":
        quantise(graph, part)
        check_cosine(answer(str(part), model.recipe, model.side), expected)
    else:
        onnx.save(graph, part)


def quantise(graph: ModelProto, part: Path) -> None:
    """Write `graph` with the weights of its matrix products in int8; activations are scaled as they come.

    Seven bits a weight, scaled by channel: as close to float32 as eight bits scaled by tensor, and safe on processors
    whose int8 products saturate (AVX2 without VNNI).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises a preprocessing that does not apply to MatMul alone
    quantize_dynamic(
        graph, part, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stream.models.convert", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder of models")
    parser.add_argument("names", nargs="+", choices=[model.name for model in MODELS])
    options = parser.parse_args(arguments)
    store = ModelStore(options.root)
    for model in MODELS:
        if model.name in options.names:
            try:
                convert(store, model)
            except (ValueError, OSError) as error:
                sys.stderr.write(f"{model.name}: {error}\n")
                return 1
            sys.stdout.write(f"converted {model.name}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
