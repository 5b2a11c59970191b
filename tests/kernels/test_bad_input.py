"""What a kernel cannot take is refused, with a reason, before anything is launched or written."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels import masks
from kernels.arrays import KernelInputError
from kernels.cuda.launch import Launch
from tests.kernels.devices import cuda, fake_torch  # noqa: F401

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.usefixtures("fake_torch")
TENSOR = cuda(np.zeros(3)).cpu()
N, M, SIDE, WORDS, HEIGHT, WIDTH = 3, 2, 288, 9, 40, 70


class Untouched:
    """A runner that no launch may reach."""

    def run(self, launch: Launch) -> None:
        raise AssertionError(f"{launch.kernel} was launched")


@dataclasses.dataclass(frozen=True)
class Call:
    """A public function with arguments that it takes, by name."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    arrays: tuple[str, ...]

    def __call__(self, **changed: Any) -> Any:
        return self.function(**{**self.arguments, **changed})


def calls() -> dict[str, Call]:
    logits = np.linspace(-1, 1, N * SIDE * SIDE, dtype=np.float32).reshape(N, SIDE, SIDE)
    stats, stats_b = np.zeros((N, 8), np.int32), np.zeros((M, 8), np.int32)
    video = np.zeros((N, HEIGHT, 3), np.uint32)
    valid = np.array([N], np.int32)
    scores = np.zeros(N, np.float32)
    return {
        "clean_masks": Call(
            masks.clean_masks,
            {"logits": logits, "previous": np.zeros((N, SIDE, WORDS), np.uint32), "n_valid": valid},
            ("logits", "previous", "n_valid"),
        ),
        "upsample_owner": Call(
            masks.upsample_owner,
            {
                "logits": logits, "low_stats": stats, "order": np.arange(N, dtype=np.int32), "size": (HEIGHT, WIDTH),
                "group": np.zeros(N, np.int32), "n_valid": valid, "with_bits": True,
            },
            ("logits", "low_stats", "order", "group", "n_valid"),
        ),
        "iou": Call(
            masks.iou,
            {
                "bits_a": video, "bits_b": video[:M].copy(), "stats_a": stats, "stats_b": stats_b,
                "n_a": valid, "n_b": np.array([M], np.int32),
            },
            ("bits_a", "bits_b", "stats_a", "stats_b", "n_a", "n_b"),
        ),
        "score_order": Call(
            masks.score_order, {"scores": scores, "n_valid": valid}, ("scores", "n_valid")
        ),
        "nms": Call(
            masks.nms, {"overlap": np.zeros((N, N), np.float32), "scores": scores, "n_valid": valid},
            ("overlap", "scores", "n_valid"),
        ),
        "assoc_pack": Call(
            masks.assoc_pack,
            {
                "overlap": np.zeros((N, M), np.float32), "scores": scores, "stats": stats,
                "keep": np.zeros(N, np.uint8), "n_valid": valid, "m_valid": np.array([M], np.int32),
            },
            ("overlap", "scores", "stats", "keep", "n_valid", "m_valid"),
        ),
        "rle_coco": Call(
            masks.rle_coco, {"bits": video, "stats": stats, "width": WIDTH, "n_valid": valid},
            ("bits", "stats", "n_valid"),
        ),
    }  # fmt: skip


CALLS = calls()
ARGUMENTS = [(name, argument) for name, call in CALLS.items() for argument in call.arrays]
STRIDED = [(name, argument) for name, argument in ARGUMENTS if CALLS[name].arguments[argument].size > 1]
WIDE = [(name, argument) for name, argument in ARGUMENTS if CALLS[name].arguments[argument].itemsize > 1]
BOUND = [each for each in ARGUMENTS if each != ("score_order", "scores")]
"""Arguments whose length another one decides."""
BACKENDS = {"cpu": None, "cuda": Untouched()}


@pytest.fixture(params=BACKENDS, autouse=True)
def backend(request: pytest.FixtureRequest) -> Any:
    return BACKENDS[request.param]


