"""Faults in the kernels on many masks: `upsample_owner`, `iou_bits`, `nms`, `rle_coco`."""

from __future__ import annotations

from functools import partial

from tests.kernels import test_iou_bits as iou
from tests.kernels import test_nms as nms
from tests.kernels import test_rle_coco as rle
from tests.kernels import test_upsample_owner as up
from tests.kernels.faults import Fault

BARRIER = "  __syncthreads();\n"

up_fault = partial(Fault, file="upsample_owner")
UP_RACES = up.test_without_races_or_stray_accesses
UP_NOISY = partial(up.test_every_kind_of_mask, kind="noisy")
UP_CROWDED = partial(up.test_counts, count=33)
UP_SMALL = partial(up.test_sizes, low_size=(12, 12), size=(400, 130))
UP_GROUPS = up.test_each_group_has_a_map_and_others_none
UP_AGAIN = up.test_a_second_launch_with_the_same_arrays
UP_VALID = partial(up.test_what_is_not_valid_is_neither_read_nor_written, n_valid=2)
WINDOWS = f"  find_windows(job, s, word0, Y0);\n{BARRIER}"
BATCHED = "      __syncthreads();  // with two buffers the next batch may start while this one is measured\n"
LISTED = f"  s.blank[threadIdx.x] = warps ? NONE : n;\n{BARRIER}"
ADD_AREA = "atomicAdd(job.extent(n), (int)area);"
IN_UPSAMPLING = (
    up_fault(
        "up: no barrier after the windows", old=WINDOWS, new=WINDOWS.replace(BARRIER, ""), check=UP_RACES, how="race"
    ),
    up_fault("up: no barrier after a batch", old=BATCHED, new="", check=UP_RACES, how="race"),
    up_fault("up: no barrier after listing", old=LISTED, new=LISTED.replace(BARRIER, ""), check=UP_RACES, how="race"),
    up_fault("up: an area that is lost", old=ADD_AREA, new="*job.extent(n) += (int)area;", check=UP_RACES, how="race"),
    up_fault(
        "up: spare bits",
        old="__ballot_sync(0xffffffffu, on) & c.valid",
        new="__ballot_sync(0xffffffffu, on)",
        check=UP_SMALL,
    ),
    up_fault(
        "up: n_valid is ignored", old="n < n_valid; n += THREADS", new="n < job.capacity; n += THREADS", check=UP_VALID
    ),
    up_fault("up: the last owner wins", old="own[i] = on && !own[i] ? id", new="own[i] = on ? id", check=UP_NOISY),
    up_fault(
        "up: a column too few", old="s.columns[i].first < x1", new="s.columns[i].first < x1 - 1", check=UP_CROWDED
    ),
    up_fault("up: a row too few", old="s.rows[i].first < y1", new="s.rows[i].first < y1 - 1", check=UP_CROWDED),
    up_fault("up: corners aligned", old="(float)i + 0.5f, -0.5f", new="(float)i, 0.f", check=UP_SMALL),
    up_fault(
        "up: beyond the first sample",
        old="at = fmaxf(__fmaf_rn(scale, (float)i + 0.5f, -0.5f), 0.f)",
        new="at = __fmaf_rn(scale, (float)i + 0.5f, -0.5f)",
        check=UP_SMALL,
    ),
    up_fault("up: groups are ignored", old="n >= 0 && job.group ? job.group[n] : 0", new="0", check=UP_GROUPS),
    up_fault(
        "up: what is left for the next launch", old="area = atomicExch(from, 0)", new="area = *from", check=UP_AGAIN
    ),
)

iou_fault = partial(Fault, file="iou_bits")
IOU_RACES = iou.test_without_races_or_stray_accesses
IOU_FAR = iou.test_masks_far_apart_and_masks_in_the_same_place
IOU_WORDS = partial(iou.test_sizes, size=(31, 32))
IOU_VALID = partial(iou.test_what_is_not_valid_is_neither_read_nor_written, n=3, m=2)
ZEROED = f"  if (tid < PAIRS) s_both[tid] = 0;\n{BARRIER}"
COUNTED = f"  }}\n{BARRIER}  const int i = i0"
IN_IOU = (
    iou_fault(
        "iou: no barrier after zeroing", old=ZEROED, new=ZEROED.replace(BARRIER, ""), check=IOU_RACES, how="race"
    ),
    iou_fault(
        "iou: no barrier before the result", old=COUNTED, new=COUNTED.replace(BARRIER, ""), check=IOU_RACES, how="race"
    ),
    iou_fault(
        "iou: a sum that is lost",
        old="atomicAdd(&s_both[lane >> 1], both[0])",
        new="s_both[lane >> 1] += both[0]",
        check=IOU_RACES,
        how="race",
    ),
    iou_fault("iou: columns that are not valid", old="columns = valid_b[0]", new="columns = stride", check=IOU_VALID),
    iou_fault("iou: rows that are not valid", old="rows = valid_a[0]", new="rows = valid_a[0] + 1", check=IOU_VALID),
    iou_fault("iou: a word too many", old="((region.x1 - 1) >> 5)", new="(region.x1 >> 5)", check=IOU_WORDS),
    iou_fault(
        "iou: boxes of one pixel do not meet",
        old="meet = left < right &&",
        new="meet = left < right - 1 &&",
        check=IOU_FAR,
    ),
    iou_fault("iou: nothing over nothing", old="max(either, 1)", new="either", check=IOU_FAR),
)

