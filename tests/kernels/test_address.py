"""Every kernel runs once under AddressSanitizer: no access outside of an array or of shared memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from kernels.cuda.launch import source_paths
from tests.kernels.runner import KIND

pytestmark = pytest.mark.skipif(KIND != "fibers", reason="starts the run under AddressSanitizer itself")

STRAY = """
import numpy as np
from kernels.cuda.launch import Launch
from tests.kernels.runner import FiberRunner

source = 'extern "C" __global__ void stray(unsigned* out, int i) {{ {body} }}'
launch = Launch("stray", (1,), (32,), (np.zeros(32, np.uint32), np.int32({index})), shared_bytes=128)
FiberRunner(check="address", sources={{"stray": source}}).run(launch)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the sanitizer's library, which has to come before all others."""
    library = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": library.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "ONLOOKER_KERNELS": "address",
        "PYTHONMALLOC": "malloc",
    }
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def run_checked() -> subprocess.CompletedProcess[str]:
    return run("-m", "pytest", "-q", "-m", "checked", "-p", "no:cacheprovider", "tests/kernels")


@pytest.mark.beside(work=run_checked)
def test_every_kernel_stays_inside_of_its_memory(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) >= len(set(source_paths().values()))


@pytest.mark.parametrize(
    ("body", "index"),
    [
        ("out[i + threadIdx.x] = 1;", 1),
        ("out[threadIdx.x] = out[(int)threadIdx.x + i];", -1),
        ("DYN_SMEM(unsigned, s); s[threadIdx.x + i] = out[threadIdx.x];", 1),
        ("__shared__ unsigned s[32]; s[threadIdx.x] = 1; out[threadIdx.x] = s[threadIdx.x + i];", 1),
    ],
)
def test_a_stray_access_is_found(body: str, index: int) -> None:
    done = run("-c", STRAY.format(body=body, index=index))
    assert done.returncode != 0
    assert "buffer-overflow" in done.stderr
    assert run("-c", STRAY.format(body=body, index=0)).returncode == 0
