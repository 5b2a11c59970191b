"""The fiber runner finds the faults that it is there to find, and runs correct kernels in every schedule."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from kernels.cuda.launch import Launch
from tests.kernels import runner as runner_module
from tests.kernels.runner import KIND, Check, FiberRunner, KernelFault

pytestmark = pytest.mark.skipif(KIND != "fibers", reason="tests the fiber runner itself")


def run(source: str, *args: object, check: Check = "none", seed: int = 0, preempt: int = 0, **launch: object) -> None:
    sources = {"kernel": source}
    runner = FiberRunner(seed, preempt, check, sources)
    geometry = {"grid": (2,), "block": (64,), **launch}
    runner.run(Launch("kernel", args=args, **geometry))  # type: ignore[arg-type]


def kernel(parameters: str, body: str) -> str:
    return f'extern "C" __global__ void kernel({parameters}) {{ {body} }}\n'


REVERSE = kernel(
    "const int* in, int* out",
    """
    __shared__ int tile[64];
    const int i = blockIdx.x * 64 + threadIdx.x;
    tile[threadIdx.x] = in[i];
    __syncthreads();
    out[i] = tile[63 - threadIdx.x];
    """,
)


@pytest.mark.parametrize("check", ["none", "race"])
@pytest.mark.parametrize("schedule", [(0, 0), (1, 0), (2, 2)])
def test_a_correct_kernel_gives_its_result_in_every_schedule(check: Check, schedule: tuple[int, int]) -> None:
    data = np.arange(128, dtype=np.int32)
    out = np.full(128, -7, np.int32)
    run(REVERSE, data, out, check=check, seed=schedule[0], preempt=schedule[1])
    assert np.array_equal(out.reshape(2, 64), data.reshape(2, 64)[:, ::-1])


def test_a_missing_barrier_is_a_race() -> None:
    with pytest.raises(KernelFault, match=r"race: .* shared memory"):
        run(
            REVERSE.replace("__syncthreads();", ""),
            np.arange(128, dtype=np.int32),
            np.zeros(128, np.int32),
            check="race",
        )


def test_a_plain_update_of_one_counter_is_a_race_between_blocks() -> None:
    source = kernel("int* n", "if (threadIdx.x == 0) n[0] += 1;")
    with pytest.raises(KernelFault, match="race: reads byte 0 of an array, touched by thread 0 of block 0"):
        run(source, np.zeros(1, np.int32), check="race")


def test_an_atomic_update_of_one_counter_is_no_race() -> None:
    count = np.zeros(1, np.int32)
    run(kernel("int* n", "atomicAdd(n, 1);"), count, check="race", seed=3, preempt=2)
    assert count[0] == 128


def test_what_a_warp_collective_separates_is_ordered() -> None:
    source = kernel(
        "int* out",
        """
        __shared__ int slot[2];
        if (threadIdx.x % 32 == 0) slot[threadIdx.x / 32] = threadIdx.x;
        SYNC
        out[blockIdx.x * 64 + threadIdx.x] = slot[threadIdx.x / 32];
        """,
    )
    out = np.zeros(128, np.int32)
    run(source.replace("SYNC", "__syncwarp();"), out, check="race", seed=3, preempt=2)
    assert np.array_equal(out, np.tile(np.repeat([0, 32], 32), 2))
    with pytest.raises(KernelFault, match="race"):
        run(source.replace("SYNC", ""), out, check="race")


def test_an_access_outside_of_the_arrays_is_reported() -> None:
    with pytest.raises(KernelFault, match="write of 4 bytes outside of every array"):
        run(kernel("int* out", "out[blockIdx.x * 64 + threadIdx.x + 1] = 1;"), np.zeros(128, np.int32), check="race")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 32) __syncthreads();\n else { out[0] = 1;\n __syncthreads(); }", "divergent __syncthreads"),
        ("if (threadIdx.x % 2) out[0] = __ballot_sync(~0u, 1);", "mask ffffffff names a lane|deadlock"),
        ("if (threadIdx.x % 2)\n __syncwarp();\n else __ballot_sync(~0u, 1);", "divergent warp collective"),
        ("if (threadIdx.x == 3) __ballot_sync(1u, 1);", "not in its own mask"),
        ("if (threadIdx.x < 16) __shfl_sync(0xffffu, 1, 20);", "shuffle from lane 20 outside the mask"),
        ("if (threadIdx.x < 32) __syncthreads(); else __syncwarp(0xffffffffu);\n __syncthreads();", "divergent"),
    ],
)
def test_divergence_is_reported(body: str, message: str) -> None:
    with pytest.raises(KernelFault, match=message):
        run(kernel("int* out", body), np.zeros(1, np.int32))


def test_collectives_and_reductions_give_what_cuda_gives() -> None:
    source = kernel(
        "unsigned* out",
        """
        const unsigned lane = threadIdx.x & 31;
        unsigned* o = out + threadIdx.x * 8;
        o[0] = __ballot_sync(0xffffffffu, lane % 3 == 0);
        o[1] = __shfl_up_sync(0xffffffffu, lane, 1);
        o[2] = __shfl_down_sync(0xffffffffu, lane, 4);
        o[3] = __shfl_xor_sync(0xffffffffu, lane, 5);
        o[4] = __syncthreads_count(threadIdx.x < 5);
        o[5] = __syncthreads_or(threadIdx.x == 63) + 2 * __any_sync(0xffffffffu, lane == 64);
        o[6] = __syncthreads_and(threadIdx.x < 64) + 2 * __all_sync(0xffffffffu, lane < 31);
        o[7] = __funnelshift_r(0xdeadbeefu, 0x12345678u, lane) ^ __byte_perm(0x33221100u, 0x77665544u, 0x7531);
        """,
    )
    for seed in (0, 1):
        out = np.zeros((64, 8), np.uint32)
        run(source, out, grid=(1,), seed=seed)
        lane = np.arange(64, dtype=np.uint64) % 32
        assert (out[:, 0] == sum(1 << k for k in range(0, 32, 3))).all()
        assert np.array_equal(out[:, 1], np.where(lane > 0, lane - 1, 0))
        assert np.array_equal(out[:, 2], np.where(lane < 28, lane + 4, lane))
        assert np.array_equal(out[:, 3], lane ^ 5)
        assert (out[:, 4:7] == [5, 1, 1]).all()
        funnel = (np.uint64(0x12345678DEADBEEF) >> lane).astype(np.uint32)
        assert np.array_equal(out[:, 7] ^ funnel, np.full(64, 0x77553311, np.uint32))


def test_small_atomics_compare_and_swap() -> None:
    source = kernel(
        "unsigned short* count",
        """
        unsigned short seen = *(volatile unsigned short*)count, old;
        while ((old = atomicCAS(count, seen, (unsigned short)(seen + 1))) != seen) seen = old;
        """,
    )
    count = np.zeros(1, np.uint16)
    run(source, count, check="race", seed=9, preempt=2)
    assert count[0] == 128


def test_shared_memory_starts_poisoned_in_every_block() -> None:
    source = kernel(
        "unsigned* out",
        """
        DYN_SMEM(unsigned, dynamic);
        out[blockIdx.x * 64 + threadIdx.x] = stale<unsigned>() & dynamic[threadIdx.x];
        dynamic[threadIdx.x] = 1;
        """,
    )
    template = """template <typename T> __device__ T stale() {
        __shared__ T fixed[64];
        const T old = fixed[threadIdx.x];
        fixed[threadIdx.x] = 1;
        return old;
    }
    """
    for check in ("none", "race"):
        out = np.zeros(128, np.uint32)
        run(template + source, out, shared_bytes=256, check=check)
        assert (out == 0xCDCDCDCD).all()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((np.zeros(1, np.int32),), "takes 2 arguments"),
        ((np.zeros(1, np.int64), np.float32(0)), "int64 for a pointer to 4-byte"),
        ((np.zeros(1, np.int32), np.int32(0)), "int32 for a parameter f4"),
        ((np.zeros((2, 2), np.int32).T, np.float32(0)), "not contiguous"),
        ((np.int32(0), np.float32(0)), "int32 for a parameter p4"),
        ((np.zeros(1, np.int32), None), "an array for a number"),
    ],
)
def test_arguments_are_checked_against_the_parameters(args: tuple[object, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run(kernel("int* out, float x", "out[0] = x;"), *args)


@pytest.mark.parametrize("argument", [1, 1.0, True, np.float64(1)])
def test_numbers_without_a_size_are_refused(argument: object) -> None:
    with pytest.raises(TypeError, match=r"must be np\.int32 or np\.float32"):
        Launch("kernel", (1,), (32,), (argument,))


@pytest.mark.parametrize(("grid", "block"), [((0,), (32,)), ((1,), (33,)), ((1,), (2048,)), ((1, 1, 1, 1), (32,))])
def test_impossible_geometry_is_refused(grid: tuple[int, ...], block: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="kernel"):
        Launch("kernel", grid, block, ())


def test_libraries_that_nobody_has_used_for_long_go_when_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LIBRARIES", tmp_path)
    old, used = tmp_path / "old.so", tmp_path / "used.so"
    for path, age_s in ((old, 1.01), (used, 0.99)):
        path.touch()
        at_s = time.time() - age_s * runner_module.UNUSED_S
        os.utime(path, (at_s, at_s))
    source = 'extern "C" __global__ void only_here(float* out) { out[0] = 4; }'
    runner_module.load(source)
    (made,) = set(tmp_path.iterdir()) - {old, used}
    assert (old.exists(), used.exists(), made.suffix) == (False, True, ".so")
    os.utime(made, (0, 0))
    runner_module.load.cache_clear()
    runner_module.load(source)
    assert made.stat().st_mtime > 0, "it is in use"
