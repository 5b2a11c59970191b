"""Settings: precedence, unknown keys, and nothing secret in what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config import load_config, public_config
from stream.errors import BadInput


@pytest.fixture(autouse=True)
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "onlooker.toml"
    path.write_text("")
    monkeypatch.setenv("ONLOOKER_CONFIG", str(path))
    return path


def test_defaults_are_loopback_and_bounded() -> None:
    config = load_config()
    assert config.server.loopback
    assert config.server.port == 8000
    assert config.webrtc.max_sessions == 16
    assert config.webrtc.max_viewers == 64
    assert config.sources.max_streams == 16
    assert config.sources.allow_roots == ()


def test_command_line_over_environment_over_file_over_default(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file.write_text('[server]\nport = 1111\nhost = "0.0.0.0"\n[sources]\nmax_streams = 3\n')
    assert load_config().server.port == 1111
    monkeypatch.setenv("ONLOOKER_SERVER__PORT", "2222")
    assert load_config().server.port == 2222
    config = load_config({"server": {"port": 3333}})
    assert config.server.port == 3333
    assert config.server.host == "0.0.0.0"
    assert config.sources.max_streams == 3


def test_unknown_key_in_the_file_names_the_nearest(config_file: Path) -> None:
    config_file.write_text("[server]\nprot = 1\n")
    with pytest.raises(BadInput, match=r"server\.prot is not a setting") as caught:
        load_config()
    assert "server.port" in caught.value.action


def test_unknown_key_in_the_environment_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_SERVER__HOTS", "localhost")
    with pytest.raises(BadInput, match="ONLOOKER_SERVER__HOTS") as caught:
        load_config()
    assert "ONLOOKER_SERVER__HOST" in caught.value.action


def test_unknown_key_of_a_feed_names_the_nearest(config_file: Path) -> None:
    config_file.write_text('[[feeds]]\nid = "a"\nlop = true\n')
    with pytest.raises(BadInput) as caught:
        load_config()
    assert "feeds.loop" in caught.value.action


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\nport = 70000\n", "server.port"),
        ('[engine]\nname = "big"\n', "engine.name"),
        ('[server]\ntls_cert = "cert.pem"\n', "needs its key"),
        ('[[feeds]]\nid = "No Spaces"\n', "feeds.id"),
    ],
)
def test_wrong_values_name_their_key(config_file: Path, text: str, key: str) -> None:
    config_file.write_text(text)
    with pytest.raises(BadInput, match=key):
        load_config()


@pytest.mark.parametrize("content", [b"[server\n", b"\xff\xfe\x00"])
def test_a_broken_file_is_an_error_in_words(config_file: Path, content: bytes) -> None:
    config_file.write_bytes(content)
    with pytest.raises(BadInput, match=r"onlooker\.toml"):
        load_config()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(BadInput, match="does not exist"):
        load_config()


def test_home_is_expanded(config_file: Path) -> None:
    config_file.write_text('[sources]\nallow_roots = ["~/clips"]\n')
    assert load_config().sources.allow_roots == (Path.home() / "clips",)


def test_what_is_shown_has_no_credentials(config_file: Path) -> None:
    config_file.write_text(
        '[[webrtc.ice_servers]]\nurls = ["turn:turn.example:3478"]\nusername = "eve"\ncredential = "hunter2"\n'
    )
    config = load_config()
    assert config.webrtc.ice_servers[0].credential == "hunter2"
    shown = str(public_config(config))
    assert "hunter2" not in shown
    assert "eve" not in shown
    assert "turn:turn.example" in shown
