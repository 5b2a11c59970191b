"""What has a name: the detector's looks, new things that they bring, and lost ones that come back by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stream.engines import lifecycle
from stream.engines.grid import Patch, box_iou, centre_of, minus, patch_iou
from stream.engines.light import intake, planner, returns
from stream.engines.light.fallback import MOVING
from stream.engines.light.gate import Measures
from stream.engines.light.replay import Replay
from stream.engines.light.scene import Scene
from stream.engines.light.sight import Answer, Ask, Found, Sight, View
from stream.engines.light.tracks import Object
from stream.engines.light.worker import Job
from stream.types import BoxXyxyPx, TrackState

DETECT_COST = 1 / 3
DUPLICATE_IOU = 0.5
LEAST_QUALITY = 0.4
ARRIVALS_WAIT_S = 0.4
Alternatives = tuple[tuple[str, BoxXyxyPx], ...]


class Naming:
    """Makes the jobs of text prompts and applies their answers.

    `labels` are those that text prompts ask for now, with the prompt's id; `tell` says which tracks a prompt has.
    """

    def __init__(
        self,
        scene: Scene,
        sight: Callable[[], Sight],
        labels: Callable[[], dict[str, int]],
        tell: Callable[[int, tuple[int, ...], Alternatives], None],
    ) -> None:
        self._scene = scene
        self._sight = sight
        self._labels = labels
        self._tell = tell
        self._newcomers: list[Found] = []
        """Detections of new things that wait for a mask, on the picture of the detector's last look."""
        self._view: View | None = None
        self._tried: list[BoxXyxyPx] = []
        """Places of new things that were looked at last; others go first."""
        self._arrivals: list[tuple[Found, Answer, Replay]] = []
        """New things with a mask that wait until it is known whether they are lost ones."""
        self._looking: list[BoxXyxyPx] = []
        """New things that are being looked at."""
        self._detect_s = -1e9
        self._soon = False
        self.by_detector = False
        """Whether a detector finds things by name."""

    @property
    def waiting(self) -> bool:
        return bool(self._newcomers)

    def detect_soon(self) -> None:
        """A text prompt came: the detector goes before everything else."""
        self._detect_s, self._soon = -1e9, True

    def next_job(self, *, looks: bool = True, newcomers: bool = True) -> Job | None:
        """A look of the detector where one is due, else masks for something new."""
        wants_detector = self.by_detector and any(label != MOVING for label in self._labels())
        wants_detector = wants_detector and (looks or self._soon)
        if wants_detector and self._scene.now_s - self._detect_s >= self._scene.tuning.detect_gap_s:
            return self._detect_job()
        view, self._newcomers = self._view, [f for f in self._newcomers if f.label in self._labels()]
        if not newcomers or view is None or not self._newcomers:
            return None
        if view.grid != self._scene.grid or not self._scene.history.reaches(view.step):
            self._newcomers = []
            return None
        return self._newcomer_job(view)

    def _detect_job(self) -> Job:
        sight, view, generation = self._sight(), self._scene.view(), self._scene.generation
        labels = frozenset(self._labels())
        before, self._detect_s, self._soon = self._detect_s, view.time_s, False

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
                expected = planner.expected_box(thing, view.time_s, scene.tuning)
                known.append(intake.Known(thing.id, thing.label, thing.from_text, box, expected))
        waiting = [*self._looking, *(f.box for f, _, _ in self._arrivals)]
        result = intake.match(found, known, waiting, scene.tuning)
        boxes = {k.id: k.box for k in known}
        for thing_id, match in result.matched.items():
            self._confirmed(scene.objects[thing_id], match, boxes[thing_id], view)
            self._taken_over(scene.objects[thing_id], match.label)
        self._let_go(intake.doubled(result.matched, known), labels, view)
        tried = [any(box_iou(f.box, b) > scene.tuning.match_iou for b in self._tried) for f in result.new]
        order = sorted(range(len(result.new)), key=lambda i: tried[i])
        self._newcomers, self._view, self._tried = [result.new[i] for i in order], view, []

    def _taken_over(self, thing: Object, label: str) -> None:
        """What went with a prompt that was removed is shown again, under its id, where a new prompt asks for it."""
        prompt_id = self._labels().get(label)
        if not thing.hidden_with_prompt or prompt_id is None or thing.astray:
            return
        thing.hidden_s, thing.hidden_with_prompt = None, False
        thing.label, thing.prompt_id, thing.from_text = label, prompt_id, True
        self._tell_all(prompt_id)

    def _tell_all(self, prompt_id: int) -> None:
        ids = tuple(t.id for t in self._scene.objects.values() if t.prompt_id == prompt_id and t.shown)
        self._tell(prompt_id, ids, ())

    def _let_go(self, doubled: set[int], labels: set[str], view: View) -> None:
        """Lose the tracks that the detector does not see any more, or only as one with another track."""
        scene = self._scene
        for thing in list(scene.objects.values()):
            if not thing.from_text or thing.label not in labels or not thing.followed:
                continue
            thing.doubled = thing.doubled + 1 if thing.id in doubled else 0
            unseen = view.time_s - max(thing.detected_s, thing.life.since_s)
            if unseen > scene.tuning.unseen_s or thing.doubled >= scene.tuning.doubled_looks:
                thing.doubled = 0
                scene.lose(thing)

    def _confirmed(self, thing: Object, found: Found, box: BoxXyxyPx, view: View) -> None:
        thing.life = lifecycle.hit(thing.life, self._scene.now_s)
        if thing.life.state is TrackState.LOST and thing.from_text:
            thing.life = lifecycle.find(thing.life, self._scene.now_s)
        if thing.life.shown:
            thing.hypothesis_s = None
        thing.detected = minus(found.box, box)
        self._follow_boxes(thing, found.box, view)
        thing.astray = thing.by_detector and box_iou(box, found.box) < self._scene.tuning.astray_iou
        if thing.from_text:
            thing.score = 0.5 * thing.score + 0.5 * found.score

    def _follow_boxes(self, thing: Object, box: BoxXyxyPx, view: View) -> None:
        """Take the detector's box into its motion."""
        elapsed = view.time_s - thing.detected_s
        if thing.seen_box is not None and 0 < elapsed < self._scene.tuning.expect_s:
            (x, y), (u, v), (a, b) = centre_of(box), centre_of(thing.seen_box), thing.seen_velocity
            thing.seen_velocity = (a + (x - u) / elapsed) / 2, (b + (y - v) / elapsed) / 2
        elif elapsed:
            thing.seen_velocity = 0.0, 0.0
        thing.seen_box, thing.detected_s = box, view.time_s

    def _newcomer_job(self, view: View) -> Job:
        """A look at the first new thing, and at those that the same crop shows well."""
        scene, sight = self._scene, self._sight()
        generation, tuning = scene.generation, scene.tuning
        chosen, region = planner.shared_region([f.box for f in self._newcomers], tuning.pad, tuning.pad_strained)
        group = [self._newcomers[i] for i in chosen][: tuning.newcomers_most]
        self._newcomers = [f for f in self._newcomers if f not in group]
        asks = [Ask(box=f.box, mask=f.patch, look_for_whole=False, region=region) for f in group]
        self._looking = [f.box for f in group]
        self._tried += self._looking

        def run() -> list[tuple[Found, Answer, Replay]]:
            out = []
            for found, ask in zip(group, asks, strict=True):
                answer = sight.first(view, ask)
                if answer is not None and answer.quality > LEAST_QUALITY:
                    box = found.box if found.patch is None else None
                    answer = replace(answer, patch=intake.trimmed(answer.patch, box, tuning.box_slack))
                    out.append((found, answer, scene.replay(answer.patch, view)))
            return out

        def done(arrivals: list[tuple[Found, Answer, Replay]] | None) -> None:
            self._looking = []
            if generation == scene.generation:
                self._arrivals += arrivals or []
            if self._arrivals_complete():
                self._settle_arrivals()

        cost = 1 + 0.1 * (len(group) - 1)
        return Job("newcomer", run, done, cost=cost, fixed=True)

    def _arrivals_complete(self) -> bool:
        """Whether new things may be settled: none is still being looked at that could be a lost one instead, or they
        have waited long enough."""
        if not self._newcomers and not self._looking:
            return True
        oldest = min((replay.view.time_s for _, _, replay in self._arrivals), default=self._scene.now_s)
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
        for found, answer, _ in arrivals:
            measures = {
                thing.id: Measures(1.0, answer.quality, answer.patch.area() / max(1.0, thing.area),
                                   thing.memory.similarity(answer.look))
                for thing in lost.values() if thing.label == found.label and thing.memory
            }  # fmt: skip
            places.append(returns.Place(centre_of(found.box), measures))
        missing = planner.missing(list(lost.values()), self._scene.now_s, self._scene.tuning)
        claimed = {j: lost[i] for j, i in returns.arrivals(missing, places, self._scene.tuning).items()}
        for index, (found, answer, replay) in enumerate(arrivals):
            self._arrive(found, answer, replay, claimed.get(index))

    def _arrive(self, found: Found, answer: Answer, replay: Replay, back: Object | None) -> None:
        scene, view = self._scene, replay.view
        prompt_id = self._labels().get(found.label)
        if prompt_id is None or self._followed_already(answer.patch, found.box, found.label, view):
            return
        if back is not None:
            scene.take_up(back, replay, answer.look, again=False)
            self._follow_boxes(back, found.box, view)
            back.astray = False
            self._taken_over(back, found.label)
            return
        if not scene.room():
            return
        sure = found.score >= scene.tuning.sure_score
        thing = scene.add(found.label, prompt_id, found.box, from_text=True, sure=sure)
        thing.score = found.score
        self._follow_boxes(thing, found.box, view)
        thing.by_detector = True
        if not scene.install(thing, replay, answer.look):
            del scene.objects[thing.id]
            return
        self._tell_all(prompt_id)

    def _followed_already(self, patch: Patch, box: BoxXyxyPx, label: str, view: View) -> bool:
        for thing in self._scene.objects.values():
            then = view.masks.get(thing.id)
            if thing.followed and then is not None and patch_iou(patch, then) > DUPLICATE_IOU:
                return True
            if thing.followed and then is None and thing.label == label and box_iou(thing.box, box) > DUPLICATE_IOU:
                return True
        return False
