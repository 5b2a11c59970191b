"""The process that runs faster-whisper: `python -m agent.speech.whisper_worker --model …`.

Each request on standard input and each reply on standard output is a line of JSON. A request is followed by its
samples, `bytes` of them, little-endian float32. The first reply says that the model is ready, or why it is not; the
process ends with its standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np

MOST_TOKENS = 200
NICENESS = 10
FAULTS = (ImportError, OSError, RuntimeError, ValueError, LookupError, MemoryError)
"""Told to the parent, which has the words for them; anything else ends the process."""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--model", required=True)
    options.add_argument("--device", required=True)
    options.add_argument("--threads", type=int, required=True)
    given = options.parse_args()
    # Whatever a library prints must not come among the replies.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # before any thread is started: they keep the priority that they begin with
    try:
        model = _load(given.model, given.device, given.threads)
    except FAULTS as error:
        _reply(replies, {"error": type(error).__name__, "message": str(error)[:500]})
        return
    _reply(replies, {"ready": True, "languages": sorted(model.supported_languages)})
    _serve(model, sys.stdin.buffer, replies)


def _load(name: str, device: str, threads: int) -> Any:
    from faster_whisper import WhisperModel

    compute = "int8" if device == "cpu" else "default"
    model = WhisperModel(name, device=device, compute_type=compute, cpu_threads=threads, num_workers=1)
    _transcribe(model, np.zeros(8000, np.float32), "en")  # the first run takes longer than all others
    return model


def _serve(model: Any, requests: BinaryIO, replies: BinaryIO) -> None:
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        if len(data) < request["bytes"]:
            return
        try:
            reply = _transcribe(model, np.frombuffer(data, "<f4"), request["language"])
        except FAULTS as error:  # one utterance that fails must not cost the process
            reply = {"error": type(error).__name__, "message": str(error)[:500]}
        _reply(replies, {"id": request["id"], **reply})


def _transcribe(model: Any, samples: Any, language: str | None) -> dict[str, Any]:
    """Greedy and without timestamps: half the time of the default, for words that are hardly ever better."""
    if language is not None and language not in model.supported_languages:
        language = None
    found, info = model.transcribe(
        samples, language=language, beam_size=1, temperature=0.0, condition_on_previous_text=False,
        without_timestamps=True, max_new_tokens=MOST_TOKENS, no_speech_threshold=None, log_prob_threshold=None,
    )  # fmt: skip
    segments = list(found)
    weights = [len(segment.tokens) or 1 for segment in segments]
    return {
        "text": " ".join(segment.text.strip() for segment in segments),
        "language": info.language,
        "no_speech": max((segment.no_speech_prob for segment in segments), default=1.0),
        "log_probability": sum(
            segment.avg_logprob * weight / sum(weights) for segment, weight in zip(segments, weights, strict=True)
        ),
        "compression": max((segment.compression_ratio for segment in segments), default=0.0),
    }


def _reply(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