def refused(name: str, backend: Any, says: str, **changed: Any) -> None:
    """The call fails with a text that says so, and what it was given and would have written to is as before."""
    call = CALLS[name]
    before = {key: value.copy() for key, value in call.arguments.items() if isinstance(value, np.ndarray)}
    with pytest.raises(KernelInputError, match=says) as error:
        call(**changed, runner=backend)
    assert str(error.value).startswith(f"{name}: ")
    for key, value in before.items():
        np.testing.assert_array_equal(call.arguments[key], value)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_another_dtype(name: str, argument: str, backend: Any) -> None:
    array = CALLS[name].arguments[argument]
    swapped = [array.dtype.newbyteorder(">")] if array.itemsize > 1 else []
    for dtype in ("float64", "int64", *swapped):
        refused(name, backend, f"{argument} is .*not ", **{argument: array.astype(dtype)})


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_another_number_of_dimensions(name: str, argument: str, backend: Any) -> None:
    refused(name, backend, f"{argument} has shape", **{argument: CALLS[name].arguments[argument][None]})


@pytest.mark.parametrize(("name", "argument"), BOUND)
def test_another_length(name: str, argument: str, backend: Any) -> None:
    call = CALLS[name]
    array = call.arguments[argument]
    longer = np.concatenate([array, array])
    refused(name, backend, "has shape", **{argument: longer})


@pytest.mark.parametrize(("name", "argument"), STRIDED)
def test_strides(name: str, argument: str, backend: Any) -> None:
    array = CALLS[name].arguments[argument]
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    refused(name, backend, f"{argument} is not C-contiguous", **{argument: wide[..., ::2]})


@pytest.mark.parametrize(("name", "argument"), WIDE)
def test_odd_addresses(name: str, argument: str, backend: Any) -> None:
    array = CALLS[name].arguments[argument]
    shifted = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    refused(name, backend, f"{argument} is not aligned", **{argument: shifted})


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_other_devices_and_things_that_are_no_arrays(name: str, argument: str, backend: Any) -> None:
    array = CALLS[name].arguments[argument]
    refused(name, backend, f"{argument} is a torch tensor on cpu", **{argument: TENSOR})
    refused(name, backend, f"{argument} is a list", **{argument: array.tolist()})


@pytest.mark.parametrize("name", CALLS)
def test_outputs(name: str, backend: Any) -> None:
    """Each array of `out` is checked like the others, and may neither be read-only nor lie over another."""
    call = CALLS[name]
    made = call()
    fields = list(made._fields) if isinstance(made, tuple) else [None]
    for field in fields:
        array = getattr(made, field) if field else made
        if array is None:
            continue

        def out(replaced: Array, field: str | None = field) -> Any:
            return made._replace(**{field: replaced}) if field else replaced

        frozen = array.copy()
        frozen.flags.writeable = False
        label = field or "out"
        refused(name, backend, f"{label} is read-only", out=out(frozen))
        refused(name, backend, f"{label} has shape", out=out(np.concatenate([array, array])))
        refused(name, backend, f"{label} is .*not ", out=out(array.astype(np.float64)))
        refused(name, backend, f"{label} is a torch tensor", out=out(TENSOR))


def test_outputs_that_lie_over_another_array(backend: Any) -> None:
    shared = np.zeros(N * SIDE * SIDE * 2, np.float32)
    logits = shared[: N * SIDE * SIDE].reshape(N, SIDE, SIDE)
    out = CALLS["clean_masks"]()
    over = shared[SIDE * SIDE : (N + 1) * SIDE * SIDE].reshape(N, SIDE, SIDE)
    refused("clean_masks", backend, "share memory", logits=logits, out=out._replace(logits=over))


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if "n_valid" in call.arguments])
@pytest.mark.parametrize("count", [-1, N + 1])
def test_counts_above_the_capacity(name: str, count: int, backend: Any) -> None:
    refused(name, backend, f"n_valid is {count}", n_valid=np.array([count], np.int32))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("clean_masks", {"max_hole": -1}),
        ("clean_masks", {"max_speck": 32_767}),
        ("clean_masks", {"hysteresis": -0.1}),
        ("clean_masks", {"hysteresis": float("nan")}),
        ("clean_masks", {"delta": -1.0}),
        ("upsample_owner", {"size": (0, 10)}),
        ("upsample_owner", {"size": (10, 100_000)}),
        ("upsample_owner", {"groups": 0}),
        ("nms", {"threshold": 1.5}),
        ("nms", {"threshold": float("nan")}),
        ("nms", {"scores": np.zeros(513, np.float32), "overlap": np.zeros((513, 513), np.float32), "n_valid": None}),
        ("assoc_pack", {"capacity": 32 + N * 96}),
        ("rle_coco", {"width": 64}),
        ("rle_coco", {"width": 97}),
        ("rle_coco", {"capacity": 0}),
    ],
)
def test_numbers_out_of_range(name: str, changed: dict[str, Any], backend: Any) -> None:
    refused(name, backend, "not from", **changed)


