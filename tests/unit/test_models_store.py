"""What a store says of itself is what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import ModelMissing
from stream.models.catalogue import MODELS, NANODET, PACKAGES, sam_encoder
from stream.models.store import ModelState, ModelStore, default_root


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_folder_that_does_not_exist_lacks_everything(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "nowhere")
    assert not store.ready
    assert [status.state for status in store.status()] == [ModelState.MISSING] * len(MODELS)
    notes = store.missing()
    assert {note.code for note in notes} == {"model_missing"}
    assert all("onlooker models fetch" in note.action for note in notes)
    assert len(notes) == 2
    assert "by name" in notes[1].message
    assert not (tmp_path / "nowhere").exists()


def test_sources_without_models_count_as_unconverted(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for member in NANODET.members:
        put(store.source_path(NANODET.package, member), bytes(member.size_bytes))
    states = {status.name: status.state for status in store.status()}
    assert states["nanodet"] is ModelState.UNCONVERTED
    assert set(states.values()) == {ModelState.UNCONVERTED, ModelState.MISSING}


def test_a_source_of_another_size_does_not_count(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for member in NANODET.members:
        put(store.source_path(NANODET.package, member), bytes(member.size_bytes - 1))
    assert ModelState.UNCONVERTED not in {status.state for status in store.status()}


def test_a_prepared_folder_is_ready(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for model in MODELS:
        assert not store.ready
        put(tmp_path / model.file_name, b"model")
    assert store.ready
    assert store.missing() == ()
    assert store.path("nanodet") == tmp_path / NANODET.file_name
    assert {(status.state, status.size_bytes) for status in store.status()} == {(ModelState.READY, 5)}


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    put(tmp_path / NANODET.file_name, b"")
    with pytest.raises(ModelMissing) as caught:
        store.path("nanodet")
    assert caught.value.code == "model_missing"
    assert "onlooker models fetch" in caught.value.action


def test_an_unknown_name_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        ModelStore(tmp_path).path("no-such-model")


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_CACHE_DIR", str(tmp_path))
    assert default_root() == ModelStore().root == tmp_path / "models"
    monkeypatch.delenv("ONLOOKER_CACHE_DIR")
    assert default_root().parts[-2:] == ("onlooker", "models")


def test_file_names_tell_sources_and_sizes_apart() -> None:
    names = [model.file_name for model in (*MODELS, sam_encoder(448))]
    assert len(set(names)) == len(names)
    assert all(name.endswith(".onnx") and "/" not in name for name in names)


def test_every_source_is_pinned_by_a_full_hash() -> None:
    for package in PACKAGES:
        assert package.size_bytes > sum(member.size_bytes for member in package.members) / 3
        for member in package.members:
            assert len(member.sha256) == 64
            assert int(member.sha256, 16) > 0


def test_the_real_store_lists_real_sizes(model_store: ModelStore) -> None:
    for status in model_store.status():
        assert status.state is ModelState.READY
        assert status.size_bytes > 10_000_000
        assert status.licence
        assert status.source.startswith("npm ")
