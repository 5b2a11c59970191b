"""The weights of SAM 3: where they are, and whether they are whole. Nothing here needs torch or a network.

They come in two forms: a folder in transformers' layout (as the hub keeps it), or Meta's own `sam3.pt`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stream.errors import EngineError

REPOSITORY = "facebook/sam3"
EXTRA = 'pip install "onlooker[sam3]"'
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub")
ARCHITECTURE = "sam3_video"
META_FILE = "sam3.pt"
META_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
WANTED = (CONFIG, SAFETENSORS, INDEX, "model-*.safetensors", TOKENIZER)
"""What a repository of the hub is asked for; Meta's file would be the same weights again."""

NAMES = f"Name {REPOSITORY}, a folder with {CONFIG}, {SAFETENSORS} and {TOKENIZER}, or Meta's {META_FILE}."
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_LONGEST_HEADER = 100_000_000


class NoSam3(EngineError):
    """The sam3 engine cannot run here; `action` holds the steps."""

    retryable = False
    default_action = "Use --engine light, which needs no GPU and no account."


class Sam3WeightsMissing(NoSam3):
    """The weights are not on this machine, or not whole."""

    code = "model_missing"


@dataclass(frozen=True, slots=True)
class Found:
    """Weights that are there, each file of the right length. `config` is None for a `sam3.pt` alone: then it is the
    released model's, which transformers knows."""

    asked: str
    form: Literal["folder", "meta"]
    files: tuple[Path, ...]
    config: Path | None
    vocabulary: Path

    @property
    def folder(self) -> Path:
        return self.files[0].parent

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def check_packages() -> None:
    """Raises `NoSam3` where a package is missing; imports none."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NoSam3(
            f"SAM 3 needs {', '.join(missing)}, not installed here.",
            action=f"1. {EXTRA} 2. Check with onlooker doctor. Until then: --engine light.",
        )


def is_repository(source: str) -> bool:
    """Whether `source` names a repository of the hub and nothing on this machine."""
    return not Path(source).expanduser().exists() and _REPOSITORY.fullmatch(source) is not None


def find_here(source: str) -> Found:
    """The weights in a folder or a file. Raises `Sam3WeightsMissing`, or `NoSam3` where they are another model's."""
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / CONFIG).is_file() and (path / META_FILE).is_file():
            return _meta(source, path / META_FILE)
        return _folder(source, path)
    if path.is_file():
        if path.suffix not in (".pt", ".pth"):
            raise Sam3WeightsMissing(f"{path} is not a file that SAM 3 comes in.", action=NAMES)
        return _meta(source, path)
    raise Sam3WeightsMissing(f"There is no {path}.", action=NAMES)


def _folder(asked: str, folder: Path) -> Found:
    config = folder / CONFIG
    if not config.is_file():
        raise Sam3WeightsMissing(f"{folder} has no {CONFIG}.", action=NAMES)
    check_architecture(config)
    files = _shards(folder)
    for path in files:
        check_safetensors(path)
    vocabulary = folder / TOKENIZER
    if not vocabulary.is_file():
        raise Sam3WeightsMissing(
            f"{folder} has no {TOKENIZER}, so no word could be looked for.",
            action=f"Copy {TOKENIZER} from {REPOSITORY} into it: hf download {REPOSITORY} {TOKENIZER}",
        )
    return Found(asked, "folder", files, config, vocabulary)


def _meta(asked: str, file: Path) -> Found:
    check_archive(file)
    config = file.parent / CONFIG
    if config.is_file():
        check_architecture(config)
    for name in (TOKENIZER, META_VOCABULARY):
        if (file.parent / name).is_file():
            return Found(asked, "meta", (file,), config if config.is_file() else None, file.parent / name)
    raise Sam3WeightsMissing(
        f"{file} holds no vocabulary, so no word could be looked for.",
        action=f"Put {META_VOCABULARY} beside it, from the folder sam3/assets of Meta's code; or {TOKENIZER} of "
        f"{REPOSITORY}: hf download {REPOSITORY} {TOKENIZER} --local-dir {file.parent}",
    )


def _shards(folder: Path) -> tuple[Path, ...]:
    single, index = folder / SAFETENSORS, folder / INDEX
    if single.is_file():
        return (single,)
    if not index.is_file():
        raise Sam3WeightsMissing(f"{folder} has no {SAFETENSORS}.", action=again(folder))
    listed = _json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise Sam3WeightsMissing(f"{index} lists no files.", action=again(folder))
    files = tuple(folder / Path(str(name)).name for name in sorted(set(listed.values())))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise Sam3WeightsMissing(f"{folder} lacks {', '.join(missing)}.", action=again(folder))
    return files


def check_architecture(config: Path) -> None:
    """Raises `NoSam3` for the configuration of another model."""
    kind = _json(config).get("model_type")
    if kind != ARCHITECTURE:
        raise NoSam3(f"{config.parent} holds {kind or 'no model'}, not SAM 3 for video ({ARCHITECTURE}).", action=NAMES)


def check_safetensors(path: Path) -> dict[str, Any]:
    """The header of a safetensors file whose length is what it says. Raises `Sam3WeightsMissing`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_LONGEST_HEADER, size):
            raise Sam3WeightsMissing(f"{path} is not a safetensors file.", action=again(path.parent))
        text = file.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Sam3WeightsMissing(f"{path} is not a safetensors file: {error}.", action=again(path.parent)) from error
    whole = 8 + length + max(ends, default=0)
    if size != whole:
        raise Sam3WeightsMissing(
            f"{path} is {'truncated' if size < whole else 'too long'}: {size} of {whole} bytes.",
            action=again(path.parent),
        )
    return header


def check_archive(path: Path) -> None:
    """Raises `Sam3WeightsMissing` for a file that torch did not write, or of which the end is missing."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise Sam3WeightsMissing(
            f"{path} is truncated or is no checkpoint: {error}.",
            action=f"Download it again: hf download {REPOSITORY} {META_FILE} --local-dir {path.parent}",
        ) from error
    if not any(name.endswith("data.pkl") for name in names):
        raise Sam3WeightsMissing(f"{path} is an archive, but no checkpoint of torch's.", action=NAMES)


def again(folder: Path) -> str:
    """What to do about a file of `folder` that is not whole. The hub's cache keeps its files apart from the names."""
    if "snapshots" in folder.parts:
        return f"Delete it and fetch it again: hf download {REPOSITORY} --force-download"
    return f"Fetch it again: hf download {REPOSITORY} --local-dir {folder}"


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Sam3WeightsMissing(f"{path} cannot be read: {error}.", action=again(path.parent)) from error
    return value if isinstance(value, dict) else {}
