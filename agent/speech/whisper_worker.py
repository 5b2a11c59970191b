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
import zlib
from typing import Any, BinaryIO

import numpy as np

MOST_TOKENS = 200
CONTEXT = {
    "en": "Commands: track the bottle, stop following number 2, undo that, never mind, let me know when the bus "
    "arrives. Questions: where is it, how many are there?",
}
"""What went before, by language: with it the words of commands are heard for what they are."""
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
        model, note = _chosen(given.model, given.device, given.threads)
    except FAULTS as error:
        _reply(replies, {"error": type(error).__name__, "message": str(error)[:500]})
        return
    languages = sorted(model.supported_languages)
    _reply(replies, {"ready": True, "languages": languages, "device": model.model.device, "note": note})
    _serve(model, sys.stdin.buffer, replies)


def _chosen(name: str, device: str, threads: int) -> tuple[Any, str]:
    """The model on the GPU where there is one that works, else on the CPU; and what did not work."""
    if device != "auto":
        return _load(name, device, threads), ""
    import ctranslate2

    note = ""
    if ctranslate2.get_cuda_device_count():
        try:
            return _load(name, "cuda", threads), ""
        except (OSError, RuntimeError, ValueError) as error:
            note = f"The speech model runs on the CPU, since the GPU cannot be used for it: {error}"[:500]
    return _load(name, "cpu", threads), note


def _load(name: str, device: str, threads: int) -> Any:
    from faster_whisper import WhisperModel

    compute = "int8" if device == "cpu" else "default"
    model = WhisperModel(name, device=device, compute_type=compute, cpu_threads=threads, num_workers=1)
    _transcribe(model, np.zeros(8000, np.float32), ["en"])  # the first run takes longer than all others
    return model


def _serve(model: Any, requests: BinaryIO, replies: BinaryIO) -> None:
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        if len(data) < request["bytes"]:
            return
        try:
            reply = _transcribe(model, np.frombuffer(data, "<f4"), request["languages"])
        except FAULTS as error:  # one utterance that fails must not cost the process
            reply = {"error": type(error).__name__, "message": str(error)[:500]}
        _reply(replies, {"id": request["id"], **reply})


def _transcribe(model: Any, samples: Any, languages: list[str]) -> dict[str, Any]:
    """One window, greedy, without timestamps. The sound is encoded once for its language and its words, which
    faster-whisper's own `transcribe` does twice; that is most of the work."""
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.tokenizer import Tokenizer

    extractor = model.feature_extractor
    encoded = model.encode(pad_or_trim(extractor(samples), extractor.nb_max_frames))
    language = _language(model, encoded, languages)
    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
    before = [tokenizer.sot_prev, *tokenizer.encode(f" {CONTEXT[language]}")] if language in CONTEXT else []
    prompt = [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]
    (result,) = model.model.generate(
        encoded, [prompt], beam_size=1, max_length=len(prompt) + MOST_TOKENS, return_scores=True,
        return_no_speech_prob=True, suppress_blank=True, suppress_tokens=[-1],
    )  # fmt: skip
    tokens = result.sequences_ids[0]
    text = tokenizer.decode(tokens).strip()
    data = text.encode()
    return {
        "text": text,
        "language": language,
        "no_speech": result.no_speech_prob,
        "log_probability": result.scores[0] * len(tokens) / (len(tokens) + 1),
        "compression": len(data) / len(zlib.compress(data)) if data else 0.0,
    }


def _language(model: Any, encoded: Any, languages: list[str]) -> str:
    """The likeliest of those that are given, of all if none are: of a short sentence alone it is often a wrong one."""
    if not model.model.is_multilingual:
        return "en"
    known = [language for language in languages if language in model.supported_languages]
    if len(known) == 1:
        return known[0]
    (likely,) = model.model.detect_language(encoded)
    found = [str(token).strip("<|>") for token, _ in likely]
    return next((language for language in found if language in known), found[0])


def _reply(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
