"""Pictures on the GPU or on the CPU: composing objects into them, cropping them, and making models' inputs.

One function a kernel. Arrays are NumPy arrays, which the CPU backend takes, or torch CUDA tensors or CuPy arrays of one
device, which the CUDA kernels take on torch's current stream; results live where the arguments do and are the same
within the bounds that each function states. Every argument is checked before anything runs: `KernelInputError` says
what is wrong. On a GPU nothing here synchronises or, given `out`, `n_valid` and `workspace`, allocates or copies: calls
can be captured in a graph once each was made before.

- A picture is an `Nv12` or an interleaved uint8 array `[H, W, 3]`; sides are at most 16,384 pixels.
- Owner maps: uint8 or uint16 `[H, W]`, an object's index plus 1, 0 for nobody (`kernels.masks.upsample_owner`).
- `n_valid`: int32 `[1]` where the arrays are, the number of objects; None for all.
- `out`: what an earlier call of the same shape returned, to be overwritten.
- `runner`: executes the CUDA kernels instead of CuPy, with NumPy arrays too; for tests.
"""

from __future__ import annotations

from kernels.arrays import Arguments, Array, KernelInputError, as_float32, runner_for
from kernels.colour import Nv12, Picture, Window, size_of
from kernels.cpu import images as cpu_images
from kernels.cuda import images as launches
from kernels.cuda.launch import Runner
from kernels.look import Look

__all__ = [
    "KernelInputError", "Look", "Nv12", "Picture", "Window", "composite", "cut_out", "nv12_to_model", "roi_crops",
]  # fmt: skip

MOST_SIDE_PX = 16_384
MOST_CROPS = 65_535
PLAIN = Look()


