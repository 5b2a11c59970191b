"""`onlooker bench` from the command line: a second of the real server, its file, and two files side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream.config import Config
from stream.errors import BadInput
from tests.barcode import write_clip
from web.bench.clip import encode
from web.bench.command import bench, compare
from web.bench.result import CASE, FIRST, FORMAT, in_order, percentiles

INNER = ("preprocess", "flow", "post", "encode_masks")


def onlooker(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "ONLOOKER_CONFIG": str(folder / "onlooker.toml"), "ONLOOKER_CACHE_DIR": str(folder / "cache"),
        "ONLOOKER_DATA_DIR": str(folder / "data"), "COLUMNS": "100",
    }  # fmt: skip
    (folder / "onlooker.toml").touch()
    command = [sys.executable, "-m", "web.cli", "bench", *arguments]
    # In a folder of its own: it works from the installed package alone.
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("bench")
    done = onlooker(
        folder, "--streams", "2", "--objects", "1", "--size", "320x180", "--fps", "10", "--seconds", "1",
        "--warm-up", "0", "--engine", "light", "--json", "one.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "one.json", done.stdout


def test_every_stage_is_measured_and_kept(measured: tuple[Path, str]) -> None:
    path, printed = measured
    found: dict[str, Any] = json.loads(path.read_text())
    assert (found["format"], found["version"]) == (FORMAT, 1)
    assert {"date", "cpu", "cores", "python", "onlooker", "libraries", "gpu"} <= found["machine"].keys()
    assert found["engine"] == {"name": "light", "device": "cpu"}
    assert found["decoder"] == "software"
    (case,) = found["cases"]
    assert [case[name] for name in CASE] == [2, 1, 320, 180, 10.0]
    assert {*FIRST, *INNER, "send", "total"} <= case["stages"].keys()
    for name, stage in case["stages"].items():
        assert stage["p50"] <= stage["p95"] <= stage["p99"], name
        assert stage["n"] > 0
    assert case["stages"]["total"]["p50"] >= case["stages"]["engine"]["p50"]
    assert case["tracked_fps"] > 0
    assert case["rss_mb"] > 0
    assert isinstance(case["drops"], dict)
    assert "2 streams, 1 object each, 320×180 at 10 fps" in printed
    assert "pictures a second tracked" in printed
    assert "one.json" in printed


def test_nothing_is_left_in_the_users_folders(measured: tuple[Path, str]) -> None:
    assert not (measured[0].parent / "data").exists()


def test_two_results_are_shown_side_by_side(measured: tuple[Path, str], tmp_path: Path) -> None:
    found = json.loads(measured[0].read_text())
    for stage in found["cases"][0]["stages"].values():
        stage["p50"] *= 2
    slower = tmp_path / "slower.json"
    slower.write_text(json.dumps(found))
    done = onlooker(tmp_path, "--compare", str(measured[0]), str(slower))
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("total")]
    assert "2.00" in line


def test_what_cannot_be_compared_or_measured_is_said_with_what_to_do(
    measured: tuple[Path, str], tmp_path: Path
) -> None:
    found = json.loads(measured[0].read_text())
    found["cases"][0]["streams"] = 7
    other, broken = tmp_path / "other.json", tmp_path / "broken.json"
    other.write_text(json.dumps(found))
    broken.write_text("{}")
    with pytest.raises(BadInput, match="no case in common"):
        compare(measured[0], other)
    with pytest.raises(BadInput, match="no result of this version"):
        compare(measured[0], broken)
    usual: dict[str, Any] = {
        "streams": "1", "objects": "1", "sizes": "360p", "fps": 10.0, "seconds": 1.0, "warm_up_s": 0.0, "file": None,
        "output": None,
    }  # fmt: skip
    for wrong in ({"streams": "none"}, {"streams": "0"}, {"sizes": "1x1"}, {"file": tmp_path / "missing.mp4"}):
        with pytest.raises(BadInput) as refused:
            bench(Config(), **{**usual, **wrong})
        assert refused.value.action


def test_the_clip_has_the_size_and_a_keyframe_a_second(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, codec="libx264", size=(320, 240), frames=25)
    for codec in ("H264", "VP8"):
        clip = encode(path, 160, 90, 10.0, codec)  # type: ignore[arg-type]
        assert (clip.codec, clip.width, clip.height) == (codec, 160, 90)
        assert [number for number, (_, key) in enumerate(clip.packets) if key] == [0, 10, 20]
        assert len(clip.packets) == 25


def test_figures() -> None:
    assert percentiles([float(number) for number in range(1, 101)]) == {
        "p50": 51.0,
        "p95": 96.0,
        "p99": 100.0,
        "n": 100,
    }
    assert in_order(["total", "flow", "engine", "decode", "send"]) == ["decode", "engine", "flow", "send", "total"]
