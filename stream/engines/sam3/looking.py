"""One step of many streams on the device: pictures in, evidence for each stream out in one copy, memories stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kernels.association import ROW, FrameBlock
from stream.engines.sam3 import masks
from stream.engines.sam3.detection import ConceptStore, queries_of
from stream.engines.sam3.masks import Digest, Picked
from stream.engines.sam3.network import Features, Network
from stream.engines.sam3.objects import Followed
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.stepping import Asked, Given, Outcome, Stepper
from stream.engines.sam3.turn import F32, I64, Orders, Prompted, Seen, Sight, Turn
from stream.stages import StageClock


@dataclass(frozen=True, slots=True)
class Look:
    """What a step holds on the device until it is remembered: `raw`, of all objects in the order of their rows, and
    `clean`, the same after `kernels`."""

    features: Features
    raw: Outcome
    clean: Digest


class Looker:
    """The device's side of the engine."""

    def __init__(
        self, network: Network, stepper: Stepper, concepts: ConceptStore, policy: Policy, clock: StageClock
    ) -> None:
        self._network = network
        self._stepper = stepper
        self._concepts = concepts
        self._policy = policy
        self._clock = clock

    @torch.inference_mode()
    def look(self, turns: Sequence[Turn]) -> tuple[Look, list[Sight]]:
        """Evidence for each turn. Nothing is stored yet, so that a step which fails can be made again."""
        part = self._clock.part
        with part("backbone"):
            features = self._network.encode(torch.cat([turn.picture for turn in turns if turn.picture is not None]))
        with part("memory_attention"):
            raw, places = self._objects(features, turns)
        with part("detector"):
            picked, keys = self._detect(features, turns)
        with part("post"):
            likeness = [self._likeness(turn) for turn in turns]
            digest = masks.digest(
                raw.masks,
                _marked(raw),
                self._groups(turns, places, lambda thing: thing.shown and self._policy.exclusive),
                picked,
                torch.cat((_health(features), *_index(picked), *(alike.flatten() for alike in likeness))),
                keys=keys,
                fill_area=self._policy.fill_area,
                nms_iou=self._policy.nms_iou,
            )
        with part("copy"):
            block, numbers = digest.read()
        return Look(features, raw, digest), self._split(turns, places, block, numbers, picked)

    def _objects(self, features: Features, turns: Sequence[Turn]) -> tuple[Outcome, list[list[int]]]:
        """All objects of all turns, and for each turn the rows of its objects."""
        parts: list[Outcome] = []
        places: list[list[int]] = [[] for _ in turns]
        count = 0

        def add(asked: list[tuple[int, Followed]], run: Callable[[list[Asked]], Outcome]) -> None:
            nonlocal count
            if asked:
                parts.append(run([Asked(thing.slot, at, turns[at].number) for at, thing in asked]))
            for at, _ in asked:
                places[at].append(count)
                count += 1

        add(
            [(at, thing) for at, turn in enumerate(turns) for thing in turn.followed],
            lambda asked: self._stepper.propagate(features, asked),
        )
        corrected = [(at, one) for at, turn in enumerate(turns) for one in turn.corrected]
        begun = [(at, one) for at, turn in enumerate(turns) for one in turn.begun]
        add(_things(corrected), lambda asked: self._stepper.refine(features, asked, _given(corrected)))
        add(_things(begun), lambda asked: self._stepper.start(features, asked, _given(begun)))
        return self._joined(parts), places

    def _joined(self, parts: list[Outcome]) -> Outcome:
        shape, network = self._network.shape, self._network
        if not parts:
            empty = torch.zeros(0, shape.mask, shape.mask, dtype=network.dtype, device=network.device)
            return Outcome(empty, empty[:, 0, 0], empty[:, 0, :0])
        return Outcome(
            torch.cat([part.masks for part in parts]),
            torch.cat([part.scores for part in parts]),
            torch.cat([part.pointers for part in parts]),
        )

    def _detect(self, features: Features, turns: Sequence[Turn]) -> tuple[Picked | None, Tensor | None]:
        wanted = [(at, one) for at, turn in enumerate(turns) for one in turn.wanted]
        if not wanted:
            return None, None
        queries, keys = queries_of(wanted, self._concepts)
        made = self._network.detect(features, queries)
        picked = masks.pick(made.scores, made.masks, self._policy.score_least, self._policy.most_detections)
        return picked, self._network.put(torch.tensor(keys))

    def _likeness(self, turn: Turn) -> Tensor:
        """`(newcomers, missing)`: the cosine of a new object's pointer with the likest of a lost one's conditioning
        frames."""
        if not turn.newcomers or not turn.missing:
            return torch.zeros(0, device=self._network.device)
        bank = self._stepper.bank
        new = [bank.newest(thing.slot.index) for thing in turn.newcomers]
        kept = [bank.recall(thing.slot, turn.number).pointer_rows[: len(thing.slot.vouched)] for thing in turn.missing]
        most = max(len(rows) for rows in kept)
        old = [[*rows, *[rows[0]] * (most - len(rows))] for rows in kept]
        pointers = bank.pointers.float()
        a = pointers.index_select(0, self._network.put(torch.tensor(new)))
        b = pointers.index_select(0, self._network.put(torch.tensor(old)).flatten()).view(len(old), most, -1)
        return functional.cosine_similarity(a[:, None, None], b[None], dim=-1).amax(dim=-1)

    def _groups(
        self, turns: Sequence[Turn], places: list[list[int]], takes: Callable[[Followed], bool]
    ) -> list[Tensor]:
        """Rows of objects of one prompt that `takes`, where there are several."""
        groups: dict[tuple[int, int], list[int]] = {}
        for at, turn in enumerate(turns):
            for thing, row in zip(turn.objects, places[at], strict=True):
                if takes(thing):
                    groups.setdefault((at, thing.prompt_id), []).append(row)
        return [self._network.put(torch.tensor(rows)) for rows in groups.values() if len(rows) > 1]

    def _split(
        self, turns: Sequence[Turn], places: list[list[int]], block: FrameBlock, numbers: F32, picked: Picked | None
    ) -> list[Sight]:
        """Each stream's part of what came to the host."""
        objects = sum(len(rows) for rows in places)
        index = numbers[len(turns) : len(turns) + (0 if picked is None else len(picked.index))]
        spare = numbers[len(turns) + len(index) :]
        owners = [at for at, turn in enumerate(turns) for _ in turn.wanted]
        firsts = np.cumsum([0, *(len(turn.wanted) for turn in turns)])
        candidates = 1 if picked is None else picked.candidates
        codes = [None if code is None else code.decode("ascii") for code in block.codes]
        sights = []
        for at, turn in enumerate(turns):
            rows = places[at]
            seen = None
            if turn.wanted:
                found = len(block.rows) - objects
                kept = [
                    i for i in range(found)
                    if owners[int(index[i]) // candidates] == at and block.rows["keep"][objects + i]
                ]  # fmt: skip
                kept.sort(key=lambda i: int(index[i]))
                wanted = np.array([int(index[i]) // candidates for i in kept], np.int64) - int(firsts[at])
                seen = _seen(block, codes, rows, kept, objects, wanted)
            size = (len(turn.newcomers), len(turn.missing))
            likeness, spare = spare[: size[0] * size[1]].reshape(size), spare[size[0] * size[1] :]
            own = block.rows[rows] if rows else np.zeros(0, ROW)
            finite = bool(numbers[at] > 0) and bool(np.isfinite(own["score"]).all())
            overlap = block.iou[np.ix_(rows, rows)] if rows else np.zeros((0, 0), np.float32)
            own_codes = [codes[row] for row in rows]
            sights.append(Sight(own, own_codes, overlap, rows, seen, likeness, finite, self._network.shape.mask))
        return sights

    @torch.inference_mode()
    def remember(self, look: Look, turns: Sequence[Turn], orders: Sequence[Orders | None]) -> None:
        """Store what the streams want remembered. None for a stream that failed."""
        asked = [(at, order) for at, order in enumerate(orders) if order is not None]
        self._remember_tracked(look, turns, asked)
        prompted = [(at, thing, row) for at, order in asked for thing, row in order.prompted]
        if prompted:
            rows = self._rows([row for _, _, row in prompted])
            self._stepper.remember(
                look.features, _asked(prompted, turns), look.raw.masks.index_select(0, rows),
                look.raw.scores.index_select(0, rows), conditioning="pinned", from_prompt=True,
            )  # fmt: skip
        self._remember_new(look, turns, asked)
        self._remember_rejoined(look, turns, asked)

    def _remember_tracked(self, look: Look, turns: Sequence[Turn], asked: list[tuple[int, Orders]]) -> None:
        policy = self._policy
        tracked = [(at, thing, row) for at, order in asked for thing, row in order.tracked]
        if not tracked:
            return
        rolling = {thing: row for _, order in asked for thing, row in order.rolling.items()}
        again = {at for at, order in asked if order.new} if policy.remember_all_with_new else set()
        hidden = [any(thing in order.hidden for _, order in asked) for _, thing, _ in tracked]
        logits = look.clean.tracks.index_select(0, self._rows([row for _, _, row in tracked]))
        if rolling and not policy.recondition_on_track and look.clean.detections is not None:
            for number, (_, thing, _) in enumerate(tracked):
                if thing in rolling:
                    logits[number] = look.clean.detections[rolling[thing]]
        groups: dict[tuple[int, int], list[int]] = {}
        for number, (at, thing, _) in enumerate(tracked):
            groups.setdefault((at, thing.prompt_id), []).append(number)
        shared = [self._rows(group) for group in groups.values() if len(group) > 1]
        kept, scores = masks.remembered(logits, shared, self._network.put(torch.tensor(hidden)), policy.shrink_least)
        for conditioning in ("none", "rolling"):
            chosen = [
                number for number, (at, thing, _) in enumerate(tracked)
                if (thing in rolling) == (conditioning == "rolling") and (thing in rolling or at not in again)
            ]  # fmt: skip
            if chosen:
                rows = self._rows(chosen)
                self._stepper.remember(
                    look.features, _asked([tracked[number] for number in chosen], turns), kept.index_select(0, rows),
                    scores.index_select(0, rows), conditioning=conditioning, from_prompt=False,
                )  # fmt: skip
        self._remember_again(look, turns, [one for one in tracked if one[0] in again and one[1] not in rolling])

    def _remember_again(self, look: Look, turns: Sequence[Turn], tracked: list[tuple[int, Followed, int]]) -> None:
        if tracked:
            rows = self._rows([row for _, _, row in tracked])
            self._stepper.remember(
                look.features, _asked(tracked, turns), look.raw.masks.index_select(0, rows),
                look.raw.scores.index_select(0, rows), conditioning="none", from_prompt=True,
            )  # fmt: skip

    def _remember_new(self, look: Look, turns: Sequence[Turn], asked: list[tuple[int, Orders]]) -> None:
        new = [(at, thing, row) for at, order in asked for thing, row in order.new]
        if not new or look.clean.detections is None:
            return
        given = [Given(mask=look.clean.detections[row] >= 0.5) for _, _, row in new]
        made = self._stepper.start(look.features, _asked(new, turns), given)
        self._stepper.remember(
            look.features, _asked(new, turns), made.masks, made.scores, conditioning="pinned", from_prompt=True
        )

    def _remember_rejoined(self, look: Look, turns: Sequence[Turn], asked: list[tuple[int, Orders]]) -> None:
        """Lost objects go on with their own memory, and with the mask of the object that turned out to be them."""
        rejoined = [(at, thing, row) for at, order in asked for thing, row in order.rejoined]
        if not rejoined:
            return
        given = [Given(mask=look.clean.tracks[row] > 0) for _, _, row in rejoined]
        made = self._stepper.refine(look.features, _asked(rejoined, turns), given)
        self._stepper.remember(
            look.features, _asked(rejoined, turns), made.masks, made.scores, conditioning="rolling", from_prompt=True
        )

    def _rows(self, rows: list[int]) -> Tensor:
        return self._network.put(torch.tensor(rows))


def _things(prompted: list[tuple[int, Prompted]]) -> list[tuple[int, Followed]]:
    return [(at, one.thing) for at, one in prompted]


def _given(prompted: list[tuple[int, Prompted]]) -> list[Given]:
    return [one.given for _, one in prompted]


def _asked(things: list[tuple[int, Followed, int]], turns: Sequence[Turn]) -> list[Asked]:
    return [Asked(thing.slot, at, turns[at].number) for at, thing, _ in things]


def _marked(raw: Outcome) -> Tensor:
    """Scores, not a number where the mask's logits are not finite."""
    finite = torch.isfinite(raw.masks.float().sum(dim=(1, 2)))
    return torch.where(finite, raw.scores.float(), torch.nan)


def _health(features: Features) -> Tensor:
    """`(B,)`, 1 where a picture's features are finite."""
    return torch.isfinite(features.tracker[2].float().sum(dim=(1, 2, 3))).float()


def _index(picked: Picked | None) -> tuple[Tensor, ...]:
    return () if picked is None else (picked.index.float(),)


def _seen(
    block: FrameBlock, codes: list[str | None], rows: list[int], kept: list[int], objects: int, wanted: I64
) -> Seen:
    places = [objects + i for i in kept]
    found = block.rows[places] if places else np.zeros(0, ROW)
    overlap = block.iou[np.ix_(places, rows)] if places else np.zeros((0, len(rows)), np.float32)
    return Seen(found["score"], wanted, overlap, found, [codes[place] for place in places], kept)
