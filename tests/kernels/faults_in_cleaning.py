"""Faults in `clean_masks`."""

from __future__ import annotations

from collections.abc import Callable

from kernels.cuda.launch import Runner
from tests.kernels.faults import Fault, How
from tests.kernels.test_clean_masks import check_n_valid, check_noise, check_races, check_sizes, check_small_masks

BARRIER = "  __syncthreads();\n"
STARTED = f"  start_runs(plane, flip, parent);\n{BARRIER}"
UNITED = f"  unite_runs(plane, flip, parent);\n{BARRIER}"
COUNTED = f"  count_pixels(plane, flip, parent, ceiling);\n{BARRIER}"
FILL = "atomicAdd(&statistics[kCleanArea], filled);"
FILLED = f"  if (lane == 0) {FILL}\n{BARRIER}"
RETRY = """    const u32 old = atomicCAS(&parent[a], (u16)a, (u16)b);
    if (old == a) return;
    a = old;  // another thread hooked this root first
"""
STOP = "    if (have >= ceiling) return;\n"
SWAP = "const u32 old = atomicCAS(cell, (u16)seen, (u16)(kCounted | min(have + pixels, ceiling)));"
PLAIN_SWAP = "*(volatile u16*)cell = (u16)(kCounted | min(have + pixels, ceiling)); return;"
UP_RIGHT = "up_right & ~(by_right | (up & (linked_above >> 2)))"
UP_LEFT = "up_left & ~(by_left | (up & linked_above))"
HOLES = "label_components(plane, kAll, parent, max_hole + 1)"


def fault(name: str, old: str, new: str, check: Callable[[Runner], object], how: How = "schedules") -> Fault:
    return Fault(f"clean: {name}", "clean_masks", old, new, check, how)


FAULTS = (
    fault("no barrier after the runs", STARTED, STARTED.replace(BARRIER, ""), check_races, "race"),
    fault("no barrier after the unions", UNITED, UNITED.replace(BARRIER, ""), check_races, "race"),
    fault("no barrier after the counts", COUNTED, COUNTED.replace(BARRIER, ""), check_noise),
    fault("no barrier after the holes", FILLED, FILLED.replace(BARRIER, ""), check_races, "race"),
    fault("a barrier for some", FILLED, f"if (lane == 0) {{ {FILL} __syncthreads(); }}\n", check_sizes),
    fault("a collective for some", "high = warp_sum(high);", "if (lane < 16) high = warp_sum(high);", check_sizes),
    fault("a union that is lost", RETRY, "    atomicCAS(&parent[a], (u16)a, (u16)b);\n    return;\n", check_noise),
    fault("a union by a plain store", RETRY, "    parent[a] = (u16)b;\n    return;\n", check_races, "race"),
    fault("a count by a plain store", SWAP, f"const u32 old = 0; {PLAIN_SWAP}", check_races, "race"),
    fault("a plain compression", "*(volatile u16*)&parent[label] = ", "parent[label] = ", check_races, "race"),
    fault(
        "a count that overflows",
        STOP + "    " + SWAP,
        SWAP.replace("min(have + pixels, ceiling)", "(have + pixels)"),
        check_sizes,
    ),
    fault("no diagonal", UP_RIGHT, "0u", check_noise),
    fault("a union too many is left out", "up & ~(by_left & linked_above)", "up & ~by_left", check_noise),
    fault("a diagonal too many is left out", UP_LEFT, "up_left & ~(by_left | up)", check_noise),
    fault("words that do not touch", "if ((left.top | left.bottom) >> 31)", "if (0)", check_sizes),
    fault("the next row is to the left", "strip % kWords > 0,", "strip > 0,", check_sizes),
    fault("the next row is to the right", "strip % kWords < kWords - 1", "true", check_sizes),
    fault("the limit itself is large", "if (count <= limit)", "if (count < limit)", check_sizes),
    fault("the ceiling is the limit", HOLES, HOLES.replace(" + 1", ""), check_sizes),
    fault("specks before holes", HOLES, HOLES.replace("kAll", "0u"), check_sizes),
    fault("half of the area is ignored", "min(max_speck, area / 2)", "max_speck", check_small_masks),
    fault("n_valid is ignored", "if (n >= *n_valid) return;", "", check_n_valid),
    fault("one object too many", "if (n >= *n_valid) return;", "if (n > *n_valid) return;", check_n_valid),
    fault("the box ends inside", "x + 32 - __clz(bits)", "x + 31 - __clz(bits)", check_sizes),
    fault("zero is on", "return (v.x > t.x)", "return (v.x >= t.x)", check_races),
    fault("hysteresis in every pixel", "previous ? previous[word] >> shift : 0u", "previous ? 15u : 0u", check_noise),
    fault("bits of the next lane", "shift = (lane & 7) * 4", "shift = (lane & 7) * 4 ^ 4", check_sizes),
    fault("a pixel is left as it was", "(v > 0.f ? -0.1f : v)", "v", check_sizes),
    fault("the last pixels are missing", "quad < kQuads;", "quad < kQuads - 1;", check_sizes),
    fault("bfloat16 by value", "__uint_as_float((u32)q.y << 16)", "(float)q.y", check_noise),
)
