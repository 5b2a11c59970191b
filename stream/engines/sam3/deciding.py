"""What one frame's evidence changes in a stream: on the host, after the step's one copy."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from stream.engines import lifecycle
from stream.engines.lifecycle import Life
from stream.engines.sam3 import association
from stream.engines.sam3.association import Detected, Matches, Tracks
from stream.engines.sam3.detection import crosses
from stream.engines.sam3.lifecycle import Seen as SeenTrack
from stream.engines.sam3.lifecycle import Standing, judge
from stream.engines.sam3.objects import Box01, Followed, to_px
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.scene import Scene
from stream.engines.sam3.turn import Orders, Seen, Sight, Turn
from stream.errors import LimitReached
from stream.types import BoxXyxyPx, Rle, TrackState


class Decision:
    """Goes through one frame of one stream; `run` once. Changes the scene, and says what is to be remembered."""

    def __init__(self, scene: Scene, turn: Turn, sight: Sight, prompts: Collection[int]) -> None:
        """`prompts`: the ids of those in force."""
        self.orders = Orders()
        self.turned_away = 0
        """Detections for which there was no room."""
        self._scene = scene
        self._turn = turn
        self._sight = sight
        self._policy = scene.policy
        self._prompts = prompts
        self._row = {thing: index for index, thing in enumerate(turn.objects) if thing.slot.open}

    def run(self) -> Orders:
        self._rejoin()
        hidden = self._give_way()
        matches, things = self._match()
        self._judge(matches, things, hidden)
        self._drop_unlike()
        self._show(hidden)
        if matches is not None:
            self._begin(matches, things)
            self._recondition(matches, things)
        self._remember(hidden)
        return self.orders

    # --- lost objects that came back as new ones

    def _rejoin(self) -> None:
        """Give new objects of the last look their ids: that of a lost object which they turn out to be, or one of
        their own."""
        turn = self._turn
        newcomers = [thing for thing in turn.newcomers if thing in self._row]
        missing = [thing for thing in turn.missing if thing in self._row and thing.lost]
        likeness = np.full((len(newcomers), len(missing)), np.nan, np.float32)
        allowed = np.zeros(likeness.shape, np.bool_)
        for i, new in enumerate(newcomers):
            for j, lost in enumerate(missing):
                allowed[i, j] = new.prompt_id == lost.prompt_id
                again = self._sight.iou[self._row[new], self._row[lost]] >= self._policy.same_iou
                alike = self._sight.likeness[turn.newcomers.index(new), turn.missing.index(lost)]
                likeness[i, j] = 1.0 if again else alike
        found = association.returns(likeness, allowed, self._policy)
        for i, new in enumerate(newcomers):
            if i in found:
                self._take_up(missing[found[i]], new)
            else:
                self._scene.name(new)

    def _take_up(self, lost: Followed, new: Followed) -> None:
        row = self._row.pop(new)
        self._row[lost] = row
        self._scene.drop(new)
        lost.life = lifecycle.find(lost.life, self._scene.now_s)
        lost.standing = replace(Standing.begin(self._policy), keep_alive=self._policy.probation)
        lost.score = new.score
        self.orders.rejoined.append((lost, self._sight.places[row]))

    # --- tracks

    def _present(self, thing: Followed) -> bool:
        return bool(self._sight.rows["stats"][self._row[thing]][1] > 0)

    def _give_way(self) -> set[Followed]:
        """Objects that overlap one which was hidden less recently; also notes who is hidden now."""
        things = list(self._row)
        rows = [self._row[thing] for thing in things]
        last = np.array([thing.last_hidden for thing in things], np.int64)
        groups = np.array([_group(thing) for thing in things], np.int64)
        gives = association.suppressed(self._sight.iou[np.ix_(rows, rows)], groups, last, self._policy)
        hidden = {thing for thing, way in zip(things, gives, strict=True) if way}
        for thing in things:
            if thing in hidden or not self._present(thing):
                thing.last_hidden = self._turn.number
        return hidden

    def _match(self) -> tuple[Matches | None, list[Followed]]:
        """Detections against the objects that they may be; those objects."""
        things = [thing for thing in self._row if self._scene.guards(thing, self._prompts)]
        seen = self._sight.detections
        if seen is None:
            return None, things
        rows = [self._row[thing] for thing in things]
        wanted = np.array([one.prompt_id for one in self._turn.wanted], np.int64)
        tracks = Tracks(
            np.array([thing.prompt_id for thing in things], np.int64),
            np.array([thing.born for thing in things], np.int64),
            np.array([not self._present(thing) for thing in things], np.bool_),
            np.array([not thing.from_words for thing in things], np.bool_),
        )
        found = Detected(seen.score, wanted[seen.wanted], seen.iou[:, rows])
        return association.associate(found, tracks, self._policy), things

    def _judge(self, matches: Matches | None, things: list[Followed], hidden: set[Followed]) -> None:
        index = {thing: i for i, thing in enumerate(things)}
        later = {pair[1] for pair in matches.doubles} if matches is not None else set()
        looked_for = {one.prompt_id for one in self._turn.wanted}
        begun = {one.thing for one in self._turn.begun}
        for thing in list(self._row):
            if thing in begun or thing.id is None:
                continue
            at = index.get(thing)
            seen = None
            if matches is not None and at is not None and thing.from_words and thing.prompt_id in looked_for:
                seen = SeenTrack(
                    self._turn.since, bool(matches.matched[at]), bool(matches.unmatched[at]), at in later
                )  # fmt: skip
            present = self._present(thing) and thing not in hidden
            self._judged(thing, present, seen)

    def _judged(self, thing: Followed, present: bool, seen: SeenTrack | None) -> None:
        scene, age = self._scene, self._turn.number - thing.born
        before = thing.life
        thing.life, thing.standing = judge(
            before, thing.standing, present, seen, age, scene.now_s, self._policy
        )  # fmt: skip
        if thing.life.state is not TrackState.GONE:
            return
        hidden_for = scene.now_s - thing.hidden_s if thing.hidden_s is not None else math.inf
        if hidden_for <= self._policy.restore_s:
            # Removed by the user, who may want it back: it is kept for that long, whatever became of it.
            thing.life = Life(TrackState.LOST, before.born_s, scene.now_s, before.hits)
        else:
            thing.life = before
            self._lose(thing)

    def _lose(self, thing: Followed) -> None:
        self._row.pop(thing)
        self._scene.end(thing)

    def _drop_unlike(self) -> None:
        """What an example of the unwanted was just drawn around is no track any more."""
        for one in self._turn.begun:
            if one.thing.example is not False or one.thing not in self._row:
                continue
            overlap = self._sight.iou[self._row[one.thing]]
            for thing, row in list(self._row.items()):
                if thing is not one.thing and thing.from_words and overlap[row] >= self._policy.same_iou:
                    self._lose(thing)

    def _show(self, hidden: set[Followed]) -> None:
        """Boxes, masks and scores as of this frame; `hidden` gave way."""
        sight = self._sight
        for thing, row in self._row.items():
            stats = sight.rows["stats"][row]
            if stats[1] <= 0 or thing.lost or thing in hidden:
                thing.mask = None
                continue
            shown = sight.rows["video_stats"][row]
            thing.box = _box(shown if shown[1] > 0 else stats, sight.mask_side)
            thing.mask = _mask(sight.codes[row], sight.mask_side) if shown[1] > 0 else None
            if not thing.from_words:
                thing.score = _sigmoid(float(sight.rows["score"][row]))

    # --- detections

    def _begin(self, matches: Matches, things: list[Followed]) -> None:
        seen = self._sight.detections
        assert seen is not None
        self._scores(seen, things)
        scene, policy = self._scene, self._policy
        room = policy.most_objects - len(scene.objects) + sum(t.lost or t.hidden_s is not None for t in scene.objects)
        best, self.turned_away = association.best_new(matches.new, seen.score, room)
        missing = {thing.prompt_id for thing in scene.objects if thing.lost and thing.told}
        for index in best:
            wanted = self._turn.wanted[int(seen.wanted[index])]
            box = _box(seen.rows["stats"][index], self._sight.mask_side)
            if box[2] <= box[0]:
                continue
            try:
                thing = scene.open(wanted.label, wanted.prompt_id, box, from_words=True, sure=False)
            except LimitReached:
                self.turned_away += 1
                continue
            thing.score = float(seen.score[index])
            thing.mask = _mask(seen.codes[index], self._sight.mask_side)
            if wanted.prompt_id not in missing:
                scene.name(thing)
            self.orders.new.append((thing, seen.places[index]))
        # Making room may have ended objects of this frame.
        self._row = {thing: row for thing, row in self._row.items() if thing.slot.open}

    def _scores(self, seen: Seen, things: list[Followed]) -> None:
        """A track from words has the score of the best detection on it."""
        wanted = [one.prompt_id for one in self._turn.wanted]
        for thing in things:
            if thing not in self._row or not thing.from_words:
                continue
            on = np.flatnonzero(seen.iou[:, self._row[thing]] >= self._policy.keep_iou)
            scores = [float(seen.score[i]) for i in on if wanted[int(seen.wanted[i])] == thing.prompt_id]
            thing.score = max(scores, default=thing.score)

    def _recondition(self, matches: Matches, things: list[Followed]) -> None:
        """Let sure tracks become conditioning frames now and then."""
        seen, policy, turn = self._sight.detections, self._policy, self._turn
        if seen is None or not crosses(turn.number, turn.number - turn.since, policy.recondition_every):
            return
        for at, index in matches.confirmed.items():
            thing = things[at]
            if thing not in self._row or float(self._sight.rows["score"][self._row[thing]]) <= policy.recondition_score:
                continue
            self.orders.rolling[thing] = seen.places[index]
            if policy.show_detection:
                thing.mask = _mask(seen.codes[index], self._sight.mask_side)

    # --- memory

    def _remember(self, hidden: set[Followed]) -> None:
        sight, turn = self._sight, self._turn
        prompted = {one.thing for one in (*turn.corrected, *turn.begun)}
        rejoined = {thing for thing, _ in self.orders.rejoined}
        for thing, row in self._row.items():
            if thing in rejoined:
                continue
            kept = self.orders.prompted if thing in prompted and self._present(thing) else self.orders.tracked
            kept.append((thing, sight.places[row]))
        self.orders.hidden = hidden
        self.orders.rejoined = [(thing, place) for thing, place in self.orders.rejoined if thing.slot.open]


def larger(turn: Turn, sight: Sight, row: int, policy: Policy) -> tuple[tuple[str, BoxXyxyPx], ...]:
    """The whole of which a click took a part, as a box in pixels of the frame: a track that holds the clicked mask."""
    area = sight.rows["stats"][:, 1].astype(float)
    best: tuple[float, Followed] | None = None
    for other, thing in enumerate(turn.followed):
        both = sight.iou[row, other] * (area[row] + area[other]) / (1 + sight.iou[row, other])
        inside = both >= policy.whole_share * area[row] and area[row] < policy.part_share * area[other]
        if thing.shown and inside and (best is None or area[other] < best[0]):
            best = area[other], thing
    return (("whole", to_px(best[1].box, turn.frame)),) if best is not None else ()


def _group(thing: Followed) -> int:
    """Objects of one prompt compete with each other; those that are not shown, only among themselves."""
    return thing.prompt_id if thing.hidden_s is None and thing.example is not False else -thing.prompt_id - 1


def _box(stats: Any, side: int) -> Box01:
    x0, y0, x1, y1 = (int(value) / side for value in stats[2:6])
    return x0, y0, x1, y1


def _mask(code: str | None, side: int) -> Rle | None:
    return Rle((side, side), code) if code is not None else None


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
