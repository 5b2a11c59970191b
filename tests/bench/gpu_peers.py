"""The usual ways on a GPU to what the kernels give. Each is loaded only where it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.gpu_timing import Step
from tests.kernels.chain import Chain

LIMIT_PX = 16

NOT_COMPARED = {
    "cv-utils of the model hub": "its loader has the import name of our package, `kernels`",
    "CV-CUDA label": "has no limit of holes per object, so the same output would need a pass of ours",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """`make` gives a call with the inputs of one chain that was run before; `modules` have to be importable."""

    name: str
    step: str
    modules: tuple[str, ...]
    make: Callable[[Chain], Step]


def available(peers: tuple[Peer, ...]) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can be loaded, and why the others cannot."""
    usable, absent = [], dict(NOT_COMPARED)
    for peer in peers:
        try:
            for module in peer.modules:
                importlib.import_module(module)
        except ImportError as error:
            absent[peer.name] = str(error)
        else:
            usable.append(peer)
    return usable, absent


def _without(logits: Any, labels: Any, sizes: Any, limit: Any, value: float) -> Any:
    small = (labels > 0) & (sizes <= limit)
    return logits.masked_fill(small, value)


def _fill_and_drop(logits: Any, label: Callable[[Any], tuple[Any, Any]]) -> Any:
    """Holes and specks as transformers and SAM 2 do it, given labels and sizes per pixel, `[N, 1, H, W]`."""
    filled = _without(logits, *label(logits <= 0), LIMIT_PX, 0.1)
    area = (filled > 0).sum((2, 3), keepdim=True)
    return _without(filled, *label(filled > 0), (area // 2).clamp(max=LIMIT_PX), -0.1)


def _sam3_components(chain: Chain) -> Step:
    label = importlib.import_module("sam3.perflib.connected_components").connected_components
    logits = chain.logits.float()[:, None]
    return lambda: _fill_and_drop(logits, label)


def _cc_torch(chain: Chain) -> Step:
    torch, components = importlib.import_module("torch"), importlib.import_module("cc_torch").get_connected_components
    logits = chain.logits.float()[:, None]
    return lambda: _fill_and_drop(logits, lambda mask: components(mask.to(torch.uint8)))


def _cupyx(chain: Chain) -> Step:
    torch, cupy = importlib.import_module("torch"), importlib.import_module("cupy")
    ndimage = importlib.import_module("cupyx.scipy.ndimage")
    logits, eight = chain.logits.float()[:, None], cupy.ones((3, 3), cupy.int8)

    def label(mask: Any) -> tuple[Any, Any]:
        labels, sizes = torch.empty_like(mask, dtype=torch.int32), torch.empty_like(mask, dtype=torch.int64)
        for n in range(len(mask)):
            found, _ = ndimage.label(cupy.asarray(mask[n, 0]), eight)
            labels[n, 0] = torch.as_tensor(found, device=mask.device)
            sizes[n, 0] = torch.as_tensor(cupy.bincount(found.ravel())[found], device=mask.device)
        return labels, sizes

    return lambda: _fill_and_drop(logits, label)


def _interpolate(chain: Chain) -> Step:
    torch = importlib.import_module("torch")
    logits = chain.clean.logits[:, None]
    return lambda: torch.nn.functional.interpolate(logits, chain.size, mode="bilinear", align_corners=False) > 0


def _boolean_masks(chain: Chain) -> tuple[Any, Any]:
    now, shift = chain.clean.logits.flatten(1) > 0, 5
    return now, now.roll(shift, 1)


def _boolean_iou(chain: Chain) -> Step:
    a, b = _boolean_masks(chain)

    def iou() -> Any:
        both = (a[:, None] & b[None]).sum(-1)
        return both / (a[:, None] | b[None]).sum(-1).clamp(min=1)

    return iou


def _product_iou(chain: Chain) -> Step:
    torch = importlib.import_module("torch")
    a, b = _boolean_masks(chain)

    def iou() -> Any:
        both = (a.to(torch.bfloat16) @ b.to(torch.bfloat16).T).float()
        return both / (a.sum(1)[:, None] + b.sum(1)[None] - both).clamp(min=1)

    return iou


def _pycocotools(chain: Chain) -> Step:
    torch, coco = importlib.import_module("torch"), importlib.import_module("pycocotools.mask")
    logits = chain.clean.logits[:, None]
    large = torch.nn.functional.interpolate(logits, chain.size, mode="bilinear", align_corners=False)[:, 0] > 0
    columns = large.to(torch.uint8)
    return lambda: coco.encode(columns.permute(1, 2, 0).cpu().numpy().copy(order="F"))


PEERS = (
    Peer(
        "SAM 3's connected components", "clean_masks", ("torch", "sam3.perflib.connected_components"), _sam3_components
    ),
    Peer("cc_torch", "clean_masks", ("torch", "cc_torch"), _cc_torch),
    Peer("cupyx label", "clean_masks", ("torch", "cupyx.scipy.ndimage"), _cupyx),
    Peer("interpolate and threshold", "upsample_owner", ("torch",), _interpolate),
    Peer("overlap of booleans", "iou", ("torch",), _boolean_iou),
    Peer("overlap as a bf16 product", "iou", ("torch",), _product_iou),
    Peer("pycocotools after a copy", "rle_coco", ("torch", "pycocotools.mask"), _pycocotools),
)
