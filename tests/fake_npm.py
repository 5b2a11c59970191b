"""An executable that stands in for npm: fails, hangs, or packs what a test gives it."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

_SCRIPT = """#!{python}
import os, pathlib, shutil, subprocess, sys, time
log = pathlib.Path({log!r})
spec = sys.argv[2]
log.open("a").write(spec + "\\n")
{body}
"""
_HANG = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
log.with_name("pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""
_PACK = """
folder = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--pack-destination="))
name = spec.rsplit("@", 1)[0].removeprefix("@").replace("/", "-")
shutil.copy(pathlib.Path({tarballs!r}) / (name + ".tgz"), folder)
"""


class FakeNpm:
    """Puts itself on PATH, alone."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tarballs = folder / "tarballs"
        self.tarballs.mkdir(parents=True)
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._log = folder / "log"
        monkeypatch.setenv("PATH", str(self._bin))

    @property
    def calls(self) -> list[str]:
        """The packages that were asked for."""
        return self._log.read_text().split() if self._log.exists() else []

    @property
    def pids(self) -> list[int]:
        """The hanging process and its child."""
        return [int(pid) for pid in self._log.with_name("pids").read_text().split()]

    def fails(self, stderr: str) -> None:
        self._write(f"sys.stderr.write({stderr!r}); sys.exit(1)")

    def hangs(self) -> None:
        self._write(_HANG)

    def packs(self) -> None:
        """Serve `tarballs/<scope>-<name>.tgz`."""
        self._write(_PACK.format(tarballs=str(self.tarballs)))

    def add_tarball(self, name: str, files: dict[str, bytes]) -> Path:
        path = self.tarballs / f"{name}.tgz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for file_name, content in files.items():
                entry = tarfile.TarInfo(file_name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return path

    def _write(self, body: str) -> None:
        script = self._bin / "npm"
        script.write_text(_SCRIPT.format(python=sys.executable, log=str(self._log), body=body))
        script.chmod(0o755)