nms_fault = partial(Fault, file="nms")
NMS_RACES = nms.test_without_races_or_stray_accesses
NMS_CHAIN = nms.test_what_is_suppressed_suppresses_nothing
NMS_MANY = partial(nms.test_counts, count=300)
NMS_VALID = partial(nms.test_what_is_not_valid_is_neither_read_nor_written, n_valid=32)
KEYS = f"  if (tid < n) s_key[tid] = sort_key(scores[tid]);\n{BARRIER}"
KEPT = f"    if (lane < words) s_kept[lane] = kept;\n  }}\n{BARRIER}"
NEXT_KEYS = "    __syncthreads();\n    if (base + tid < n)"
IN_NMS = (
    nms_fault("nms: no barrier after the keys", old=KEYS, new=KEYS.replace(BARRIER, ""), check=NMS_RACES, how="race"),
    nms_fault(
        "nms: no barrier before the result", old=KEPT, new=KEPT.replace(BARRIER, ""), check=NMS_RACES, how="race"
    ),
    nms_fault("nms: no barrier before the next keys", old=NEXT_KEYS, new="    if (base + tid < n)", check=NMS_MANY),
    nms_fault("nms: as much as the threshold", old="> threshold", new=">= threshold", check=NMS_CHAIN),
    nms_fault(
        "nms: the suppressed suppress",
        old="i = next, overlap",
        new="gone |= overlap, i = next, overlap",
        check=NMS_CHAIN,
    ),
    nms_fault("nms: ties the other way", old="base + j < i", new="base + j > i", check=nms.test_schedules),
    nms_fault("nms: n_valid is ignored", old="n = n_valid[0], words", new="n = capacity, words", check=NMS_VALID),
    nms_fault("nms: NaN is best", old="if (score != score) return 0;", new="", check=nms.test_scores_of_every_kind),
)

rle_fault = partial(Fault, file="rle_coco")
RLE_RACES = rle.test_without_races_or_stray_accesses
RLE_SPARE = partial(rle.test_sizes, size=(50, 33))
RLE_EDGES = rle.test_right_edges_around_a_word_at_the_bottom
RLE_SHORT = rle.test_what_does_not_fit_is_reported_and_disturbs_nobody
RLE_VALID = partial(rle.test_what_is_not_valid_is_neither_read_nor_written, n_valid=1)
SUMMED = f"    total += other;\n  }}\n{BARRIER}"
MARKED = f"mine[(__ffs(marks) - 1) * p.wide]++;\n    }});\n  }}\n{BARRIER}"
IN_RLE = (
    rle_fault("rle: no barrier after a sum", old=SUMMED, new=SUMMED.replace(BARRIER, ""), check=RLE_RACES, how="race"),
    rle_fault(
        "rle: no barrier after counting", old=MARKED, new=MARKED.replace(BARRIER, ""), check=RLE_RACES, how="race"
    ),
    rle_fault("rle: spare bits", old="<< 1 | left) & valid;", new="<< 1 | left);", check=RLE_SPARE),
    rle_fault(
        "rle: a cut string",
        old="return bytes <= capacity ? (int)bytes : -1;",
        new="return (int)min(bytes, capacity);",
        check=RLE_SHORT,
    ),
    rle_fault(
        "rle: beyond the capacity", old="if (at + length <= capacity)", new="if (true)", check=RLE_RACES, how="race"
    ),
    rle_fault(
        "rle: more starts than room", old="if (any && total < capacity)", new="if (any)", check=RLE_RACES, how="race"
    ),
    rle_fault("rle: n_valid is ignored", old="if (n >= n_valid[0]) return;", new="", check=RLE_VALID),
    rle_fault("rle: runs end with their column", old="p.wraps = p.y1 == H", new="p.wraps = false", check=RLE_EDGES),
    rle_fault("rle: the difference to two before", old="if (i > 2) v -=", new="if (i > 3) v -=", check=RLE_SPARE),
    rle_fault("rle: a group too few", old="(37 - __clz", new="(36 - __clz", check=RLE_SPARE),
)

FAULTS = (*IN_UPSAMPLING, *IN_IOU, *IN_NMS, *IN_RLE)
