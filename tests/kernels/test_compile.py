"""Every kernel compiles for every generation of cards, without warnings, spills or an excess of registers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels.cuda.cleaning import SHARED_BYTES, THREADS
from kernels.cuda.launch import SOURCES, entry_points, source_paths
from tests.kernels.nvrtc import (
    ARCHITECTURES,
    CARDS,
    CompileFailed,
    Resources,
    blocks_per_multiprocessor,
    compile_source,
    parse_log,
)

FILES = sorted(SOURCES.glob("*.cu"))

# By source file. What a block of this size may take while the occupancy stays as planned.
REGISTER_CEILING = {
    "assoc_pack": 64,
    "clean_masks": 64,
    "composite": 80,
    "cut_out": 64,
    "iou_bits": 80,
    "nms": 40,
    "nv12_to_model": 48,
    "quarter_blur": 64,
    "rle_coco": 64,
    "roi_crops": 48,
    "upsample_owner": 64,
}


def test_every_kernel_has_a_ceiling() -> None:
    assert {path.stem for path in FILES} == set(REGISTER_CEILING)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sources_include_nothing(path: Path) -> None:
    assert "#include" not in path.read_text()
    assert entry_points(path.read_text())
    assert all(source_paths()[name] == path for name in entry_points(path.read_text()))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_compiles_without_spills(path: Path, architecture: int) -> None:
    compiled = compile_source(path, architecture)
    assert set(compiled) == set(entry_points(path.read_text()))
    for name, used in compiled.items():
        assert used.spill_bytes == 0, f"{name} spills {used.spill_bytes} bytes"
        assert used.registers <= REGISTER_CEILING[path.stem], f"{name} takes {used.registers} registers"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cleaning_fits_every_card(architecture: int) -> None:
    for used in compile_source(SOURCES / "clean_masks.cu", architecture).values():
        assert blocks_per_multiprocessor(CARDS[architecture], used, THREADS, SHARED_BYTES) >= 1


def test_occupancy_is_the_tightest_of_four_limits() -> None:
    hopper = CARDS[90]
    few = Resources(registers=16, stack_bytes=0, spill_bytes=0, static_shared_bytes=0)
    assert blocks_per_multiprocessor(hopper, few, 32, 0) == 32
    assert blocks_per_multiprocessor(hopper, few, 1024, 0) == 2
    assert blocks_per_multiprocessor(hopper, few, 256, 56 << 10) == 4
    assert blocks_per_multiprocessor(hopper, few, 256, 228 << 10) == 0
    many = Resources(registers=100, stack_bytes=0, spill_bytes=0, static_shared_bytes=1 << 10)
    assert blocks_per_multiprocessor(hopper, many, 256, 0) == 2
    assert blocks_per_multiprocessor(hopper, many, 1024, 0) == 0


def test_a_source_that_does_not_compile_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.cu"
    broken.write_text('extern "C" __global__ void broken(int* out) { out[0] = missing; }')
    with pytest.raises(CompileFailed, match="missing"):
        compile_source(broken, 90)


def test_spills_are_read_from_the_log() -> None:
    log = """ptxas info    : Compiling entry function 'k' for 'sm_90'
    ptxas info    : Function properties for k
        48 bytes stack frame, 44 bytes spill stores, 40 bytes spill loads
    ptxas info    : Used 128 registers, used 1 barriers, 48 bytes cumulative stack size, 1024 bytes smem"""
    assert parse_log(log) == {"k": Resources(registers=128, stack_bytes=48, spill_bytes=84, static_shared_bytes=1024)}
