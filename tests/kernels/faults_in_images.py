"""Faults in the kernels on pictures: `composite`, `quarter_blur`, `roi_crops`, `cut_out`, `nv12_to_model`."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.kernels import test_composite as composite
from tests.kernels import test_cut_out as cut
from tests.kernels import test_nv12_to_model as model
from tests.kernels import test_roi_crops as crops
from tests.kernels.faults import Fault

BARRIER = "__syncthreads();\n"

on_top = partial(Fault, file="composite")
MODES = {(mode, kind): partial(composite.test_every_mode_is_the_twins, mode=mode, kind=kind)
         for mode in composite.MODES for kind in composite.KINDS}  # fmt: skip
RACES = {kind: partial(composite.test_no_races_and_nothing_outside_of_the_arrays, mode="all", kind=kind)
         for kind in composite.KINDS}  # fmt: skip
ODD = partial(composite.test_odd_sizes, size=(33, 65), kind="nv12")
VALID = partial(composite.test_only_valid_objects_show, kind="rgb", count=4, n_valid=2)
SUMMED = "add_to_cell(cells, cell, tx, ty, tile.sums(tx, ty));\n      "
ZEROED = "if (threadIdx.x < CELLS * 3) cells[threadIdx.x] = 0;"
IN_COMPOSITE = (
    on_top(
        "composite: no barrier after the sums",
        old=SUMMED + BARRIER,
        new=SUMMED,
        check=RACES["rgb"],
        how="race",
    ),
    on_top("composite: cells that are not zeroed", old=ZEROED, new="", check=MODES["pixelate", "nv12"]),
    on_top(
        "composite: a sum that is lost",
        old="atomicAdd(sum, of.a);",
        new="*sum += of.a;",
        check=RACES["nv12"],
        how="race",
    ),
    on_top("composite: objects that are not valid", old="return o <= ids ? o : 0;", new="return o;", check=VALID),
    on_top("composite: outlines too thin", old="k <= reach; k++", new="k < reach; k++", check=MODES["outline", "rgb"]),
    on_top(
        "composite: a row too many",
        old="if (y + 1 < H) o = max",
        new="if (y + 1 <= H) o = max",
        check=RACES["rgb"],
        how="race",
    ),
    on_top("composite: chroma of four pixels at the edge", old="u / (float)count", new="u / 4.f", check=ODD),
    on_top(
        "composite: the background shows",
        old="mode & PIXELATE && c.own ? mosaic : base",
        new="base",
        check=MODES["pixelate", "nv12"],
    ),
    on_top(
        "composite: feathered to nothing",
        old="fmaxf(sqrtf(gx * gx + gy * gy), 1e-6f)",
        new="1.f",
        check=MODES["feather", "rgb"],
    ),
)

blur = partial(Fault, file="quarter_blur")
BLURRED = MODES["blur behind", "rgb"]
AVERAGED = "    in[2 * IN_H * IN_W + i] = q.c;\n  }\n  "
ROWS = "    rows[i] = sum;\n  }\n  "
IN_BLUR = (
    blur("blur: no barrier after the averages", old=AVERAGED + BARRIER, new=AVERAGED, check=RACES["rgb"], how="race"),
    blur("blur: no barrier after the rows", old=ROWS + BARRIER, new=ROWS, check=RACES["nv12"], how="race"),
    blur(
        "blur: above the picture", old="max(Y0 + r - RADIUS, 0)", new="Y0 + r - RADIUS", check=RACES["nv12"], how="race"
    ),
    blur("blur: one side twice", old="(p[-k] + p[k])", new="(p[k] + p[k])", check=BLURRED),
    blur(
        "blur: sixteen pixels at the edge",
        old="float n = (float)(rows * columns);\n    return {(float)a",
        new="float n = 16.f;\n    return {(float)a",
        check=BLURRED,
    ),
)

crop = partial(Fault, file="roi_crops")
ANYWHERE = partial(crops.test_boxes_anywhere, kind="rgb", side=24)
CROP_RACES = partial(crops.test_no_races_and_nothing_outside_of_the_arrays, kind="nv12")
MASKED = partial(crops.test_the_background_is_masked, kind="nv12", owner_dtype=np.uint8, named=True)
SOME_CROPS = partial(crops.test_only_valid_crops_are_written, count=33, n_valid=5)
NOT_VALID = "if ((int)blockIdx.z >= *n_valid) return;"
IN_CROPS = (
    crop("crops: n_valid is ignored", old=NOT_VALID, new="", check=SOME_CROPS, times=2),
    crop("crops: one too many", old=NOT_VALID, new=NOT_VALID.replace(">=", ">"), check=SOME_CROPS, times=2),
    crop("crops: a column of the next row", old="x >= frame.W", new="x > frame.W", check=ANYWHERE),
    crop("crops: above the picture", old="y < 0 ||", new="", check=CROP_RACES, how="race"),
    crop("crops: the background instead", old="!= id)", new="== id)", check=MASKED),
    crop("crops: ids are ignored", old="ids ? ids[k] : k + 1", new="k + 1", check=MASKED),
    crop("crops: a result of the next row", old="if (j + 1 < S) to[1]", new="to[1]", check=CROP_RACES, how="race"),
    crop("crops: corners aligned", old="(at + 0.5f) *", new="at *", check=ANYWHERE),
)

part = partial(Fault, file="cut_out")
PARTS = partial(cut.test_windows_and_results_of_all_sizes, size=(45, 70))
PART_RACES = partial(cut.test_no_races_and_nothing_outside_of_the_arrays, size=(19, 33))
LARGEST = cut.test_the_largest_sums_fit
IN_CUT = (
    part("cut: a result of the next row", old="|| j >= w", new="|| j > w", check=PART_RACES, how="race"),
    part("cut: a pixel too many", old="(to - 1) / results", new="to / results", check=PART_RACES, how="race"),
    part(
        "cut: whole pixels at the border", old="at == first ? head : at == last ? tail : each", new="each", check=PARTS
    ),
    part("cut: the last as the first", old="at == last ? tail", new="at == last ? head", check=PARTS),
    part("cut: chroma of another row", old="((top + r) >> 1)", new="((top + r) / 4)", check=PARTS),
    part("cut: chroma beside it", old="chroma[x & ~1]", new="chroma[(x + 1) & ~1]", check=PARTS),
    part(
        "cut: red and blue change places",
        old="to[0] = level(l + b_u * u)",
        new="to[0] = level(l + r_v * v)",
        check=PARTS,
    ),
    part("cut: rounded down", old="sum += all / 2;", new="", check=PARTS),
    part("cut: sums that overflow", old="u64 lumas = 0", new="u32 lumas = 0", check=LARGEST),
)

scaled = partial(Fault, file="nv12_to_model")
TWIN = partial(model.test_is_the_twins, matrix="bt709", full_range=False)
MODEL_RACES = partial(model.test_no_races_and_nothing_outside_of_the_arrays, size=(19, 33))
LARGER = partial(model.test_odd_sizes_larger_and_smaller, size=(33, 65), side=130)
IN_MODEL = (
    scaled("model: no barrier", old=f"  {BARRIER}  const int j", new="  const int j", check=MODEL_RACES, how="race"),
    scaled("model: beyond the last column", old="min(x0 + 1, W - 1) - X0", new="x0 + 1 - X0", check=LARGER),
    scaled("model: beyond the last row", old="min(y0 + 1, H - 1) - Y0", new="y0 + 1 - Y0", check=LARGER),
    scaled("model: a result of the next row", old="if (j + 1 < S) to[1]", new="to[1]", check=MODEL_RACES, how="race"),
    scaled("model: chroma of another row", old="(py >> 1) * CW", new="py / 4 * CW", check=TWIN),
    scaled(
        "model: red and blue change places",
        old="| level(l + k.b_u * fu) << 16",
        new="| level(l + k.r_v * fv) << 16",
        check=TWIN,
    ),
    scaled(
        "model: without clamping at black",
        old="fmaxf((float)y - k.offset, 0.f)",
        new="((float)y - k.offset)",
        check=TWIN,
    ),
)

FAULTS = (*IN_COMPOSITE, *IN_BLUR, *IN_CROPS, *IN_CUT, *IN_MODEL)
