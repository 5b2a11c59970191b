"""SAM 3's weights: every form they come in is read, and everything that can be wrong is said with what to do."""

from __future__ import annotations

import importlib.util
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam3VideoConfig, Sam3VideoModel

from stream.config import EngineConfig
from stream.engines.sam3 import weights
from stream.engines.sam3.meta_weights import UNUSED, UnknownKeys, convert, is_meta, meta_name
from stream.engines.sam3.weights import load_model, prepare
from stream.models import sam3 as sam3_module
from stream.models.sam3 import (
    CONFIG,
    INDEX,
    META_FILE,
    META_VOCABULARY,
    SAFETENSORS,
    TOKENIZER,
    NoSam3,
    Sam3WeightsMissing,
    check_packages,
    find_here,
    is_repository,
)
from stream.models.sam3_memory import PARAMETERS
from tests.goldens import small_sam3 as small
from tests.sam3_folders import meta_state, write_folder, write_meta
from tests.tiny_sam3 import tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
GB = 10**9


@pytest.fixture(scope="module")
def tiny() -> Sam3VideoModel:
    return tiny_model()


@pytest.fixture
def folder(tiny: Sam3VideoModel, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "sam3", tiny)


@pytest.fixture
def meta(tmp_path: Path) -> Path:
    return write_meta(tmp_path / "meta")


@pytest.fixture(scope="module")
def released() -> dict[str, torch.Tensor]:
    """transformers' parameters of the released model, without their values."""
    with torch.device("meta"):
        return Sam3VideoModel(Sam3VideoConfig()).state_dict()


def shapes_of(keys: Path) -> dict[str, torch.Tensor]:
    """Every key of Meta's, without values."""
    every = small.read_keys(keys) | small.read_constants(keys)
    return {name: torch.empty(shape, device="meta") for name, shape in every.items()}


def same(model: Sam3VideoModel, other: Sam3VideoModel) -> bool:
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


# Meta's names


def test_every_key_of_the_released_file_is_accounted_for(released: dict[str, torch.Tensor]) -> None:
    made = convert(shapes_of(small.KEYS))
    assert {name: value.shape for name, value in made.items()} == {name: v.shape for name, v in released.items()}
    assert sum(value.numel() for value in released.values()) == PARAMETERS


def test_every_rule_and_every_unused_key_is_met_by_the_released_file(released: dict[str, torch.Tensor]) -> None:
    there = set(shapes_of(small.KEYS))
    back = {meta_name(name) for name in released}
    rows = {name for name in back if "*" in name}
    assert back - rows <= there
    assert rows == {"tracker.sam_prompt_encoder.point_embeddings.*.weight"}
    unused = there - back - {row.replace("*", str(number)) for row in rows for number in range(4)}
    # What no parameter comes from is on the list of those that are deliberately not read.
    assert len(unused) == 32 + 6
    for name in unused:
        assert any(name.split(".")[-1] == pattern.split(".")[-1] for pattern in UNUSED)
    assert all(reason for reason in UNUSED.values())


def test_a_key_that_sam3_does_not_have_is_named() -> None:
    with pytest.raises(UnknownKeys, match=r"tracker\.no_such_thing") as caught:
        convert(shapes_of(small.SMALL_KEYS) | {"tracker.no_such_thing": torch.zeros(1)})
    assert caught.value.names == ["tracker.no_such_thing"]


def test_query_key_and_value_come_in_this_order() -> None:
    key = "detector.transformer.encoder.layers.1.self_attn.in_proj_bias"
    made = convert({key: torch.arange(6)})
    place = "detector_model.detr_encoder.layers.1.self_attn"
    assert [made[f"{place}.{part}_proj.bias"].tolist() for part in "qkv"] == [[0, 1], [2, 3], [4, 5]]


def test_points_are_gathered_by_their_number() -> None:
    name = "tracker.sam_prompt_encoder.point_embeddings.{}.weight"
    made = convert({name.format(number): torch.full((1, 2), float(number)) for number in (2, 0, 3, 1)})
    assert made["tracker_model.prompt_encoder.point_embed.weight"][:, 0].tolist() == [0, 1, 2, 3]


