"""The objects of one stream: room for them, their ids, what is removed and what comes back."""

from __future__ import annotations

from collections.abc import Iterable

from stream.engines.lifecycle import Life
from stream.engines.sam3.lifecycle import Standing
from stream.engines.sam3.objects import Box01, Followed
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.stepping import Stepper
from stream.errors import LimitReached, NotFound
from stream.types import TrackState

FULL = "Too many things are followed already. Remove some first."


class Scene:
    """Bounded: at most `policy.most_objects`, those that are lost or removed among them. Every object holds a slot of
    the stepper until it is dropped."""

    def __init__(self, stepper: Stepper, policy: Policy, first_track_id: int) -> None:
        self.policy = policy
        self.objects: list[Followed] = []
        self.gone: list[Followed] = []
        """Tracks that ended since the last update."""
        self.number = -1
        """The frame's number among those processed."""
        self.looked = -1
        """The frame of the detector's last look."""
        self.now_s = 0.0
        self._stepper = stepper
        self._next_id = first_track_id

    def open(self, label: str, prompt_id: int, box: Box01, *, from_words: bool, sure: bool) -> Followed:
        """A new object, as yet without an id. Raises `LimitReached`."""
        if not self.room():
            raise LimitReached(FULL, action="Remove a track or a prompt.")
        try:
            slot = self._stepper.open()
        except LimitReached:
            if not self._evict():
                raise
            slot = self._stepper.open()
        thing = Followed(
            slot, label, prompt_id, from_words, Life.begin(self.now_s, sure=sure), Standing.begin(self.policy),
            self.number, box=box,
        )  # fmt: skip
        self.objects.append(thing)
        return thing

    def room(self) -> bool:
        """Whether one more object may be followed; makes room by forgetting what was removed or lost longest."""
        return len(self.objects) < self.policy.most_objects or self._evict()

    def _evict(self) -> bool:
        spare = [thing for thing in self.objects if thing.lost or thing.hidden_s is not None]
        if not spare:
            return False
        # Removed ones before lost ones: those were not wanted any more.
        self.end(min(spare, key=lambda thing: (thing.hidden_s is None, thing.hidden_s or thing.life.since_s)))
        return True

    def name(self, thing: Followed) -> None:
        """Give the object the next id, which no other object ever gets."""
        thing.id = self._next_id
        self._next_id += 1

    def end(self, thing: Followed) -> None:
        """The object is gone, and the world is told if it knew of it."""
        if thing.told:
            thing.life = Life(TrackState.GONE, thing.life.born_s, self.now_s, thing.life.hits)
            thing.mask = None
            self.gone.append(thing)
        self.drop(thing)

    def drop(self, thing: Followed) -> None:
        """Forget it without a word."""
        self.objects.remove(thing)
        self._stepper.close(thing.slot)

    @property
    def in_sight(self) -> list[Followed]:
        """Those that had a mask in the present frame and gave way to none."""
        return [thing for thing in self.objects if thing.last_hidden != self.number and not thing.lost]

    def fall_back(self) -> None:
        """Have each object go on from what was vouched for before the present frame; end those that cannot."""
        for thing in list(self.objects):
            if thing.id is None or not self._stepper.forget_since(thing.slot, self.number):
                self.end(thing)

    def by_id(self, track_id: int) -> Followed | None:
        return next((thing for thing in self.objects if thing.id == track_id), None)

    def of_prompt(self, prompt_id: int) -> list[Followed]:
        return [thing for thing in self.objects if thing.prompt_id == prompt_id]

    def hide(self, things: Iterable[Followed], *, with_prompt: bool) -> None:
        for thing in list(things):
            if thing.id is None:
                self.drop(thing)
            elif thing.hidden_s is None:
                thing.hidden_s, thing.hidden_with_prompt = self.now_s, with_prompt

    def unhide_with(self, prompt_id: int) -> None:
        for thing in self.of_prompt(prompt_id):
            if thing.hidden_with_prompt:
                thing.hidden_s, thing.hidden_with_prompt = None, False

    def restore(self, track_id: int) -> None:
        """Raises `NotFound` where nothing of that id is removed, or too long ago."""
        thing = self.by_id(track_id)
        if thing is None or thing.hidden_s is None or self.now_s - thing.hidden_s > self.policy.restore_s:
            raise NotFound(f"Track {track_id} cannot be restored any more.", code="unknown_track")
        thing.hidden_s, thing.hidden_with_prompt = None, False

    def guards(self, thing: Followed, prompts: Iterable[int]) -> bool:
        """Whether detections on it begin nothing new: removed objects do so as long as their prompt would bring them
        back, or as examples of what is not wanted."""
        if thing.hidden_s is None:
            return True
        return thing.from_words and not thing.hidden_with_prompt and thing.prompt_id in prompts

    def expire(self, prompts: Iterable[int]) -> None:
        """Forget removals that can no longer be undone and that guard nothing."""
        for thing in list(self.objects):
            over = thing.hidden_s is not None and self.now_s - thing.hidden_s > self.policy.restore_s
            if over and not self.guards(thing, prompts):
                self.drop(thing)

    def clear(self) -> None:
        """End everything."""
        for thing in list(self.objects):
            self.end(thing)
