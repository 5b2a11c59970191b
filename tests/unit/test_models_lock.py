"""One fetch at a time, and no lock outlives its holder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stream.errors import LimitReached
from stream.models.lock import exclusive

HOLD = """
import pathlib, sys, time
from stream.models.lock import exclusive
with exclusive(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def test_a_second_holder_is_refused_until_the_first_lets_go(path: Path) -> None:
    with exclusive(path), pytest.raises(LimitReached) as caught, exclusive(path):
        pass
    assert caught.value.code == "busy"
    assert caught.value.retryable
    with exclusive(path):
        pass


def test_waiting_gets_the_lock_when_it_is_free(path: Path) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(path):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    threading.Timer(0.3, release.set).start()
    with exclusive(path, wait_s=30):
        assert release.is_set()
    thread.join()


def test_a_killed_holder_frees_the_lock(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LimitReached), exclusive(path):
            pass
        holder.kill()
        holder.wait(10)
    with exclusive(path):
        pass


def test_an_exception_frees_the_lock(path: Path) -> None:
    with pytest.raises(KeyError), exclusive(path):
        raise KeyError
    with exclusive(path):
        pass