def test_the_class_position_is_left_out_and_the_projection_turned() -> None:
    positions = convert({"detector.backbone.vision_backbone.trunk.pos_embed": torch.arange(3.0).view(1, 3, 1)})
    assert next(iter(positions.values())).flatten().tolist() == [1, 2]
    projection = convert({"detector.backbone.language_backbone.encoder.text_projection": torch.zeros(3, 2)})
    assert next(iter(projection.values())).shape == (2, 3)


def test_meta_files_are_known_by_detector_and_tracker() -> None:
    assert is_meta(["detector.a", "tracker.b"])
    assert not is_meta(["detector_model.a", "tracker_model.b"])


# Reading


@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_is_read_whole(tiny: Sam3VideoModel, tmp_path: Path, shards: int) -> None:
    found = find_here(str(write_folder(tmp_path, tiny, shards=shards)))
    assert len(found.files) == shards
    assert found.size_bytes > 4 * sum(value.numel() for value in tiny.parameters())
    read = load_model(found, device=CPU, dtype=torch.float32)
    assert same(read, tiny)
    assert not read.training
    assert not any(parameter.requires_grad for parameter in read.parameters())


def test_a_folder_that_transformers_wrote_is_read(tiny: Sam3VideoModel, folder: Path) -> None:
    tiny.save_pretrained(folder)
    assert same(load_model(find_here(str(folder)), device=CPU, dtype=torch.float32), tiny)


def test_it_is_what_transformers_loads(folder: Path) -> None:
    mine = load_model(find_here(str(folder)), device=CPU, dtype=torch.float32)
    theirs = Sam3VideoModel.from_pretrained(folder)
    assert same(mine, theirs)
    buffers = dict(theirs.named_buffers())
    assert {
        name: True for name, value in mine.named_buffers() if torch.equal(value, buffers[name])
    }.keys() == buffers.keys()


def test_numbers_become_the_wanted_kind(folder: Path) -> None:
    read = load_model(find_here(str(folder)), device=CPU, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in read.parameters()} == {torch.bfloat16}
    # Angles of the rotary embeddings would lose too much.
    assert {value.dtype for name, value in read.named_buffers() if "inv_freq" in name} == {torch.float32}


def test_another_side_fits_the_model_to_it(folder: Path) -> None:
    read = load_model(find_here(str(folder)), device=CPU, dtype=torch.float32, side=168)
    assert read.config.image_size == 168
    assert read.config.low_res_mask_size == 48
    assert read.tracker_model.prompt_encoder.image_embedding_size == (12, 12)


def test_metas_file_is_read_whole(meta: Path) -> None:
    read = load_model(find_here(str(meta)), device=CPU, dtype=torch.float32).state_dict()
    wanted = convert(meta_state())
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[name], wanted[name]) for name in read)


def test_a_checkpoint_of_training_holds_the_model_inside(meta: Path) -> None:
    torch.save({"model": meta_state(), "epoch": 3}, meta)
    assert load_model(find_here(str(meta)), device=CPU, dtype=torch.float32) is not None


def test_a_folder_with_metas_file_alone_is_taken(meta: Path) -> None:
    (meta.parent / CONFIG).unlink()
    found = find_here(str(meta.parent))
    assert (found.form, found.config) == ("meta", None)
    config = weights._config(found, None)
    assert config.image_size == 1008
    assert config.detector_config.vision_config.backbone_config.layer_norm_eps == 1e-5


# What is wrong


def refused(source: Path) -> NoSam3:
    """The error of finding or reading it; it always says what to do."""
    with pytest.raises(NoSam3) as caught:
        load_model(find_here(str(source)), device=CPU, dtype=torch.float32)
    assert caught.value.action
    assert not caught.value.retryable
    return caught.value


