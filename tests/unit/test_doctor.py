"""`onlooker doctor`: each line says what is, and what to do where something is wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream.config import Config, load_config
from stream.errors import BadInput
from web import cards, doctor
from web.doctor import Finding, check_names, examine, foreign_owners, report
from web.server import open_sockets


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "onlooker.toml").touch()
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    monkeypatch.setenv("ONLOOKER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ONLOOKER_DATA_DIR", str(tmp_path / "data"))
    return load_config({"server": {"port": 0}})


def named(findings: list[Finding], name: str) -> list[Finding]:
    return [finding for finding in findings if finding.name == name]


def test_a_machine_that_can_run_the_tests_fails_nothing(config: Config) -> None:
    findings = examine(config)
    assert [finding for finding in findings if finding.level == "fail"] == []
    names = {finding.name for finding in findings}
    assert {"python", "names", "packages", "engine", "models", "gpu", "ffmpeg", "port", "tls", "aiortc", "ice"} <= names
    (ice,) = named(findings, "ice")
    assert "127.0.0.1 (host)" in ice.message
    for finding in findings:
        assert finding.message
        assert finding.level == "ok" or finding.action


def test_missing_models_are_a_warning_with_the_command(config: Config) -> None:
    for finding in named(examine(config), "models"):
        assert finding.level == "warn"
        assert "onlooker models fetch" in finding.action


def test_nothing_is_written(config: Config, tmp_path: Path) -> None:
    examine(config)
    assert [path.name for path in tmp_path.iterdir()] == ["onlooker.toml"]


def test_a_damaged_event_store_fails_with_what_to_do(config: Config, tmp_path: Path) -> None:
    assert named(examine(config), "store")[0].level == "ok"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "onlooker.db").write_bytes(b"something else" * 1000)
    (finding,) = named(examine(config), "store")
    assert finding.level == "fail"
    assert "onlooker.db" in finding.action


def test_a_taken_port_says_how_to_use_another(config: Config) -> None:
    sockets = open_sockets("localhost", 0)
    try:
        port = sockets[0].getsockname()[1]
        taken = config.model_copy(update={"server": config.server.model_copy(update={"port": port})})
        (finding,) = named(list(examine(taken)), "port")
    finally:
        for sock in sockets:
            sock.close()
    assert finding.level == "warn"
    assert f"--port {port + 1}" in finding.action


def test_an_address_of_another_machine_fails(config: Config) -> None:
    away = config.model_copy(update={"server": config.server.model_copy(update={"host": "192.0.2.1"})})
    findings = examine(away)
    assert named(findings, "port")[0].level == "fail"
    assert named(findings, "ice")[0].level == "fail"
    assert named(findings, "tls")[0].level == "warn"


def test_a_certificate_without_its_key_fails(config: Config, tmp_path: Path) -> None:
    half = config.model_copy(update={"server": config.server.model_copy(update={"tls_cert": tmp_path / "c.pem"})})
    assert named(examine(half), "tls")[0].level == "fail"


def test_sam3_fails_with_the_steps(config: Config) -> None:
    wanted = config.model_copy(update={"engine": config.engine.model_copy(update={"name": "sam3"})})
    weights, card = named(examine(wanted), "sam3")
    assert weights.level == "warn"
    assert "hf auth login" in weights.action
    assert card.level == "fail"
    assert "--engine light" in card.action


def test_a_broken_driver_is_a_warning(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr(cards.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(cards.subprocess, "run", broken)
    levels = [finding.level for finding in named(examine(config), "gpu")]
    assert levels == ["warn", "ok"]


def test_torch_is_not_imported(config: Config) -> None:
    """In a process of its own: other tests need torch."""
    look = "import sys; from stream.config import load_config; from web.doctor import examine; "
    look += "examine(load_config({'server': {'port': 0}})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_other_owners_of_our_names_are_found() -> None:
    owners = {"stream": ["Onlooker"], "web": ["onlooker", "web.py"], "kernels": ["kernels"], "numpy": ["numpy"]}
    assert foreign_owners(owners) == ["kernels", "web.py"]


def test_foreign_names_stop_the_start_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    check_names()
    monkeypatch.setattr(doctor.importlib.metadata, "packages_distributions", lambda: {"kernels": ["kernels"]})
    with pytest.raises(BadInput, match="kernels") as caught:
        check_names()
    assert "pip uninstall -y kernels" in caught.value.action


def test_names_from_elsewhere_stop_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        doctor, "_home_of", lambda name: tmp_path if name == "agent" else Path(doctor.__file__).parents[1]
    )
    with pytest.raises(BadInput, match="agent would be imported from elsewhere") as caught:
        check_names()
    assert "PYTHONPATH" in caught.value.action


def test_the_report_is_for_people_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding("gpu", "ok", "none [at all]"), Finding("port", "warn", "Port 1 is taken.", "Use another.")]
    report(findings, as_json=False)
    shown = capsys.readouterr().out
    assert "none [at all]" in shown
    assert "→ Use another." in shown
    report(findings, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"name": "gpu", "level": "ok", "message": "none [at all]", "action": ""},
        {"name": "port", "level": "warn", "message": "Port 1 is taken.", "action": "Use another."},
    ]


def test_both_loopbacks_share_a_port_and_are_given_back() -> None:
    sockets = open_sockets("localhost", 0)
    ports = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()
    assert len(ports) == 1
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", ports.pop()))