@pytest.mark.parametrize(
    ("name", "argument"),
    [("upsample_owner", "low_stats"), ("iou", "stats_a"), ("iou", "stats_b"), ("rle_coco", "stats")],
)
@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, -1, 5, 5), (6, 0, 5, 5), (0, 0, 300, 5), (0, 0, 5, 289)])
def test_boxes_outside_of_the_picture(name: str, argument: str, box: tuple[int, ...], backend: Any) -> None:
    stats = CALLS[name].arguments[argument].copy()
    stats[1, 2:6] = box
    refused(name, backend, f"{argument} have boxes that are not in a picture", **{argument: stats})


def test_the_gpu_takes_logits_of_one_size_and_alignment() -> None:
    call = CALLS["clean_masks"]
    with pytest.raises(KernelInputError, match="288"):
        call(logits=np.zeros((N, 32, 32), np.float32), previous=None, runner=Untouched())
    memory = np.zeros(N * SIDE * SIDE + 8, np.float32)
    offset = 1 + (-memory.ctypes.data // 4) % 4
    shifted = memory[offset : offset + N * SIDE * SIDE].reshape(N, SIDE, SIDE)
    with pytest.raises(KernelInputError, match="multiple of 16"):
        call(logits=shifted, runner=Untouched())


def test_a_code_that_does_not_fit_is_reported_and_the_others_are_whole() -> None:
    random = np.random.default_rng(0)
    on = np.zeros((N, HEIGHT, 96), np.uint8)
    on[0, 5:9, 5:9] = 1
    on[1, :, :WIDTH] = random.random((HEIGHT, WIDTH)) < 0.5
    bits = np.packbits(on, axis=2, bitorder="little").view(np.uint32)
    stats = np.zeros((N, 8), np.int32)
    stats[0, 2:6], stats[1, 2:6] = (5, 5, 9, 9), (0, 0, WIDTH, HEIGHT)
    codes = masks.rle_coco(bits, stats, WIDTH, capacity=64)
    assert codes.length[1] == -1
    first, second, third = masks.rle_strings(codes)
    assert second is None
    for text, mask in ((first, on[0]), (third, on[2])):
        assert text is not None
        np.testing.assert_array_equal(masks.rle_decode((HEIGHT, WIDTH), text), mask[:, :WIDTH])


def test_neither_torch_nor_cupy_is_imported() -> None:
    code = "import sys, kernels.masks; sys.exit('torch' in sys.modules or 'cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_packed_for_the_host_is_of_the_same_objects(backend: Any) -> None:
    more = calls()
    owners, codes = more["upsample_owner"](), more["rle_coco"]()
    two = {"low_stats": np.zeros((2, 8), np.int32), "order": np.zeros(2, np.int32), "group": None, "n_valid": None}
    fewer = more["upsample_owner"](logits=np.zeros((2, 4, 4), np.float32), **two)
    refused("assoc_pack", backend, "video_stats has shape", video=fewer)
    refused("assoc_pack", backend, "moments is a torch", video=owners._replace(moments=TENSOR))
    refused("assoc_pack", backend, "codes is int32", codes=codes._replace(data=codes.length[:, None].copy()))
    refused("assoc_pack", backend, "lengths has shape", codes=codes._replace(length=np.zeros(N + 1, np.int32)))
