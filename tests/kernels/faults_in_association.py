"""Faults in `assoc_pack`."""

from __future__ import annotations

from collections.abc import Callable

from kernels.cuda.launch import Runner
from tests.kernels.faults import Fault, How
from tests.kernels.test_assoc_pack import check_races, check_sizes

TOTALLED = "  if ((threadIdx.x & 31) == 0 && sum) atomicAdd(&total, sum);\n  __syncthreads();\n"
ZEROED = "  if (threadIdx.x == 0) used = lost = 0;\n  __syncthreads();\n"


def fault(name: str, old: str, new: str, check: Callable[[Runner], object], how: How = "schedules") -> Fault:
    return Fault(f"pack: {name}", "assoc_pack", old, new, check, how)


FAULTS = (
    fault("no barrier before the sum is read", TOTALLED, TOTALLED.replace("  __syncthreads();\n", ""), check_sizes),
    fault("no barrier after zeroing", ZEROED, ZEROED.replace("  __syncthreads();\n", ""), check_races, "race"),
    fault("a sum that is lost", "&& sum) atomicAdd(&total, sum)", "&& sum) total = total + sum", check_races, "race"),
    fault("one code too many before", "i < n; i += blockDim.x) sum", "i <= n; i += blockDim.x) sum", check_sizes),
    fault("a lost code counts", "max(lengths[n], 0)", "lengths[n]", check_sizes),
    fault("n_valid is ignored", "if (n >= valid) return;", "", check_sizes),
    fault("m_valid is ignored", "m = *m_valid,", "m = columns,", check_sizes),
    fault("a code is cut", "fits ? own : -1", "min(own, capacity - codes_offset - before)", check_sizes),
    fault("a code beyond the block", "before + own <= capacity", "before <= capacity", check_races, "race"),
    fault("overlaps in the capacity's stride", "iou_word + n * m + i", "iou_word + n * columns + i", check_sizes),
    fault("half of a moment", "(word % 2 * 32)", "0", check_sizes),
    fault("a chunk starts anew", "      end += before;\n", "", check_sizes),
)
