"""What speech needs, where it is not there: said in words, with the way to get it, and in nobody's way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.speech.model_ears import ModelEars
from agent.speech.openai_server import OpenAiTranscriber
from agent.speech.vad import find_vad
from agent.vlm.facts import FactsBackend
from stream.config import Config, VoiceConfig, load_config
from stream.errors import BadInput, ModelMissing, ModelServerError, VoiceMissing
from stream.models.voice import VoiceStore
from web.cli import _voice
from web.doctor import Finding
from web.doctor import _voice as examined
from web.voice import check_voice, make_transcriber


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """faster-whisper is not installed."""
    monkeypatch.setitem(sys.modules, "faster_whisper", None)


def test_without_the_package_the_command_that_installs_it_is_told(bare: None, tmp_path: Path) -> None:
    with pytest.raises(VoiceMissing) as error:
        make_transcriber(VoiceConfig(), VoiceStore(tmp_path), FactsBackend)
    assert error.value.code == "voice_missing"
    assert "pip install 'onlooker[voice]'" in error.value.action
    assert "onlooker models fetch voice" in error.value.action
    with pytest.raises(ModelMissing):
        find_vad(VoiceStore(tmp_path))


def test_a_server_needs_neither_the_package_nor_a_model(bare: None, tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    server = make_transcriber(VoiceConfig(url="http://host/v1", model="whisper-1"), store, FactsBackend)
    assert isinstance(server, OpenAiTranscriber)
    assert isinstance(make_transcriber(VoiceConfig(url="vlm"), store, FactsBackend), ModelEars)
    with pytest.raises(ModelServerError, match="cannot be read"):
        make_transcriber(VoiceConfig(url="http://host/v1", api_key_file=tmp_path / "none"), store, FactsBackend)


@pytest.mark.parametrize(
    ("given", "table"),
    [
        (None, {}),
        ("whisper-base", {"model": "whisper-base"}),
        ("/models/mine", {"model": "/models/mine"}),
        ("vlm", {"url": "vlm"}),
        ("https://host/v1", {"url": "https://host/v1"}),
    ],
)
def test_one_option_names_a_model_or_an_address(given: str | None, table: dict[str, str]) -> None:
    assert _voice(given) == table


def test_an_address_that_is_none_is_refused() -> None:
    check_voice(VoiceConfig(url="vlm"))
    check_voice(VoiceConfig(url="http://host/v1"))
    with pytest.raises(BadInput, match="no address"):
        check_voice(VoiceConfig(url="ftp://host"))
    with pytest.raises(BadInput, match=r"voice\.language"):
        load_config({"voice": {"language": "English"}})


def report(tables: dict[str, dict[str, str]], folder: Path) -> list[Finding]:
    return list(examined(Config.model_validate({"engine": {"models_dir": str(folder)}, **tables})))


def test_the_doctor_says_what_is_missing(bare: None, tmp_path: Path) -> None:
    (missing,) = report({}, tmp_path)
    assert (missing.level, missing.name) == ("warn", "voice")
    assert "onlooker[voice]" in missing.action
    (asked_for,) = report({"voice": {"model": "whisper-base"}}, tmp_path)
    assert asked_for.level == "fail"
    (served, deaf) = report({"voice": {"url": "http://host/v1", "model": "whisper-1"}}, tmp_path)
    assert (served.level, deaf.level) == ("ok", "warn")
    assert "whisper-1" in served.message
    assert "hold the key" in deaf.action


def test_the_doctor_says_what_is_there(tmp_path: Path) -> None:
    (model_missing,) = report({}, tmp_path)
    assert "onlooker models fetch voice" in model_missing.action
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"w")
    (found,) = report({"voice": {"model": str(folder)}}, tmp_path)
    assert (found.level, "mine" in found.message) == ("ok", True)