def composite(
    frame: Picture,
    owner: Array,
    palette: Array,
    *,
    logits: Array | None = None,
    look: Look = PLAIN,
    n_valid: Array | None = None,
    behind: Picture | None = None,
    out: Picture | None = None,
    workspace: Array | None = None,
    runner: Runner | None = None,
) -> Picture:
    """The picture with its objects coloured, outlined, feathered or pixelated and its background replaced (`Look`).

    `palette`: uint8 `[N + 1, 4]`, row n + 1 the colour and opacity of object n, row 0 those of a background replaced by
    a colour. It is RGBA for NV12; for an interleaved picture its first three columns are in the picture's own order.
    `logits`: float32 or bfloat16 `[N, h, w]`, those that the owner map was made from, for antialiased and feathered
    edges; without them edges are hard. `behind`: a picture of the same kind and size for the background "image".
    `workspace`: uint8 `[ceil(H / 4), ceil(W / 4), 4]` for the background "blur" on a GPU.

    Owners above `n_valid` count as nobody. Backends differ by at most one level of 255, two where the background is
    blurred.
    """
    check = Arguments("composite")
    height, width = _picture(check, "frame", frame)
    check.input("owner", owner, ("uint8", "uint16"), height, width)
    n_valid = check.count("n_valid", n_valid, _objects(check, palette, logits))
    if (behind is None) == (look.background == "image"):
        raise check.error(f"the background {look.background!r} {'needs' if behind is None else 'takes no'} `behind`")
    if behind is not None:
        _picture_like(check, "behind", behind, frame)
    made = _output(check, frame, out)
    run = runner_for(check.place, runner)
    if run is not None and look.background == "blur":
        workspace = check.output("workspace", workspace, "uint8", -(-height // 4), -(-width // 4), 4)
    check.done()
    if run is None:
        floats = None if logits is None else as_float32(logits)
        cpu_images.composite(frame, owner, floats, palette, int(n_valid[0]), look, made, behind=behind)
        return made
    if look.background == "blur":
        check.aligned("workspace", workspace, 4)
        run.run(launches.quarter_blur(frame, look, workspace))
    run.run(launches.composite(frame, owner, logits, palette, n_valid, look, made, behind=behind, quarter=workspace))
    return made


def roi_crops(
    frame: Picture,
    boxes: Array,
    *,
    side: int = 224,
    owner: Array | None = None,
    ids: Array | None = None,
    n_valid: Array | None = None,
    out: Array | None = None,
    runner: Runner | None = None,
) -> Array:
    """Every box of the picture squashed to a square, scaled to -1..1.

    `boxes`: float32 `[K, 4]`, x0, y0, x1, y1 in pixels. Returns `[K, 3, side, side]`, RGB for NV12 and else
    in the picture's own order: bfloat16, whose bits CuPy has as uint16; float32 from the CPU backend. Bilinear with
    half-pixel centres, without antialiasing. What lies outside the picture is 0, mid-grey, and with `owner` so is what
    is not the crop's own object: `ids` int32 `[K]` in the owner map, k + 1 where None. Crops of boxes that are empty or
    not finite are 0 throughout.

    Backends differ by at most 0.012: a level of 255, and the rounding to bfloat16.
    """
    check = Arguments("roi_crops")
    height, width = _picture(check, "frame", frame)
    count, _ = check.input("boxes", boxes, "float32", None, 4)
    check.number("the number of boxes", count, 0, MOST_CROPS)
    check.number("side", side, 1, MOST_SIDE_PX)
    if owner is not None:
        check.input("owner", owner, ("uint8", "uint16"), height, width)
    if ids is not None:
        check.input("ids", ids, "int32", count)
    n_valid = check.count("n_valid", n_valid, count)
    run = runner_for(check.place, runner)
    out = check.output("out", out, _model_dtype(check, run), count, 3, side, side)
    check.done()
    if run is None:
        cpu_images.roi_crops(frame, boxes, int(n_valid[0]), out, owner, ids)
    elif count:
        check.aligned("out", out, 4)
        run.run(launches.roi_crops(frame, boxes, n_valid, out, owner, ids))
    return out


def cut_out(
    frame: Nv12, window: Window, *, size: tuple[int, int], out: Array | None = None, runner: Runner | None = None
) -> Array:
    """A part of the picture for people and models that look: uint8 `[h, w, 3]`, BGR.

    `window`: left, top, right, bottom in whole pixels of the picture; `size`: `(h, w)` of the result, at most as large
    as the window. Made smaller by the mean over what lies below each result, so that nothing is missed or flickers.

    Backends differ by at most four levels of 255: one of luma and of chroma, by which OpenCV rounds otherwise.
    """
    check = Arguments("cut_out")
    _nv12(check, frame)
    height, width = _picture(check, "frame", frame)
    left, top, right, bottom = window
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise check.error(f"the window {window} is not in a picture of {width} x {height}")
    check.number("the height of the result", size[0], 1, bottom - top)
    check.number("the width of the result", size[1], 1, right - left)
    run = runner_for(check.place, runner)
    out = check.output("out", out, "uint8", *size, 3)
    check.done()
    if run is None:
        cpu_images.cut_out(frame, window, out)
    else:
        run.run(launches.cut_out(frame, window, out))
    return out


def nv12_to_model(frame: Nv12, *, side: int = 1008, out: Array | None = None, runner: Runner | None = None) -> Array:
    """The whole picture squashed to a square, as RGB `[3, side, side]` scaled to -1..1 (mean = std = 0.5).

    The same as torch's `interpolate(mode="bilinear", align_corners=False)` of the 8-bit RGB picture. Returns bfloat16,
    whose bits CuPy has as uint16; float32 from the CPU backend. Backends, and torch on OpenCV's conversion, differ by
    at most 0.02: two levels of 255 and the rounding to bfloat16.
    """
    check = Arguments("nv12_to_model")
    _nv12(check, frame)
    _picture(check, "frame", frame)
    check.number("side", side, 1, MOST_SIDE_PX)
    run = runner_for(check.place, runner)
    out = check.output("out", out, _model_dtype(check, run), 3, side, side)
    check.done()
    if run is None:
        cpu_images.nv12_to_model(frame, out)
        return out
    check.aligned("out", out, 4)
    run.run(launches.nv12_to_model(frame, out))
    return out


def _objects(check: Arguments, palette: Array, logits: Array | None) -> int:
    """How many objects there are colours for, and logits if given."""
    rows, _ = check.input("palette", palette, "uint8", None, 4)
    check.number("the number of colours", rows, 1, 65_536)
    if logits is not None and check.logits(logits)[0] != rows - 1:
        raise check.error(f"{logits.shape[0]} objects have logits, the palette has colours for {rows - 1}")
    if logits is not None and rows > 1 and 0 in logits.shape:
        raise check.error("logits without pixels")
    return rows - 1


def _nv12(check: Arguments, frame: Picture) -> None:
    if not isinstance(frame, Nv12):
        raise check.error(f"frame is a {type(frame).__name__}, not an Nv12")


def _picture(check: Arguments, name: str, picture: Picture) -> tuple[int, int]:
    if isinstance(picture, Nv12):
        height, width = check.input(f"{name}.y", picture.y, "uint8", None, None)
        check.input(f"{name}.uv", picture.uv, "uint8", (height + 1) // 2, (width + 1) // 2, 2)
    else:
        height, width, _ = check.input(name, picture, "uint8", None, None, 3)
    check.number(f"the height of {name}", height, 1, MOST_SIDE_PX)
    check.number(f"the width of {name}", width, 1, MOST_SIDE_PX)
    return height, width


def _picture_like(check: Arguments, name: str, picture: Picture, frame: Picture) -> None:
    if isinstance(picture, Nv12) != isinstance(frame, Nv12):
        raise check.error(f"{name} and frame are not of one kind: NV12, or interleaved")
    if isinstance(frame, Nv12) and (picture.matrix, picture.full_range) != (frame.matrix, frame.full_range):
        raise check.error(f"{name} and frame differ in how YUV maps to RGB")
    if _picture(check, name, picture) != size_of(frame):
        raise check.error(f"{name} is of {size_of(picture)}, frame of {size_of(frame)}")


def _output(check: Arguments, frame: Picture, out: Picture | None) -> Picture:
    height, width = size_of(frame)
    if not isinstance(frame, Nv12):
        if isinstance(out, Nv12):
            raise check.error("out is NV12, frame is interleaved")
        return check.output("out", out, "uint8", height, width, 3)
    if out is not None and not isinstance(out, Nv12):
        raise check.error("out is interleaved, frame is NV12")
    return Nv12(
        check.output("out.y", out and out.y, "uint8", height, width),
        check.output("out.uv", out and out.uv, "uint8", (height + 1) // 2, (width + 1) // 2, 2),
        frame.matrix,
        frame.full_range,
    )


def _model_dtype(check: Arguments, runner: Runner | None) -> str:
    if runner is None:
        return "float32"
    return "bfloat16" if check.place.library == "torch" else "uint16"
