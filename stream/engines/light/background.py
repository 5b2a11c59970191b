"""One tracker's background work: which job is next, and what its answer changes."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable

from stream.engines import lifecycle
from stream.engines.grid import Patch, centre_of, minus, patch_iou, plus
from stream.engines.light import gate, intake, planner, returns
from stream.engines.light.gate import Verdict
from stream.engines.light.hiding import with_hidden
from stream.engines.light.naming import Naming
from stream.engines.light.prompts import Request
from stream.engines.light.replay import Replay
from stream.engines.light.scene import Scene
from stream.engines.light.sight import Answer, Candidate, More, Searched, Sight, Sighting, Target, View, Wanted
from stream.engines.light.tracks import Object
from stream.engines.light.tuning import Tuning
from stream.engines.light.worker import Job, Lane
from stream.types import BoxXyxyPx, Prompt, PromptChange, PromptState, TrackState

DUPLICATE_IOU = 0.5
CROP_PIXELS = 320
REFUSED_MOST = 8
SCAN_COST = 0.1
"""Of a search that found no place worth a look."""


class Background:
    """Jobs go to `lane`; answers are applied by `collect` on the engine thread."""

    def __init__(
        self, scene: Scene, lane: Lane, sight: Callable[[], Sight], labels: Callable[[], dict[str, int]]
    ) -> None:
        self._scene = scene
        self._lane = lane
        self._sight = sight
        self._requests: deque[Request] = deque()
        self._asked: set[int] = set()
        """Prompts that wait for an answer, or for its correction."""
        self._since_search = 99
        self._last = ""
        """The kind of the last job that was done: on a slow machine looks, new things and refreshes take turns."""
        self.changes: list[PromptChange] = []
        self.naming = Naming(scene, sight, labels, self._tell)

    @property
    def waiting(self) -> bool:
        return bool(self._requests or self.naming.waiting or self._lane.busy)

    @property
    def asked(self) -> bool:
        """Whether something that was pointed at waits for its answer."""
        return bool(self._asked)

    def ask(self, request: Request) -> None:
        """A prompt; prompts go before everything else."""
        self._requests.append(request)
        self._asked.add(request.prompt.id)

    def forget(self, prompt_id: int) -> None:
        """Drop what waits for a prompt that was removed."""
        self._requests = deque(r for r in self._requests if r.prompt.id != prompt_id)
        self._asked.discard(prompt_id)

    def collect(self, tick: int, kind: str | None = None) -> bool:
        """Apply a finished job, of one kind if given; whether there was one."""
        job = self._lane.take(tick, kind)
        if job is None:
            return False
        self._last = job.kind
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
        while self._requests:
            request = self._requests.popleft()
            if request.view.grid == scene.grid:
                return self._request_job(request)
            self._asked.discard(request.prompt.id)
            if request.begun is None:
                self._fail(request.prompt.id, "The picture changed its size meanwhile. Point at it again.")
        overdue = planner.overdue(scene.objects.values(), scene.now_s, tuning)
        running = self._lane.running
        last = running.kind if running is not None else self._last
        named = self.naming.next_job(looks=last != "detect", newcomers=last != "newcomer" or not overdue)
        if named is not None:
            return named
        thing = planner.pick(scene.objects.values(), scene.now_s, self._since_search, tuning)
        if thing is None:
            # With nothing else to do there is nobody to take turns with.
            return self.naming.next_job()
        return self._refresh_job(thing) if thing.carried is not None else self._search_job(thing)

    # --- what was pointed at

    def _request_job(self, request: Request) -> Job:
        sight, generation, replay = self._sight(), self._scene.generation, self._scene.replay

        glances = request.begun is None and request.prompt.track_id is None

        def run() -> tuple[Answer, Replay, bool] | None:
            glance = sight.glance(request.view, request.ask) if glances else None
            answer = glance or sight.first(request.view, request.ask)
            if answer is None or answer.patch.box() is None:
                return None
            return answer, replay(answer.patch, request.view), glance is None

        def done(found: tuple[Answer, Replay, bool] | None) -> None:
            if request.prompt.id not in self._asked:
                return
            found = found if generation == self._scene.generation else None
            self._asked.discard(request.prompt.id)
            if request.begun is None:
                self._pointed(request, found)
            elif found is not None:
                self._corrected(request.begun, request.prompt, found[0], found[1])

        # the correction looks closer, and perhaps at a detected thing around it
        return Job("first", run, done, cost=1.0 if request.begun is None else 1.5, fixed=True)

    def _pointed(self, request: Request, found: tuple[Answer, Replay, bool] | None) -> None:
        prompt, scene = request.prompt, self._scene
        if found is None:
            self._fail(prompt.id, "Nothing could be told apart there. Drag a box around the thing instead.")
            return
        if prompt.track_id is not None:
            self._refined(request, found[0], found[1])
            return
        if not scene.room():
            self._fail(prompt.id, "Too many things are followed already. Remove some first.")
            return
        answer, replay, final = found
        self._forget_removed(replay)
        box = answer.patch.box() or (0, 0, 0, 0)
        thing = scene.add(answer.label or "object", prompt.id, box, from_text=False, sure=True)
        thing.score = answer.quality
        if request.ask.box is not None:
            thing.reach = minus(request.ask.box, box)
        if not scene.install(thing, replay, answer.look):
            del scene.objects[thing.id]
            self._fail(prompt.id, "It left the picture.")
            return
        self._tell(prompt.id, (thing.id,), self._alternatives(answer))
        if not final:
            self._requests.appendleft(dataclasses.replace(request, begun=thing.id))
            self._asked.add(prompt.id)

    def _forget_removed(self, replay: Replay) -> None:
        """What was removed and is pointed at again is not followed unseen any longer."""
        hidden = [t for t in self._scene.objects.values() if t.hidden_s is not None]
        now = replay.catch_up().render() if hidden else None
        for thing in hidden:
            if now is not None and thing.raw is not None and patch_iou(thing.raw, now) > DUPLICATE_IOU:
                del self._scene.objects[thing.id]

    def _corrected(self, track_id: int, prompt: Prompt, answer: Answer, replay: Replay) -> None:
        """The second look at what was clicked: what the first one took it for is forgotten."""
        thing = self._scene.objects.get(track_id)
        if thing is None or thing.hidden_s is not None:
            return
        self._forget_removed(replay)
        thing.memory, thing.area = None, 0.0
        if self._scene.install(thing, replay, answer.look):
            thing.life = lifecycle.find(thing.life, self._scene.now_s)
            thing.label, thing.score = answer.label or thing.label, answer.quality
            if answer.whole or answer.part:
                self._tell(prompt.id, (thing.id,), self._alternatives(answer))

    def _refined(self, request: Request, answer: Answer, replay: Replay) -> None:
        prompt = request.prompt
        thing = self._scene.objects.get(prompt.track_id or 0)
        if thing is None or not self._scene.install(thing, replay, answer.look):
            self._fail(prompt.id, "That track is gone.")
            return
        thing.life = lifecycle.find(thing.life, self._scene.now_s)
        thing.hypothesis_s = None
        thing.score = answer.quality
        thing.settled = True
        thing.detected = None
        if thing.memory is not None:  # the user says what it is: that replaces what was remembered
            thing.memory = dataclasses.replace(thing.memory, first=answer.look.colour, recent=answer.look.colour)
        self._tell(prompt.id, (thing.id,), self._alternatives(answer))

    def _alternatives(self, answer: Answer) -> tuple[tuple[str, BoxXyxyPx], ...]:
        grid = self._scene.grid
        pairs = (("whole", answer.whole), ("part", answer.part))
        return tuple((name, grid.box_to_frame(box)) for name, box in pairs if box is not None)

    # --- keeping masks true

    def _refresh_job(self, first: Object) -> Job:
        scene = self._scene
        shown = [t for t in scene.objects.values() if t.followed]
        pad = planner.crop_pad(shown, scene.now_s, scene.tuning)
        group = planner.companions(first, shown, pad, CROP_PIXELS, scene.now_s)
        targets = [t for t in (planner.target(thing, scene.now_s, scene.tuning) for thing in group) if t]
        fit = {t.id: t.detected for t in targets if t.detected is not None and scene.objects[t.id].by_detector}
        paces = {t.id: t.carried.pace for t in group if t.carried is not None}
        sight, view, generation, replay = self._sight(), scene.view(), scene.generation, scene.replay
        self._since_search += 1
        for thing in group:
            thing.pending = True

        def release() -> None:
            for thing in group:
                thing.pending = False

        def run() -> dict[int, tuple[Sighting, Replay]]:
            seen = sight.refresh(view, targets, pad)
            patches = {t.id: _kept(t, seen[t.id], fit.get(t.id), view, scene.tuning) for t in targets if t.id in seen}
            return {i: (seen[i], replay(patch, view, paces.get(i))) for i, patch in patches.items()}

        def done(seen: dict[int, tuple[Sighting, Replay]] | None) -> None:
            release()
            if generation != scene.generation or seen is None:
                return
            for thing in group:
                if scene.objects.get(thing.id) is thing and thing.followed:
                    self._refreshed(thing, *seen.get(thing.id, (None, None)), view=view)

        cost = 1 + 0.1 * (len(group) - 1)
        return Job("refresh", run, done, cost=cost, dropped=release)

    def _refreshed(self, thing: Object, sighting: Sighting | None, replay: Replay | None, *, view: View) -> None:
        scene, tuning = self._scene, self._scene.tuning
        thing.tried_s = view.time_s
        if sighting is None or replay is None or thing.memory is None:
            thing.rejects += 1
            if thing.rejects >= tuning.rejects_most:
                scene.lose(thing)
            return
        if sighting.more is not More.UNKNOWN:
            thing.agreed = thing.agreed + 1 if sighting.more is More.SEEN else 0
        thing.moving_looks += (sighting.measures.moving or 0.0) > tuning.moving_share
        if sighting.more is More.TAKEN:
            self._renewed(thing, sighting, replay, view)
            return
        measures = sighting.measures
        verdict = gate.judge_refresh(measures, thing.rejects, tuning)
        thing.calm = thing.calm + 1 if measures.fit > tuning.stable_iou else 0
        stuck = not thing.by_detector and gate.is_stuck(measures, thing.moved, tuning)
        if verdict is Verdict.LOSE or stuck:
            scene.lose(thing)
        elif verdict is Verdict.REJECT:
            thing.rejects += 1
            thing.key_s = view.time_s
        elif thing.hypothesis_s is not None and not gate.may_return(measures, scene.now_s - thing.life.since_s, tuning):
            scene.lose(thing)
        else:
            if gate.learns(measures, tuning):
                thing.memory = thing.memory.learn(sighting.look, measures.similarity)
            self._accepted(thing, sighting, replay)

    def _renewed(self, thing: Object, sighting: Sighting, replay: Replay, view: View) -> None:
        """The object turned out to be more than was known of it: what was remembered of the part is forgotten."""
        before, now = view.masks[thing.id].box(), replay.patch.box()
        if before is None or now is None:
            return
        if thing.reach is not None:
            thing.reach = plus(thing.reach, minus(before, now))
        thing.memory, thing.area, thing.whole, thing.moving_looks = None, 0.0, None, 0
        if not self._scene.install(thing, replay, sighting.look):
            self._scene.lose(thing)

    def _accepted(self, thing: Object, sighting: Sighting, replay: Replay) -> None:
        if not thing.from_text:
            thing.score = 0.7 * thing.score + 0.3 * sighting.measures.quality
        if sighting.measures.moving is not None:
            thing.moved = 0.6 * thing.moved + 0.4 * sighting.measures.moving
        thing.astray = False
        if not self._scene.install(thing, replay, sighting.look):
            self._scene.lose(thing)
        elif thing.hypothesis_s is not None:
            thing.hypothesis_s = None
            thing.life = lifecycle.find(thing.life, self._scene.now_s)

    # --- finding what was lost

    def _search_job(self, first: Object) -> Job:
        scene = self._scene
        lost = planner.wanted(first, scene.objects.values(), scene.now_s, scene.tuning)
        sight, view, generation = self._sight(), scene.view(), scene.generation
        first.pending = True
        before, self._since_search = self._since_search, 0

        def done(searched: Searched | None) -> None:
            first.pending = False
            first.tried_s = view.time_s
            first.searches += 1
            if searched is None:
                self._since_search = max(self._since_search, before)
            elif generation == scene.generation:
                recognised = self._searched(searched.candidates, lost, view)
                if first.id not in recognised:
                    first.refused = [*first.refused[1 - REFUSED_MOST :], (*searched.place, view.time_s)]

        def dropped() -> None:
            first.pending = False
            self._since_search = before

        def cost(searched: Searched | None) -> float:
            return SCAN_COST if searched is None else 1.0

        return Job("search", lambda: sight.search(view, lost), done, cost=cost, dropped=dropped)

    def _searched(self, candidates: list[Candidate], wanted: list[Wanted], view: View) -> set[int]:
        """Take up what was found; returns the ids of the lost objects that were recognised."""
        scene = self._scene
        lost = [
            t for w in wanted if (t := scene.objects.get(w.id)) and t.life.state is TrackState.LOST and not t.followed
        ]
        places = [returns.Place(centre_of(c.patch.box() or (0, 0, 0, 0)), c.measures) for c in candidates]
        found = returns.claims(planner.missing(lost, scene.now_s, scene.tuning), places, scene.tuning)
        for claim in found:
            thing, candidate = scene.objects[claim.id], candidates[claim.place]
            if claim.hold:
                thing.held_s = scene.now_s if thing.held_s is None else thing.held_s
                continue
            if not any(patch_iou(candidate.patch, other) > DUPLICATE_IOU for other in view.masks.values()):
                scene.take_up(thing, scene.replay(candidate.patch, view), candidate.look, again=claim.again)
        return {claim.id for claim in found}

    # --- news for the user

    def _fail(self, prompt_id: int, message: str) -> None:
        self.changes.append(PromptChange(prompt_id, PromptState.FAILED, message))

    def _tell(self, prompt_id: int, ids: tuple[int, ...], alternatives: tuple[tuple[str, BoxXyxyPx], ...]) -> None:
        self.changes.append(PromptChange(prompt_id, PromptState.ACTIVE, None, ids, alternatives))


def _kept(target: Target, sighting: Sighting, box: BoxXyxyPx | None, view: View, tuning: Tuning) -> Patch:
    """The new mask of an object, within the detector's box for it, if any, and with what others hide of it."""
    seen = intake.trimmed(sighting.patch, box, tuning.box_slack)
    others = [patch for i, patch in view.shown.items() if i != target.id]
    return with_hidden(seen, target.patch, others, tuning.hidden_most * target.area)
