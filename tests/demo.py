"""`onlooker demo` as a user starts it: the command in a process of its own, with the real clip, engine and models."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from stream.models.store import ModelStore

STOP_S = 30.0


@contextlib.contextmanager
def onlooker_demo(folder: Path, store: ModelStore, vlm: str, **settings: str) -> Iterator[str]:
    """Its address. `vlm` is the address of a language model server; `settings` are keys as in the environment
    (`vlm__describe="false"`). Its data go into `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")}
    own = {"ONLOOKER_DATA_DIR": str(folder / "data"), "XDG_CONFIG_HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    own |= {f"ONLOOKER_{key.upper()}": value for key, value in settings.items()}
    command = [sys.executable, "-m", "web.cli", "demo", "--port", "0", "--engine", "light", "--vlm", vlm]
    process = subprocess.Popen(
        [*command, "--models-dir", str(store.root)], env=kept | own, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := re.search(r"Onlooker is at (\S+)", line):
                break
        else:
            raise AssertionError(f"the demo ended with {process.wait(STOP_S)}")
        yield match[1]
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)
