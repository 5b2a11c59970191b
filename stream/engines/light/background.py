"""One tracker's background work: which job is next, and what its answer changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stream.engines.light import gate, intake, lifecycle, planner, returns
from stream.engines.light.appearance import Look
from stream.engines.light.fallback import MOVING
from stream.engines.light.gate import Measures, Verdict
from stream.engines.light.grid import Patch, box_iou, patch_iou
from stream.engines.light.prompts import Request
from stream.engines.light.scene import Scene
from stream.engines.light.sight import Answer, Ask, Candidate, Found, Sight, Sighting, View, Wanted
from stream.engines.light.tracks import Object
from stream.engines.light.worker import Job, Lane
from stream.types import BoxXyxyPx, PromptChange, PromptState, TrackState

DETECT_COST = 1 / 3
MOST_REQUESTS = 32
DUPLICATE_IOU = 0.5
LEAST_QUALITY = 0.4
CROP_PIXELS = 320
ARRIVALS_WAIT_S = 0.4


class Background:
    """Jobs go to `lane`; answers are applied by `collect` on the engine thread."""

    def __init__(
        self, scene: Scene, lane: Lane, sight: Callable[[], Sight], labels: Callable[[], dict[str, int]]
    ) -> None:
        self._scene = scene
        self._lane = lane
        self._sight = sight
        self._labels = labels
        """Labels that text prompts ask for now → the prompt's id."""
        self._requests: deque[Request] = deque()
        self._newcomers: deque[tuple[Found, View]] = deque()
        self._arrivals: list[tuple[Found, View, Answer]] = []
        self._looking = 0
        """Newcomers and detections whose jobs are out."""
        self._detect_s = -1e9
        self._since_search = 99
        self.changes: list[PromptChange] = []
        self.by_detector = False
        """Whether a detector finds things by name."""

    @property
    def waiting(self) -> bool:
        return bool(self._requests or self._newcomers or self._lane.busy)

    def ask(self, request: Request) -> None:
        """A prompt; prompts go before everything else."""
        self._requests.append(request)

    def forget(self, prompt_id: int) -> None:
        """Drop what waits for a prompt that was removed."""
        self._requests = deque(r for r in self._requests if r.prompt.id != prompt_id)

    def detect_soon(self) -> None:
        """A text prompt came: let the detector look at the next picture."""
        self._detect_s = -1e9

    def collect(self, tick: int) -> bool:
        """Apply a finished job; whether there was one."""
        job = self._lane.take(tick)
        if job is None:
            return False
        job.done(job.result)
        return True

    def schedule(self, tick: int) -> None:
        """Give the worker the job that is needed most; one that was not begun is renewed with the present picture."""
        waiting = self._lane.withdraw()
        if waiting is not None:
            if waiting.fixed:
                self._lane.submit(waiting, tick)
                return
            waiting.dropped()
        job = self._next()
        if job is not None:
            self._lane.submit(job, tick)

    def _next(self) -> Job | None:
        scene, tuning = self._scene, self._scene.tuning
        if self._requests:
            return self._request_job(self._requests.popleft())
        wants_detector = self.by_detector and any(label for label in self._labels() if label != MOVING)
        if wants_detector and scene.now_s - self._detect_s >= tuning.detect_gap_s:
            return self._detect_job()
        while self._newcomers:
            found, view = self._newcomers.popleft()
            if self._scene.history.reaches(view.step):
                return self._newcomer_job(found, view)
        thing = planner.pick(scene.objects.values(), scene.now_s, self._since_search, tuning)
        if thing is None:
            return None
        return self._refresh_job(thing) if thing.carried is not None else self._search_job(thing)

    # --- what was pointed at

    def _request_job(self, request: Request) -> Job:
        sight, generation = self._sight(), self._scene.generation

        def done(answer: Answer | None) -> None:
            if generation != self._scene.generation:
                answer = None
            self._pointed(request, answer)

        # a click needs one look at the whole picture and, for small things, a closer one
        return Job("first", lambda: sight.first(request.view, request.ask), done, cost=1.5, fixed=True)

    def _pointed(self, request: Request, answer: Answer | None) -> None:
        prompt, scene = request.prompt, self._scene
        if answer is None or answer.patch.box() is None:
            self._fail(prompt.id, "Nothing could be told apart there. Drag a box around the thing instead.")
            return
        if prompt.track_id is not None:
            self._refined(request, answer)
            return
        if not scene.room():
            self._fail(prompt.id, "Too many things are followed already. Remove some first.")
            return
        box = answer.patch.box() or (0, 0, 0, 0)
        thing = scene.add(answer.label or "object", prompt.id, box, from_text=False, sure=True)
        thing.score = answer.quality
        if not scene.install(thing, answer.patch, answer.look, request.view):
            del scene.objects[thing.id]
            self._fail(prompt.id, "It left the picture.")
            return
        self._tell(prompt.id, (thing.id,), self._alternatives(answer))

    def _refined(self, request: Request, answer: Answer) -> None:
        prompt = request.prompt
        thing = self._scene.objects.get(prompt.track_id or 0)
        if thing is None or not self._scene.install(thing, answer.patch, answer.look, request.view):
            self._fail(prompt.id, "That track is gone.")
            return
        thing.life = lifecycle.find(thing.life, self._scene.now_s)
        thing.hypothesis_s = None
        thing.score = answer.quality
        thing.detected = None
        if thing.memory is not None:  # the user says what it is: that replaces what was remembered
            thing.memory = replace(thing.memory, first=answer.look.colour, recent=answer.look.colour)
        self._tell(prompt.id, (thing.id,), self._alternatives(answer))

    def _alternatives(self, answer: Answer) -> tuple[tuple[str, BoxXyxyPx], ...]:
        grid = self._scene.grid
        pairs = (("whole", answer.whole), ("part", answer.part))
        return tuple((name, grid.box_to_frame(box)) for name, box in pairs if box is not None)

    # --- what has a name

    def _detect_job(self) -> Job:
        sight, view, generation = self._sight(), self._scene.view(), self._scene.generation
        labels = frozenset(self._labels())
        before, self._detect_s = self._detect_s, view.time_s

        def done(found: list[Found] | None) -> None:
            if found is not None and generation == self._scene.generation:
                self.seen(found, view)

        def dropped() -> None:
            self._detect_s = before

        return Job("detect", lambda: sight.detect(view, labels), done, cost=DETECT_COST, dropped=dropped)

    def seen(self, found: list[Found], view: View) -> None:
        """Take what a detector saw on the picture of `view`."""
        scene = self._scene
        labels = {f.label for f in found} | set(self._labels())
        known = []
        for thing in scene.objects.values():
            box = view.masks[thing.id].box() if thing.id in view.masks else None
            if box is not None and thing.followed:
                known.append(intake.Known(thing.id, thing.label, thing.from_text, box))
        waiting = [f.box for f, _ in self._newcomers] + [f.box for f, _, _ in self._arrivals]
        result = intake.match(found, known, waiting, scene.tuning)
        boxes = {k.id: k.box for k in known}
        for thing_id, match in result.matched.items():
            self._confirmed(scene.objects[thing_id], match, boxes[thing_id], view)
        for thing in list(scene.objects.values()):
            unseen = view.time_s - max(thing.detected_s, thing.life.since_s)
            if thing.from_text and thing.label in labels and thing.followed and unseen > scene.tuning.unseen_s:
                scene.lose(thing)
        room = scene.tuning.newcomers_most - len(self._newcomers)
        self._newcomers.extend((f, view) for f in result.new[: max(0, room)] if f.label in self._labels())

    def _confirmed(self, thing: Object, found: Found, box: BoxXyxyPx, view: View) -> None:
        thing.life = lifecycle.hit(thing.life, self._scene.now_s)
        if thing.life.state is TrackState.LOST and thing.from_text:
            thing.life = lifecycle.find(thing.life, self._scene.now_s)
        if thing.life.shown:
            thing.hypothesis_s = None
        b = found.box
        thing.detected = b[0] - box[0], b[1] - box[1], b[2] - box[2], b[3] - box[3]
        thing.detected_s = view.time_s
        if thing.from_text:
            thing.score = 0.5 * thing.score + 0.5 * found.score

    def _newcomer_job(self, found: Found, view: View) -> Job:
        sight, generation = self._sight(), self._scene.generation
        ask = Ask(box=found.box, mask=found.patch, look_for_whole=False)
        self._looking += 1

        def done(answer: Answer | None) -> None:
            self._looking -= 1
            if generation == self._scene.generation and answer is not None and answer.quality > LEAST_QUALITY:
                self._arrivals.append((found, view, answer))
            if self._arrivals_complete():
                self._settle_arrivals()

        return Job("newcomer", lambda: sight.first(view, ask), done, fixed=True)

    def _arrivals_complete(self) -> bool:
        """Whether new things may be settled: none is still being looked at that could be a lost one instead, or they
        have waited long enough."""
        if not self._newcomers and not self._looking:
            return True
        oldest = min((view.time_s for _, view, _ in self._arrivals), default=self._scene.now_s)
        waited = self._scene.now_s - oldest
        return waited > ARRIVALS_WAIT_S or not any(self._lost_of(f.label) for f, _, _ in self._arrivals)

    def _lost_of(self, label: str) -> list[Object]:
        """Lost text tracks of a label, removed ones among them: what comes back of those stays removed."""
        return [
            thing
            for thing in self._scene.objects.values()
            if thing.from_text and thing.label == label and thing.life.state is TrackState.LOST and thing.memory
        ]

    def _settle_arrivals(self) -> None:
        """Which of the new things are lost ones that came back? One assignment over all; the rest is new."""
        arrivals, self._arrivals = self._arrivals, []
        lost = {thing.id: thing for label in {f.label for f, _, _ in arrivals} for thing in self._lost_of(label)}
        places = []
        for found, _, answer in arrivals:
            measures = {
                thing.id: Measures(1.0, answer.quality, answer.patch.area() / max(1.0, thing.area),
                                   thing.memory.similarity(answer.look))
                for thing in lost.values() if thing.label == found.label and thing.memory
            }  # fmt: skip
            places.append(returns.Place(_centre(found.box), measures))
        tuning = replace(self._scene.tuning, return_look=self._scene.tuning.identity_look)
        claimed = {c.place: lost[c.id] for c in returns.claims(self._missing(list(lost.values())), places, tuning)}
        for index, (found, view, answer) in enumerate(arrivals):
            self._arrive(found, view, answer, claimed.get(index))

    def _arrive(self, found: Found, view: View, answer: Answer, back: Object | None) -> None:
        scene = self._scene
        prompt_id = self._labels().get(found.label)
        if prompt_id is None or self._followed_already(answer.patch, found.box, found.label, view):
            return
        if back is not None:
            self._take_up(back, answer.patch, answer.look, view, again=False)
            back.detected_s = view.time_s
            return
        if not scene.room():
            return
        sure = found.score >= scene.tuning.sure_score
        thing = scene.add(found.label, prompt_id, found.box, from_text=True, sure=sure)
        thing.score, thing.detected_s = found.score, view.time_s
        thing.by_detector = True
        if not scene.install(thing, answer.patch, answer.look, view):
            del scene.objects[thing.id]
            return
        self._tell(prompt_id, tuple(t.id for t in scene.objects.values() if t.prompt_id == prompt_id and t.shown), ())

    def _followed_already(self, patch: Patch, box: BoxXyxyPx, label: str, view: View) -> bool:
        for thing in self._scene.objects.values():
            then = view.masks.get(thing.id)
            if thing.followed and then is not None and patch_iou(patch, then) > DUPLICATE_IOU:
                return True
            if thing.followed and then is None and thing.label == label and box_iou(thing.box, box) > DUPLICATE_IOU:
                return True
        return False

    # --- keeping masks true

    def _refresh_job(self, first: Object) -> Job:
        scene = self._scene
        shown = [t for t in scene.objects.values() if t.followed]
        pad = scene.tuning.pad_crowded if len(shown) > planner.CROWD else scene.tuning.pad
        group = planner.companions(first, shown, pad, CROP_PIXELS, scene.now_s)
        targets = [t for t in (planner.target(thing, scene.now_s, scene.tuning) for thing in group) if t]
        sight, view, generation = self._sight(), scene.view(), scene.generation
        self._since_search += 1
        for thing in group:
            thing.pending = True

        def release() -> None:
            for thing in group:
                thing.pending = False

        def done(sightings: dict[int, Sighting] | None) -> None:
            release()
            if generation != scene.generation or sightings is None:
                return
            for thing in group:
                if scene.objects.get(thing.id) is thing and thing.followed:
                    self._refreshed(thing, sightings.get(thing.id), view)

        cost = 1 + 0.1 * (len(group) - 1)
        return Job("refresh", lambda: sight.refresh(view, targets, pad), done, cost=cost, dropped=release)

    def _refreshed(self, thing: Object, sighting: Sighting | None, view: View) -> None:
        scene, tuning = self._scene, self._scene.tuning
        thing.tried_s = view.time_s
        if sighting is None or thing.memory is None:
            thing.rejects += 1
            if thing.rejects >= tuning.rejects_most:
                scene.lose(thing)
            return
        measures = sighting.measures
        verdict = gate.judge_refresh(measures, thing.rejects, tuning)
        thing.calm = thing.calm + 1 if measures.fit > tuning.stable_iou else 0
        if verdict is Verdict.LOSE:
            scene.lose(thing)
        elif verdict is Verdict.REJECT:
            thing.rejects += 1
            thing.key_s = view.time_s
        elif thing.hypothesis_s is not None and not gate.may_return(measures, self._away(thing), tuning):
            scene.lose(thing)
        else:
            if gate.learns(measures, tuning):
                thing.memory = thing.memory.learn(sighting.look, measures.similarity)
            if not thing.from_text:
                thing.score = 0.7 * thing.score + 0.3 * measures.quality
            if not scene.install(thing, sighting.patch, sighting.look, view):
                scene.lose(thing)
            elif thing.hypothesis_s is not None:
                thing.hypothesis_s = None
                thing.life = lifecycle.find(thing.life, scene.now_s)

    # --- finding what was lost

    def _away(self, thing: Object) -> float:
        return self._scene.now_s - thing.life.since_s

    def _search_job(self, first: Object) -> Job:
        scene = self._scene
        lost = planner.wanted(first, scene.objects.values(), scene.now_s, scene.tuning)
        sight, view, generation = self._sight(), scene.view(), scene.generation
        first.pending = True
        before, self._since_search = self._since_search, 0

        def done(candidates: list[Candidate] | None) -> None:
            first.pending = False
            first.tried_s = view.time_s
            first.searches += 1
            if candidates and generation == scene.generation:
                self._searched(candidates, lost, view)

        def dropped() -> None:
            first.pending = False
            self._since_search = before

        return Job("search", lambda: sight.search(view, lost), done, dropped=dropped)

    def _searched(self, candidates: list[Candidate], wanted: list[Wanted], view: View) -> None:
        scene = self._scene
        lost = [
            t for w in wanted if (t := scene.objects.get(w.id)) and t.life.state is TrackState.LOST and not t.followed
        ]
        places = [returns.Place(_centre(c.patch.box() or (0, 0, 0, 0)), c.measures) for c in candidates]
        for claim in returns.claims(self._missing(lost), places, scene.tuning):
            thing, candidate = scene.objects[claim.id], candidates[claim.place]
            if claim.hold:
                thing.held_s = scene.now_s if thing.held_s is None else thing.held_s
                continue
            if not any(patch_iou(candidate.patch, other) > DUPLICATE_IOU for other in view.masks.values()):
                self._take_up(thing, candidate.patch, candidate.look, view, again=claim.again)

    def _missing(self, lost: list[Object]) -> list[returns.Missing]:
        scene = self._scene
        return [
            returns.Missing(
                thing.id, planner.expected_place(thing, scene.now_s, scene.tuning), max(thing.size),
                float(np.hypot(*thing.velocity)), self._away(thing),
                scene.now_s - thing.held_s if thing.held_s is not None else 0.0,
            )
            for thing in lost
        ]  # fmt: skip

    def _take_up(self, thing: Object, patch: Patch, look: Look, view: View, *, again: bool) -> None:
        """Follow a lost object again; shown at once, or where `again` only after a second hit."""
        scene = self._scene
        if not scene.install(thing, patch, look, view):
            return
        thing.held_s = None
        thing.tried_s = view.time_s
        if again:
            thing.hypothesis_s = scene.now_s
        else:
            thing.life = lifecycle.find(thing.life, scene.now_s)

    # --- news for the user

    def _fail(self, prompt_id: int, message: str) -> None:
        self.changes.append(PromptChange(prompt_id, PromptState.FAILED, message))

    def _tell(self, prompt_id: int, ids: tuple[int, ...], alternatives: tuple[tuple[str, BoxXyxyPx], ...]) -> None:
        self.changes.append(PromptChange(prompt_id, PromptState.ACTIVE, None, ids, alternatives))


def _centre(box: BoxXyxyPx) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
