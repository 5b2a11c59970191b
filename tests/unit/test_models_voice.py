"""Speech models come whole and checked, by the user's own pip, or not at all and with the reason."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stream.errors import ModelMissing
from stream.models.catalogue import Member
from stream.models.fetch import Progress
from stream.models.fetch_voice import fetch_voice
from stream.models.voice import VOICE_MODELS, Piece, VoiceModel, VoiceStore, Wheel

FIRST, SECOND, WORDS = b"the first half, " * 1000, b"the second half", b"words"


def member(package: str, name: str, content: bytes) -> Member:
    return Member(f"{package}/{name}", len(content), hashlib.sha256(content).hexdigest())


ONE = Wheel("tiny-speech-1", "1.0", 20_000, (member("tiny_speech_1", "model.bin.part1", FIRST),))
TWO = Wheel(
    "tiny-speech-2", "1.0", 1_000,
    (member("tiny_speech_2", "model.bin.part2", SECOND), member("tiny_speech_2", "vocabulary.txt", WORDS)),
)  # fmt: skip
PIECES = (Piece("model.bin", (*ONE.members, TWO.members[0])), Piece("vocabulary.txt", (TWO.members[1],)))
TINY = VoiceModel("tiny", (ONE, TWO), PIECES, "MIT", "hearing tiny voices")
Build = Callable[..., None]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Puts wheels into a folder that is pip's only index."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def wheel(name: str, files: dict[str, bytes]) -> None:
        plain = name.replace("-", "_")
        info = f"{plain}-1.0.dist-info"
        with zipfile.ZipFile(index / f"{plain}-1.0-py3-none-any.whl", "w") as archive:
            for path, content in files.items():
                archive.writestr(f"{plain}/{path}", content)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")

    return wheel


def files_in(store: VoiceStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def test_parts_are_put_together_once(tmp_path: Path, build: Build) -> None:
    build("tiny-speech-1", {"model.bin.part1": FIRST})
    build("tiny-speech-2", {"model.bin.part2": SECOND, "vocabulary.txt": WORDS})
    store = VoiceStore(tmp_path / "models")
    seen: list[Progress] = []
    fetch_voice(store, (TINY,), seen.append)
    folder = store.path(TINY)
    assert (folder / "model.bin").read_bytes() == FIRST + SECOND
    assert (folder / "vocabulary.txt").read_bytes() == WORDS
    assert files_in(store) == [".lock", "voice/tiny/model.bin", "voice/tiny/vocabulary.txt"]
    assert seen[-1].done == seen[-1].total
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    (tmp_path / "index" / "tiny_speech_1-1.0-py3-none-any.whl").unlink()
    fetch_voice(store, (TINY,))


def test_what_is_not_the_original_is_refused(tmp_path: Path, build: Build) -> None:
    build("tiny-speech-1", {"model.bin.part1": FIRST})
    build("tiny-speech-2", {"model.bin.part2": SECOND[::-1], "vocabulary.txt": WORDS})
    store = VoiceStore(tmp_path / "models")
    with pytest.raises(ModelMissing, match="another checksum"):
        fetch_voice(store, (TINY,))
    assert not store.has(TINY)
    assert [name for name in files_in(store) if "model.bin" in name] == []
    with pytest.raises(ModelMissing, match="is not in"):
        store.path(TINY)


@pytest.mark.parametrize("files", [{}, {"vocabulary.txt": WORDS}, {"model.bin.part2": SECOND + b"x"}])
def test_a_wheel_that_lacks_something_is_refused(tmp_path: Path, build: Build, files: dict[str, bytes]) -> None:
    build("tiny-speech-1", {"model.bin.part1": FIRST})
    build("tiny-speech-2", files)
    with pytest.raises(ModelMissing) as error:
        fetch_voice(VoiceStore(tmp_path / "models"), (TINY,))
    assert error.value.action


def test_an_index_without_it_is_explained(tmp_path: Path, build: Build) -> None:
    with pytest.raises(ModelMissing, match=r"does not have tiny-speech-1==1\.0"):
        fetch_voice(VoiceStore(tmp_path / "models"), (TINY,))


def test_an_index_that_cannot_be_reached_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PIP_CONFIG_FILE", "/dev/null"), ("PIP_INDEX_URL", "http://127.0.0.1:9/simple"),
                        ("PIP_RETRIES", "0"), ("PIP_NO_PROXY", "*")):  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelMissing) as error:
        fetch_voice(VoiceStore(tmp_path / "models"), (replace(TINY, wheels=(ONE,), pieces=PIECES[:1]),))
    assert "index" in error.value.message
    assert error.value.action


def test_every_model_is_listed(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    assert [status.state.value for status in store.status()] == ["missing"] * len(VOICE_MODELS)
    for model in VOICE_MODELS:
        assert {part for piece in model.pieces for part in piece.members} == {
            part for wheel in model.wheels for part in wheel.members
        }
