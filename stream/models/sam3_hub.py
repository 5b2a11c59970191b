"""SAM 3 on the hub: what its cache on this machine holds, and how the rest comes here."""

from __future__ import annotations

from pathlib import Path

from stream.models.sam3 import REPOSITORY, WANTED, Found, NoSam3, Sam3WeightsMissing, find_here, is_repository

_LIGHT = "Until then: --engine light."


def find(source: str) -> Found:
    """The weights that `source` names, without a network: a folder, a file, or a repository in the hub's cache.

    Raises `NoSam3` or `Sam3WeightsMissing`. Needs huggingface_hub for a repository.
    """
    if not is_repository(source):
        return find_here(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(source, local_files_only=True, allow_patterns=list(WANTED))
    except LocalEntryNotFoundError as error:
        raise Sam3WeightsMissing(f"The weights of {source} are not on this machine.", action=_steps(source)) from error
    return _named(source, Path(folder))


def fetch(source: str) -> Found:
    """`find`, else downloaded. Raises `NoSam3` or `Sam3WeightsMissing` with the steps to take."""
    try:
        return find(source)
    except Sam3WeightsMissing:
        if not is_repository(source):
            raise
    return _named(source, _download(source))


def here(source: str | None) -> Found | None:
    """The weights if they are on this machine, whole; None otherwise."""
    try:
        return find(source or REPOSITORY)
    except (NoSam3, ImportError):
        return None


def _download(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(source, allow_patterns=list(WANTED)))
    except GatedRepoError as error:
        raise Sam3WeightsMissing(
            f"The weights of {source} are there for whom access was given.", action=_steps(source)
        ) from error
    except RepositoryNotFoundError as error:
        raise Sam3WeightsMissing(
            f"The hub shows no repository {source} without a login that has access to it.", action=_steps(source)
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise Sam3WeightsMissing(
            f"The weights of {source} are not on this machine, and the hub cannot be reached.",
            action=f"Where there is a network: hf download {source}. Then name that folder with --sam3. {_LIGHT}",
        ) from error
    except HfHubHTTPError as error:
        raise Sam3WeightsMissing(f"The hub refused {source}: {_reason(error)}", action=_steps(source)) from error
    except OSError as error:
        raise Sam3WeightsMissing(
            f"The weights of {source} could not be stored: {_reason(error)}",
            action="Free about 4 GB, or set HF_HOME to a folder on a larger disk, and start again.",
        ) from error


def _named(source: str, folder: Path) -> Found:
    found = find_here(str(folder))
    return Found(source, found.form, found.files, found.config, found.vocabulary)


def _steps(source: str) -> str:
    return (
        f"1. Ask for access on the page of {source} at the hub, with an account; it is given within a day or so. "
        f"2. hf auth login (a token that may read). 3. Start again: the weights, about 3.4 GB, come once. {_LIGHT}"
    )


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0][:200]