def test_what_does_not_exist(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert isinstance(error, Sam3WeightsMissing)
    assert "facebook/sam3" in error.action


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    assert "clip.mp4" in refused(tmp_path / "clip.mp4").message


@pytest.mark.parametrize("name", [CONFIG, SAFETENSORS, TOKENIZER])
def test_a_folder_that_lacks_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refused(folder).message


def test_the_configuration_of_another_model(folder: Path) -> None:
    (folder / CONFIG).write_text(json.dumps({"model_type": "sam2_video"}))
    assert "sam2_video" in refused(folder).message


def test_a_configuration_that_is_no_json(folder: Path) -> None:
    (folder / CONFIG).write_text("<html>")
    assert CONFIG in refused(folder).message


@pytest.mark.parametrize("kept", [0, 5, 4_000, -1])
def test_a_truncated_safetensors_file(folder: Path, kept: int) -> None:
    data = (folder / SAFETENSORS).read_bytes()
    (folder / SAFETENSORS).write_bytes(data[:kept])
    error = refused(folder)
    assert SAFETENSORS in error.message
    assert "hf download" in error.action


def test_a_safetensors_file_with_more_at_its_end(folder: Path) -> None:
    with (folder / SAFETENSORS).open("ab") as file:
        file.write(b"more")
    assert "too long" in refused(folder).message


def test_a_page_of_html_instead_of_weights(folder: Path) -> None:
    (folder / SAFETENSORS).write_text("<!doctype html><title>Sign in</title>")
    assert "not a safetensors file" in refused(folder).message


def test_a_missing_shard_is_named(tiny: Sam3VideoModel, tmp_path: Path) -> None:
    write_folder(tmp_path, tiny, shards=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors" in refused(tmp_path).message
    (tmp_path / INDEX).write_text("{}")
    assert INDEX in refused(tmp_path).message


def test_parameters_that_lack_or_are_too_many_are_named(folder: Path) -> None:
    state = load_file(folder / SAFETENSORS)
    lacking = {name: value for name, value in state.items() if name != "tracker_model.no_object_pointer"}
    save_file(lacking, folder / SAFETENSORS)
    assert "tracker_model.no_object_pointer" in refused(folder).message
    save_file(state | {"tracker_model.extra": torch.zeros(1)}, folder / SAFETENSORS)
    assert "tracker_model.extra" in refused(folder).message
    save_file(state | {"tracker_model.no_object_pointer": torch.zeros(1, 7)}, folder / SAFETENSORS)
    assert "(1, 7)" in refused(folder).message


def test_metas_file_names_what_lacks_in_metas_words(meta: Path) -> None:
    state = meta_state()
    del state["tracker.no_obj_ptr"]
    torch.save(state, meta)
    assert "tracker.no_obj_ptr" in refused(meta).message
    torch.save(meta_state() | {"detector.new_head.weight": torch.zeros(1)}, meta)
    assert "detector.new_head.weight" in refused(meta).message


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_a_truncated_file_of_metas(meta: Path, part: float) -> None:
    data = meta.read_bytes()
    meta.write_bytes(data[: int(part * len(data))])
    error = refused(meta)
    assert "truncated" in error.message
    assert META_FILE in error.action


def test_another_models_checkpoint(meta: Path) -> None:
    torch.save({"image_encoder.weight": torch.zeros(1)}, meta)
    assert "no detector and no tracker" in refused(meta).message
    torch.save([1, 2], meta)
    assert "no detector and no tracker" in refused(meta).message


class Dangerous:
    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.made,))


def test_a_checkpoint_that_would_run_code_does_not(meta: Path, tmp_path: Path) -> None:
    torch.save({"detector.a": Dangerous(tmp_path / "made"), "tracker.b": 1}, meta)
    assert "cannot be read as weights" in refused(meta).message
    assert not (tmp_path / "made").exists()


def test_an_archive_and_a_pickle_that_are_no_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("a.jpg", b"")
    assert "no checkpoint" in refused(tmp_path / "photos.pt").message
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"detector": 1}))
    assert "old.pt" in refused(tmp_path / "old.pt").message


def test_metas_file_alone_says_where_its_vocabulary_is(meta: Path) -> None:
    (meta.parent / META_VOCABULARY).unlink()
    error = refused(meta)
    assert META_VOCABULARY in error.action
    assert TOKENIZER in error.action


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        sam3_module.importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name)
    )
    with pytest.raises(NoSam3, match="transformers") as caught:
        check_packages()
    assert "onlooker[sam3]" in caught.value.action


def test_a_machine_without_a_gpu_is_told_before_anything_is_downloaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for source in (str(folder), "facebook/sam3"):
        with pytest.raises(NoSam3, match="GPU") as caught:
            prepare(EngineConfig(sam3=source))
        assert "--engine light" in caught.value.action


def test_names_of_repositories_are_told_from_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_repository("facebook/sam3")
    (tmp_path / "facebook" / "sam3").mkdir(parents=True)
    assert not is_repository("facebook/sam3")
    assert not is_repository("/models/sam3")
    assert not is_repository("sam3.pt")
