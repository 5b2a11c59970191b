"""SAM 3 on the command line: what lacks is said with the steps to take before anything is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.models.sam3 import META_VOCABULARY, SAFETENSORS, TOKENIZER
from tests.sam3_folders import write_folder, write_meta
from tests.stand_in_hub import serving_hub
from tests.tiny_sam3 import tiny_model

CLOSED = "http://127.0.0.1:9"
"""Nobody listens on the port of discard."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("weights"), tiny_model())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONLOOKER_", "HF_"))}
    return kept | {
        "ONLOOKER_DATA_DIR": str(tmp_path / "data"),
        "ONLOOKER_CACHE_DIR": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_ENDPOINT": CLOSED,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "200",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "web.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def examined(environment: dict[str, str], *arguments: str) -> list[dict[str, str]]:
    """What the doctor says of SAM 3."""
    done = run(environment, "doctor", "--json", "--port", "0", *arguments)
    return [finding for finding in json.loads(done.stdout) if finding["name"] == "sam3"]


def with_card(environment: dict[str, str], folder: Path, free_mib: int) -> dict[str, str]:
    """With a stand-in for nvidia-smi."""
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/sh\necho 'Some Card 8, 8188, {free_mib}, 580.1, 8.6'\n")
    tool.chmod(0o755)
    return environment | {"PATH": f"{tool.parent}:{environment['PATH']}"}


def refused(environment: dict[str, str], *arguments: str) -> str:
    """What it says, on lines that begin with the program's name and without a traceback."""
    done = run(environment, *arguments)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert "onlooker: " in done.stderr
    assert "Onlooker is at" not in done.stdout
    return done.stderr.split("onlooker: ")[-1]


def test_serve_says_what_is_wrong_with_the_weights(environment: dict[str, str], weights: Path, tmp_path: Path) -> None:
    assert "nowhere" in refused(environment, "serve", "--port", "0", "--sam3", str(tmp_path / "nowhere"))
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in weights.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    data = (broken / SAFETENSORS).read_bytes()
    (broken / SAFETENSORS).write_bytes(data[: len(data) // 2])
    assert "truncated" in refused(environment, "serve", "--port", "0", "--sam3", str(broken))


def test_serve_needs_a_gpu_and_says_so(environment: dict[str, str], weights: Path) -> None:
    for source in (str(weights), "facebook/sam3"):
        said = refused(environment, "serve", "--port", "0", "--sam3", source)
        assert "GPU" in said
        assert "--engine light" in said


def test_a_side_that_there_is_not(environment: dict[str, str]) -> None:
    done = run(environment, "serve", "--sam3-side", "700")
    assert done.returncode == 2
    assert "672" in done.stderr


@pytest.mark.parametrize("refusal", [(403, "GatedRepo"), (401, "GatedRepo")])
def test_without_access_it_says_the_three_steps(
    environment: dict[str, str], weights: Path, refusal: tuple[int, str]
) -> None:
    with serving_hub(weights, refusal=refusal) as hub:
        said = refused(environment | {"HF_ENDPOINT": hub.url}, "models", "fetch", "sam3")
    assert hub.asked
    assert "access" in said
    for step in ("1. Ask for access", "2. hf auth login", "3. Start again"):
        assert step in said


def test_a_repository_that_is_not_shown_needs_access_too(environment: dict[str, str]) -> None:
    with serving_hub(hidden=True) as hub:
        said = refused(environment | {"HF_ENDPOINT": hub.url}, "models", "fetch", "sam3")
    assert "facebook/sam3" in said
    assert "hf auth login" in said


@pytest.mark.parametrize("offline", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_without_a_network_it_says_how_to_bring_them(environment: dict[str, str], offline: dict[str, str]) -> None:
    said = refused(environment | offline, "models", "fetch", "sam3")
    assert "hf download facebook/sam3" in said
    assert "--sam3" in said


def test_they_are_fetched_once_and_found_without_a_network(
    environment: dict[str, str], weights: Path, tmp_path: Path
) -> None:
    """And then taken by themselves where there is a card."""
    with serving_hub(weights) as hub:
        done = run(environment | {"HF_ENDPOINT": hub.url}, "models", "fetch", "sam3")
        assert done.returncode == 0, done.stderr
        assert "ready" in done.stdout
    again = run(environment, "models", "fetch", "sam3")
    assert again.returncode == 0, again.stderr
    (line,) = [line for line in run(environment, "models").stdout.splitlines() if line.startswith("sam3 ")]
    assert "ready" in line
    assert "facebook/sam3" in line
    assert not examined(environment)  # without a card the light engine runs
    fetched, card = examined(with_card(environment, tmp_path, 7800))
    assert (fetched["level"], card["level"]) == ("ok", "ok")
    assert examined(with_card(environment, tmp_path, 900))[1]["level"] == "warn"


def test_models_shows_a_folder_and_metas_file(environment: dict[str, str], weights: Path, tmp_path: Path) -> None:
    shown = run(environment, "models", "--sam3", str(weights)).stdout
    assert "sam3" in shown
    assert "ready" in shown
    meta = write_meta(tmp_path / "meta")
    assert "ready" in run(environment, "models", "--sam3", str(meta)).stdout
    (meta.parent / META_VOCABULARY).unlink()
    shown = run(environment, "models", "--sam3", str(meta)).stdout
    assert "missing" in shown
    assert TOKENIZER in shown


def test_the_doctor_judges_weights_and_card(environment: dict[str, str], weights: Path) -> None:
    there, *_ = examined(environment, "--sam3", str(weights))
    assert str(weights) in there["message"]
    assert there["level"] == "ok"
    missing, *_ = examined(environment, "--engine", "sam3")
    assert missing["level"] == "warn"
    assert "hf auth login" in missing["action"]


def test_the_doctor_judges_the_card_by_its_free_memory(
    environment: dict[str, str], weights: Path, tmp_path: Path
) -> None:
    for free, level, words in ((7800, "ok", "bfloat16"), (3500, "fail", "--sam3-side 672"), (900, "fail", "larger")):
        _, card = examined(with_card(environment, tmp_path, free), "--sam3", str(weights))
        assert card["level"] == level, card
        assert words in card["message"] + card["action"]
