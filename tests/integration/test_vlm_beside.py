"""`--vlm gemma`: the language model server as a child of the server."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

import web.vlm
from agent.vlm.service.launch import GemmaProcess
from tests.server import RunningServer
from tests.tiny_gemma4 import make_tiny_gemma4


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return make_tiny_gemma4(tmp_path / "tiny-gemma")


def settled(server: RunningServer) -> web.vlm.VlmState:
    """Once the child has answered or failed."""
    state, deadline = server.state.model_server.state, time.monotonic() + 90
    while state.profile is None and state.error is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return state


def test_the_child_answers_for_the_server_and_ends_with_it(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[GemmaProcess] = []

    def on_cpu(source: str) -> GemmaProcess:
        children.append(GemmaProcess(source, device="cpu"))
        return children[0]

    monkeypatch.setattr(web.vlm, "GemmaProcess", on_cpu)
    with RunningServer(tmp_path, {"vlm": {"url": "gemma", "model": str(weights)}}) as server:
        state = settled(server)
        assert state.error is None
        assert state.profile is not None
        assert (state.profile.family, state.profile.model) == ("Onlooker", "tiny-gemma")
        assert server.state.agents.backend.is_model
        assert children[0].process.poll() is None
    assert children[0].process.poll() is not None


def test_without_a_gpu_the_tracks_answer_and_the_reason_is_told(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(web.vlm, "GemmaProcess", partial(GemmaProcess, device="cuda"))
    with RunningServer(tmp_path, {"vlm": {"url": "gemma", "model": str(weights)}}) as server:
        state = settled(server)
        assert state.profile is None
        assert state.error is not None
        assert state.error.message == "torch finds no NVIDIA GPU for Gemma."
        assert not server.state.agents.backend.is_model


def test_a_server_that_ends_while_the_model_loads_takes_it_along(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[GemmaProcess] = []
    made = partial(GemmaProcess, device="cpu")
    monkeypatch.setattr(web.vlm, "GemmaProcess", lambda source: children.append(made(source)) or children[0])
    with RunningServer(tmp_path, {"vlm": {"url": "gemma", "model": str(weights)}}):
        pass
    assert children[0].process.poll() is not None
