"""A stream for SAM 3's tests: pictures that move, and objects that are added, corrected, vouched for and removed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from stream.engines.sam3.network import Features, Network
from stream.engines.sam3.stepping import Asked, Given, Outcome, Slot, Stepper
from tests.sam3_oracle import Found, Oracle

Kind = Literal["start", "refine", "remove", "recondition"]


@dataclass(frozen=True)
class Deed:
    """What happens to one object in one frame."""

    kind: Kind
    id: int
    given: Given | None = None


Script = dict[int, list[Deed]]
Replace = Callable[[int, Found], Found]


def script(side: int, *, mask_side: int) -> Script:
    """Four objects, by a click, by a box with a click, by a mask and by two clicks; positions scale with `side`."""
    mask = torch.zeros(mask_side, mask_side, dtype=torch.bool)
    mask[mask_side // 4 : mask_side // 2, mask_side // 5 : mask_side // 2] = True
    at = [round(part * side, 1) for part in (0.1, 0.25, 0.4, 0.6, 0.8)]
    click = Given(points=((at[2], at[2]),), labels=(1,))
    box = Given(box_xyxy=(at[0], at[0], at[3], at[2]), points=((at[1], at[1]),), labels=(1,))
    clicks = Given(points=((at[3], at[1]), (at[4], at[4])), labels=(1, 0))
    return {
        0: [Deed("start", 1, click)],
        3: [Deed("start", 2, box)],
        11: [Deed("start", 3, Given(mask=mask))],
        24: [Deed("refine", 1, Given(points=((at[1], at[3]),), labels=(0,)))],
        32: [Deed("recondition", 2), Deed("recondition", 3)],
        40: [Deed("remove", 2)],
        41: [Deed("start", 4, clicks)],
        48: [Deed("recondition", 1), Deed("recondition", 3)],
        60: [Deed("refine", 3, clicks), Deed("start", 5, click)],
        80: [Deed("remove", 1), Deed("start", 6, box)],
        96: [Deed("recondition", 3), Deed("recondition", 4)],
    }


def pictures(count: int, side: int, seed: int = 3) -> Tensor:
    """`(count, 3, side, side)`, -1..1: waves that drift and change, and noise."""
    drawn = torch.Generator().manual_seed(seed)
    grid = torch.arange(side) / side
    made = []
    for time in range(count):
        waves = [
            torch.sin(6.3 * (k + 1) * (grid[:, None] + 0.01 * time)) * torch.cos(5.1 * (k + 2) * grid - 0.13 * time)
            for k in range(3)
        ]
        made.append(torch.stack(waves) + 0.3 * torch.randn(3, side, side, generator=drawn))
    return torch.stack(made).clamp(-1, 1)


@dataclass
class Ours:
    """One stream on the stepper, driven as the engine drives it."""

    stepper: Stepper
    slots: dict[int, Slot] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        return self.stepper.network

    def asked(self, ids: Sequence[int], frame: int, picture: int = 0) -> list[Asked]:
        return [Asked(self.slots[id_], picture, frame) for id_ in ids]

    def step(
        self,
        features: Features,
        frame: int,
        deeds: Sequence[Deed],
        replace: Callable[[int, Found], Found] | None = None,
    ) -> dict[int, Found]:
        """Follow, do what is to be done, remember. `replace` may put other results in the place of those found."""
        ids = list(self.slots)
        found = _by_id(ids, self.stepper.propagate(features, self.asked(ids, frame)))
        before = dict(found)
        prompted = {}
        for deed in deeds:
            if deed.kind == "remove":
                self.stepper.close(self.slots.pop(deed.id))
                del found[deed.id]
            elif deed.kind in ("start", "refine") and deed.given is not None:
                if deed.kind == "start":
                    self.slots[deed.id] = self.stepper.open()
                call = self.stepper.start if deed.kind == "start" else self.stepper.refine
                made = call(features, self.asked([deed.id], frame), [deed.given])
                prompted |= _by_id([deed.id], made)
        found |= prompted
        kept = found if replace is None else {id_: replace(id_, one) for id_, one in found.items()}
        vouched = [deed.id for deed in deeds if deed.kind == "recondition"]
        plain = [id_ for id_ in kept if id_ not in prompted and id_ not in vouched]
        for group, conditioning in ((plain, "none"), (vouched, "rolling"), (list(prompted), "pinned")):
            if group:
                masks = torch.stack([kept[id_].mask for id_ in group])
                scores = torch.stack([kept[id_].score for id_ in group])
                self.stepper.remember(
                    features, self.asked(group, frame), masks, scores, conditioning=conditioning,
                    from_prompt=conditioning == "pinned",
                )  # fmt: skip
        return {**{id_: one for id_, one in before.items() if id_ in found}, **prompted}


def oracle_step(oracle: Oracle, picture: Tensor, deeds: Sequence[Deed]) -> dict[int, Found]:
    """The same on stock."""
    oracle.see(picture)
    found = oracle.track()
    prompted = {}
    for deed in deeds:
        if deed.kind == "remove":
            oracle.remove(deed.id)
            del found[deed.id]
        elif deed.given is not None:
            marks = deed.given.marks
            points = torch.tensor([point for point, _ in marks], dtype=torch.float32)
            labels = torch.tensor([label for _, label in marks])
            if deed.kind == "refine":
                prompted[deed.id] = oracle.refine(deed.id, points, labels, found[deed.id].mask)
            elif deed.given.mask is not None:
                prompted[deed.id] = oracle.start(deed.id, mask=deed.given.mask)
            else:
                prompted[deed.id] = oracle.start(deed.id, points=points, labels=labels)
    found |= prompted
    for group, from_prompt in (([id_ for id_ in found if id_ not in prompted], False), (list(prompted), True)):
        if group:
            masks = torch.stack([found[id_].mask for id_ in group])
            oracle.remember(group, masks, torch.stack([found[id_].score for id_ in group]), from_prompt=from_prompt)
    for deed in deeds:
        if deed.kind == "recondition":
            oracle.recondition(deed.id)
    oracle.end_frame()
    return found


def _by_id(ids: Sequence[int], outcome: Outcome) -> dict[int, Found]:
    return {id_: Found(outcome.masks[at], outcome.scores[at], outcome.pointers[at]) for at, id_ in enumerate(ids)}


def teach(oracle: Oracle, ours: Ours, frame: int) -> tuple[float, float]:
    """Replace our state by the oracle's after `frame`, checking that both remember the same frames.

    Returns the largest difference there was between pointers, and between memories relative to their size: they are
    stored in bfloat16, so one that fell on the other side of a rounding differs by 2⁻⁸.
    """
    bank, worst_pointer, worst_memory = ours.stepper.bank, 0.0, 0.0
    for id_, slot in ours.slots.items():
        stored = oracle.stored(id_)
        recent, vouched = stored["non_cond_frame_outputs"], stored["cond_frame_outputs"]
        recall = bank.recall(slot, frame + 1)
        remembered = [at for at in sorted(recent) if at > frame - 6]
        assert list(recall.offsets) == [0] * len(vouched) + [frame + 1 - at for at in remembered]
        assert sorted(recall.ages) == sorted(
            frame + 1 - at for at in (*vouched, *(at for at in recent if at > frame - 15))
        )
        frames = [*vouched, *remembered]
        outputs = vouched | recent
        for row, at in zip(recall.memory_rows, frames, strict=True):
            memory = outputs[at]["maskmem_features"][:, 0]
            difference = (bank.memories[row].float() - memory.float()).abs()
            worst_memory = max(worst_memory, float((difference / memory.float().abs().clamp(min=1e-2)).max()))
            bank.memories[row] = memory
        for row, age in zip(recall.pointer_rows, recall.ages, strict=True):
            pointer = outputs[frame + 1 - age]["object_pointer"].flatten()
            worst_pointer = max(worst_pointer, float((bank.pointers[row] - pointer).abs().max()))
            bank.pointers[row] = pointer
    return worst_pointer, worst_memory


def tensor_bytes() -> int:
    """Of all tensors that there are in this process."""
    gc.collect()
    return sum(one.untyped_storage().nbytes() for one in gc.get_objects() if issubclass(type(one), Tensor))
