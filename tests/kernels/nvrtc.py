"""Compiles kernels for real cards without one: NVRTC to machine code, and what ptxas says of it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cuda.bindings import nvrtc

from kernels.cuda.launch import OPTIONS, SOURCES
from tests.kernels.runner import LIBRARIES

ARCHITECTURES = (75, 80, 90, 120)

_ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)'")
_STACK = re.compile(r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill")
_USED = re.compile(r"Used (?P<registers>\d+) registers")
_SHARED = re.compile(r"(?P<shared>\d+) bytes smem")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one thread, or one block in static shared memory, takes."""

    registers: int
    stack_bytes: int
    spill_bytes: int
    static_shared_bytes: int


@dataclass(frozen=True, slots=True)
class Card:
    """What a multiprocessor of a compute capability has, by the CUDA C++ Programming Guide."""

    threads: int
    blocks: int
    shared_bytes: int
    block_shared_bytes: int
    reserved_shared_bytes: int
    registers: int = 65536


CARDS = {
    75: Card(1024, 16, 64 << 10, 64 << 10, 0),
    80: Card(2048, 32, 164 << 10, 163 << 10, 1 << 10),
    90: Card(2048, 32, 228 << 10, 227 << 10, 1 << 10),
    120: Card(1536, 24, 100 << 10, 99 << 10, 1 << 10),
}


class CompileFailed(AssertionError):
    """NVRTC refuses a kernel; the text is its log."""


def blocks_per_multiprocessor(card: Card, used: Resources, threads: int, dynamic_shared_bytes: int) -> int:
    """How many blocks fit at a time; 0 if not even one does. Registers are given to warps in units of 256."""
    warps = -(-threads // 32)
    registers = warps * -(-used.registers * 32 // 256) * 256
    shared = used.static_shared_bytes + dynamic_shared_bytes
    if shared > card.block_shared_bytes or registers > card.registers:
        return 0
    by_shared = card.shared_bytes // max(shared + card.reserved_shared_bytes, 1)
    return min(card.blocks, card.threads // threads, card.registers // registers, by_shared)


def resources(architecture: int) -> dict[str, Resources]:
    """Entry point → resources, of every `.cu` file."""
    with ThreadPoolExecutor(2) as pool:
        compiled = pool.map(lambda path: compile_source(path, architecture), sorted(SOURCES.glob("*.cu")))
        return {name: used for file in compiled for name, used in file.items()}


@functools.cache
def compile_source(path: Path, architecture: int) -> dict[str, Resources]:
    """Entry point → resources, of one file; kept on disk by the hash of all that went in."""
    source = path.read_text()
    key = hashlib.sha256(f"{_version()}\0{OPTIONS}\0{architecture}\0{source}".encode()).hexdigest()[:20]
    kept = LIBRARIES / f"{key}.json"
    if kept.exists():
        return {name: Resources(**used) for name, used in json.loads(kept.read_text()).items()}
    found = parse_log(_compile(path.name, source, architecture))
    LIBRARIES.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({name: asdict(used) for name, used in found.items()}))
    return found


def parse_log(log: str) -> dict[str, Resources]:
    """What `ptxas -v` reports for each entry function."""
    found: dict[str, Resources] = {}
    for part in re.split(r"(?=Compiling entry function)", log)[1:]:
        name, stack, used, shared = (pattern.search(part) for pattern in (_ENTRY, _STACK, _USED, _SHARED))
        if name is None or stack is None or used is None:
            raise CompileFailed(f"ptxas reports in another form:\n{part}")
        found[name["name"]] = Resources(
            registers=int(used["registers"]),
            stack_bytes=int(stack["stack"]),
            spill_bytes=int(stack["stores"]) + int(stack["loads"]),
            static_shared_bytes=int(shared["shared"]) if shared else 0,
        )
    return found


@functools.cache
def _version() -> tuple[int, int]:
    _, major, minor = nvrtc.nvrtcVersion()
    return major, minor


def _compile(name: str, source: str, architecture: int) -> str:
    error, program = nvrtc.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], [])
    _demand(error, name, "")
    options = [option.encode() for option in (*OPTIONS, f"-arch=sm_{architecture}", "--ptxas-options=-v")]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    text = log.rstrip(b"\0 ").decode()
    _demand(error, f"{name} for sm_{architecture}", text)
    if "warning" in text:
        raise CompileFailed(f"{name} for sm_{architecture} has warnings:\n{text}")
    nvrtc.nvrtcDestroyProgram(program)
    return text


def _demand(error: nvrtc.nvrtcResult, what: str, log: str) -> None:
    if error != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise CompileFailed(f"{what}: {error.name}\n{log}")
