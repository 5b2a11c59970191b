"""The tracker of one stream: prompts in, its part of each step, and a `TrackUpdate` for every picture out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from stream.engines import lifecycle, pointing
from stream.engines.mediaclock import MediaClock
from stream.engines.sam3 import prompts
from stream.engines.sam3.deciding import Decision, larger
from stream.engines.sam3.detection import MOST_EXAMPLES, VISUAL, ConceptStore, Doubt, Wanted, is_due
from stream.engines.sam3.lifecycle import Standing
from stream.engines.sam3.network import Network
from stream.engines.sam3.objects import Box01, Followed, to_px
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.prompts import LEFT, PlaceHistory, Request
from stream.engines.sam3.scene import FULL, Scene
from stream.engines.sam3.stepping import Given, Stepper
from stream.engines.sam3.turn import Orders, Prompted, Sight, Turn
from stream.errors import BadInput, EngineError, LimitReached, OnlookerError
from stream.relief import FULL as FULL_EFFORT
from stream.relief import Effort
from stream.stages import StageClock
from stream.types import Frame, Prompt, PromptChange, PromptKind, PromptState, TrackState, TrackUpdate

log = logging.getLogger(__name__)

LABEL = "object"
RELAPSE_FRAMES = 16
"""A fault so soon after another is not of one picture: it is in what was kept."""
BEGAN_AGAIN = "Tracking had to begin again."


@dataclass(slots=True)
class Parts:
    """What all trackers of an engine share. `effort` changes while the machine cannot keep up."""

    network: Network
    stepper: Stepper
    concepts: ConceptStore
    preprocessor: Callable[[Sequence[Frame]], Tensor]
    policy: Policy
    effort: Effort = FULL_EFFORT
    clock: StageClock = field(default_factory=StageClock)


class Sam3Tracker:
    """Implements `stream.engines.base.Tracker`; all calls on the engine thread. The engine steps it: `begin`, then
    either `finish` or `reset`."""

    def __init__(self, parts: Parts, first_track_id: int = 1) -> None:
        self._parts = parts
        self._scene = Scene(parts.stepper, parts.policy, first_track_id)
        self._history = PlaceHistory(parts.policy.history_s)
        self._clock = MediaClock()
        self._prompts: dict[int, Prompt] = {}
        """Those in force, without refinements."""
        self._requests: list[Request] = []
        self._taken: list[Request] = []
        """Those that the present turn answers."""
        self._fault: int | None = None
        """The frame of the last one."""
        self._changes: list[PromptChange] = []
        self._followers: dict[int, tuple[int, ...]] = {}
        """The tracks of each prompt that the world was told of."""
        self._asked = False
        self._full = False
        self._last: Frame | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        if self._closed or self._last is None:
            return False
        unsure = any(thing.life.state is TrackState.TENTATIVE and thing.told for thing in self._scene.objects)
        return bool(self._requests) or unsure or (self._asked and bool(self._wanted()))

    @property
    def present(self) -> tuple[Frame, Scene] | None:
        """The last picture, and what is followed as of it; None where there is none, or where it failed."""
        if self._closed or self._last is None or self._fault == self._scene.number:
            return None
        return self._last, self._scene

    # --- prompts

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        pointing.check(prompt, self._history.size)
        if prompt.track_id is not None:
            self._require(prompt)
        if prompt.kind is PromptKind.TEXT:
            return self._add_text(prompt)
        if prompt.mask is not None and prompt.kind is PromptKind.MASK:
            prompts.read_mask(prompt)
        if prompt.track_id is None and not self._scene.room():
            raise LimitReached(FULL, action="Remove a track or a prompt.")
        self._requests.append(self._history.request(prompt))
        if prompt.track_id is None:
            self._prompts[prompt.id] = prompt
        return PromptChange(prompt.id, PromptState.PENDING)

    def _require(self, prompt: Prompt) -> None:
        thing = self._scene.by_id(prompt.track_id or 0)
        if thing is None or not thing.told:
            raise BadInput(
                f"There is no track {prompt.track_id}.", code="unknown_track", action="Pick one that is there."
            )
        if prompt.kind is PromptKind.TEXT:
            raise BadInput("Words cannot refine a track.", code="unsupported_prompt", action="Use clicks or a box.")
        if prompt.kind is PromptKind.EXEMPLAR:
            raise BadInput("An example cannot refine a track.", code="unsupported_prompt", action="Use a box.")

    def _add_text(self, prompt: Prompt) -> PromptChange:
        texts = prompts.phrases(prompt.text or "")
        for text in texts:
            self._parts.concepts.check(text)
        self._prompts[prompt.id] = prompt
        self._take_over(prompt.id, {self._parts.concepts.same(text) for text in texts})
        self._asked = True
        return PromptChange(prompt.id, PromptState.ACTIVE)

    def _take_over(self, prompt_id: int, concepts: set[str]) -> None:
        """What went with a prompt that was removed is shown again, under its id, where a new prompt asks for it."""
        for thing in self._scene.objects:
            if thing.hidden_with_prompt and thing.from_words and self._parts.concepts.same(thing.label) in concepts:
                thing.hidden_s, thing.hidden_with_prompt, thing.prompt_id = None, False, prompt_id

    def remove_prompt(self, prompt_id: int) -> None:
        self._prompts.pop(prompt_id, None)
        self._followers.pop(prompt_id, None)
        self._requests = [request for request in self._requests if request.prompt.id != prompt_id]
        self._scene.hide(self._scene.of_prompt(prompt_id), with_prompt=True)

    def restore_prompt(self, prompt: Prompt) -> None:
        self._prompts[prompt.id] = prompt
        self._scene.unhide_with(prompt.id)
        self._asked = True

    def remove_track(self, track_id: int) -> None:
        thing = self._scene.by_id(track_id)
        if thing is not None:
            self._scene.hide([thing], with_prompt=False)

    def restore_track(self, track_id: int) -> None:
        self._scene.restore(track_id)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._scene.clear()
            self._requests.clear()
            self._last = None

    # --- a step

    def begin(self, frame: Frame) -> Turn:
        """What this stream asks of the network for `frame`; the same one again, where it is still."""
        scene, last = self._scene, self._last
        if last is None or (last.index, last.epoch) != (frame.index, frame.epoch):
            scene.now_s = self._clock.advance(frame)
            self._history.push(frame, scene.now_s)
            self._asked = self._asked or (last is not None and last.epoch != frame.epoch)
        self._last = frame
        scene.number += 1
        since = scene.number - scene.looked
        scene.expire(self._prompts)
        corrected, begun = self._prompted(frame)
        taken = {one.thing for one in (*corrected, *begun)}
        followed = [thing for thing in scene.objects if thing not in taken]
        pace = self._parts.policy.looking(self._parts.effort.looks)
        wanted = self._wanted() if is_due(since, self._doubt(), pace) else []
        # After a long time without a look, the first one says no more than any other.
        since = min(since, 2 * pace.detect_every)
        turn = Turn(
            frame, scene.number, followed, corrected, begun, wanted, since,
            newcomers=[thing for thing in followed if thing.id is None],
            missing=[thing for thing in followed if thing.lost and thing.told],
        )  # fmt: skip
        if not turn.idle:
            with self._parts.clock.part("preprocess"):
                turn.picture = self._parts.preprocessor([frame])
        return turn

    def _doubt(self) -> Doubt:
        scene = self._scene
        told = [thing for thing in scene.objects if thing.told or thing.id is None]
        fresh = scene.now_s - self._parts.policy.detect_lost_s
        return Doubt(
            self._asked,
            any(thing.life.state is TrackState.TENTATIVE for thing in told),
            any(thing.lost and thing.life.since_s > fresh for thing in told),
        )

    def _prompted(self, frame: Frame) -> tuple[list[Prompted], list[Prompted]]:
        """Objects to correct and to begin in this frame; what cannot be is told."""
        corrected: dict[Followed, Prompted] = {}
        begun, waiting = [], []
        for request in self._requests:
            prompt = self._history.present(request)
            target = self._scene.by_id(request.prompt.track_id) if request.prompt.track_id is not None else None
            if prompt is None:
                self._fail(request.prompt, LEFT)
            elif request.prompt.track_id is None:
                one = self._started(prompt, request, frame)
                if one is not None:
                    begun.append(one)
            elif target is None:
                self._fail(prompt, "That track is gone.")
            elif target in corrected:
                waiting.append(request)
            else:
                corrected[target] = Prompted(target, self._given(prompt, frame), request)
        self._requests = waiting
        self._taken = [one.request for one in (*corrected.values(), *begun)]
        return list(corrected.values()), begun

    def _started(self, prompt: Prompt, request: Request, frame: Frame) -> Prompted | None:
        box = prompt.box_xyxy_px
        place = prompts.to_01(box, (frame.width, frame.height)) if box is not None else (0.0, 0.0, 0.0, 0.0)
        example = prompt.positive if prompt.kind is PromptKind.EXEMPLAR else None
        try:
            thing = self._scene.open(LABEL, prompt.id, place, from_words=bool(example), sure=True)
        except LimitReached as error:
            self._fail(prompt, error.message)
            return None
        thing.example = example
        self._asked = self._asked or example is not None
        return Prompted(thing, self._given(prompt, frame), request)

    def _given(self, prompt: Prompt, frame: Frame) -> Given:
        network = self._parts.network
        return prompts.to_given(prompt, (frame.width, frame.height), network.shape.side, network.put)

    def _wanted(self) -> list[Wanted]:
        """What the detector is to look for: each phrase, and what is like the examples, where one is in sight."""
        unlike = tuple((thing.box, False) for thing in self._examples(False))
        found: list[Wanted] = []
        for prompt in self._prompts.values():
            if prompt.kind is PromptKind.TEXT:
                texts = prompts.phrases(prompt.text or "")
                found += [Wanted(prompt.id, text, text, unlike[:MOST_EXAMPLES]) for text in texts]
            elif prompt.kind is PromptKind.EXEMPLAR and prompt.positive:
                like = self._alike(prompt.id)
                if like:
                    boxes = (*((box, True) for box in like), *unlike)
                    found.append(Wanted(prompt.id, VISUAL, LABEL, boxes[:MOST_EXAMPLES]))
        return found

    def _examples(self, positive: bool) -> list[Followed]:
        things = [thing for thing in self._scene.objects if thing.example is positive and not thing.hidden_with_prompt]
        return [thing for thing in things if not thing.lost]

    def _alike(self, prompt_id: int) -> list[Box01]:
        """Boxes of the example itself, or where it is out of sight, of those that were found by it."""
        mine = [thing for thing in self._scene.of_prompt(prompt_id) if not thing.lost and thing.hidden_s is None]
        return [thing.box for thing in mine if thing.example] or [
            thing.box for thing in mine if thing.life.state is TrackState.LIVE
        ]

    def finish(self, turn: Turn, sight: Sight) -> tuple[Orders, TrackUpdate]:
        """What is to be remembered, and the update. Raises `EngineError` where the network gave no numbers."""
        if not sight.finite:
            raise EngineError("The network gave numbers that are not finite.", action="It goes on by itself.")
        self._answer(turn, sight)
        decision = Decision(self._scene, turn, sight, self._prompts)
        orders = decision.run()
        if turn.wanted:
            self._scene.looked, self._asked = turn.number, False
            self._tell_full(decision.turned_away, turn)
        self._tell_followers()
        return orders, self._update(turn.frame)

    def rest(self, turn: Turn) -> TrackUpdate:
        """The update of a turn that is idle."""
        return self._update(turn.frame)

    def _answer(self, turn: Turn, sight: Sight) -> None:
        """Say what became of the prompts by place."""
        first = len(turn.followed)
        for row, one in enumerate((*turn.corrected, *turn.begun), start=first):
            prompt, thing = one.request.prompt, one.thing
            if not sight.rows["stats"][row][1]:
                self._fail(prompt, "Nothing could be told apart there. Drag a box around the thing instead.")
                if thing.id is None:
                    self._scene.drop(thing)
                continue
            if thing.id is None:
                self._scene.name(thing)
            thing.life = lifecycle.find(lifecycle.hit(thing.life, self._scene.now_s, needed=1), self._scene.now_s)
            thing.standing = Standing.begin(self._parts.policy)
            others = prompt.kind is PromptKind.POINTS and prompt.track_id is None
            ids = (thing.id,) if thing.example is not False and thing.id is not None else ()
            whole = larger(turn, sight, row, self._parts.policy) if others else ()
            self._changes.append(PromptChange(prompt.id, PromptState.ACTIVE, None, ids, whole))
            self._followers[prompt.id] = ids

    def _tell_full(self, turned_away: int, turn: Turn) -> None:
        """Once each time it begins: more is there than can be followed."""
        if turned_away and not self._full:
            most = self._parts.policy.most_objects
            message = f"More is there than is followed: a stream has at most {most} objects. Remove some."
            for prompt_id in {one.prompt_id for one in turn.wanted}:
                ids = self._followers.get(prompt_id, ())
                self._changes.append(PromptChange(prompt_id, PromptState.ACTIVE, message, ids))
        self._full = turned_away > 0

    def _tell_followers(self) -> None:
        """Which tracks each prompt by words or example has now."""
        for prompt in self._prompts.values():
            if prompt.kind is not PromptKind.TEXT and not (prompt.kind is PromptKind.EXEMPLAR and prompt.positive):
                continue
            mine = [thing for thing in self._scene.of_prompt(prompt.id) if thing.shown]
            ids = tuple(sorted(thing.id for thing in mine if thing.id is not None))
            if ids != self._followers.get(prompt.id, ()):
                self._followers[prompt.id] = ids
                self._changes.append(PromptChange(prompt.id, PromptState.ACTIVE, None, ids))

    def _update(self, frame: Frame) -> TrackUpdate:
        scene = self._scene
        told = [thing for thing in scene.objects if thing.told]
        tracks = tuple(thing.as_track(frame, scene.now_s) for thing in (*told, *scene.gone))
        changes, self._changes = tuple(self._changes), []
        scene.gone = []
        return TrackUpdate.of(frame, tracks, changes)

    # --- faults

    def reset(self, error: OnlookerError) -> None:
        """Go on after a fault, with the ids that there are; with none of them where the last fault was just before."""
        number = self._scene.number
        relapse = self._fault is not None and number - self._fault <= RELAPSE_FRAMES
        self._fault = number
        log.warning("a stream's tracking %s: %s", "begins again" if relapse else "is mended", error.message)
        if relapse:
            self._begin_again()
        else:
            self._mend()

    def _mend(self) -> None:
        """Have each object go on from what was vouched for, since the fault may be in any later memory of it; removed
        ones stay removed. What was about to begin is done in the next picture."""
        self._scene.fall_back()
        self._requests = [*self._taken, *self._requests]
        self._taken = []
        self._asked = True

    def _begin_again(self) -> None:
        """Forget every object, and follow the same prompts anew.

        Words and examples are looked for. What was pointed at is begun from where it was last seen, under a new id;
        removed objects are not kept apart any more.
        """
        scene, frame = self._scene, self._last
        places = [thing for thing in scene.objects if thing.shown or thing.example is not None or thing.id is None]
        seen = {thing.prompt_id: thing.box for thing in places}
        waiting = {request.prompt.id for request in self._requests}
        scene.clear()
        self._followers.clear()
        self._asked = True
        for prompt in list(self._prompts.values()):
            if prompt.kind is PromptKind.TEXT:
                self._changes.append(PromptChange(prompt.id, PromptState.ACTIVE, BEGAN_AGAIN))
            elif prompt.id not in waiting and frame is not None:
                self._again(prompt, seen.get(prompt.id), frame)

    def _again(self, prompt: Prompt, box: Box01 | None, frame: Frame) -> None:
        if box is None or box[2] <= box[0] or box[3] <= box[1]:
            self._fail(prompt, f"{BEGAN_AGAIN} Point at the thing again.")
            return
        kind = prompt.kind if prompt.kind is PromptKind.EXEMPLAR else PromptKind.BOX
        by_box = replace(
            prompt, kind=kind, points=(), mask=None, box_xyxy_px=to_px(box, frame), frame=frame.ref,
        )  # fmt: skip
        self._requests.append(self._history.request(by_box))
        self._changes.append(PromptChange(prompt.id, PromptState.PENDING, BEGAN_AGAIN))

    def _fail(self, prompt: Prompt, message: str) -> None:
        self._prompts.pop(prompt.id, None)
        self._changes.append(PromptChange(prompt.id, PromptState.FAILED, message))
