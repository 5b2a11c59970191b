"""Events from track updates: who comes and goes, what happens at zones and lines, who meets whom, what rules ask for.

Pure: time is what `step` is told. Every kind has its own hysteresis, so that a flickering track gives one event, and
each event carries the time and the frame of what happened, not of when it was sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agent.perceive.matching import matches
from agent.perceive.pairs import Meeting, Pairs
from agent.perceive.presences import Change, Presences
from agent.perceive.regions import Crossing, Observed, Regions
from agent.perceive.rules import Looks, Proposal, Rules
from agent.perceive.state import NewId, Sighting, Step, new_id
from agent.types import Event, EventKind, Region, Rule
from stream.types import TrackUpdate

__all__ = ["Perception", "matches"]


class Perception:
    """One stream's perception. Comings and goings, regions and meetings are always told; stays, counts and ticks
    where a rule asks for them; a changed look where the object was `described`.

    `Event.value` of ENTER, EXIT and FOUND is the number of the picture's edge that was passed (`geometry.EDGES`).
    APART names the object that stayed first; the value of PROXIMITY is how long the two have been near each other, s.
    """

    def __init__(self, rules: Iterable[Rule] = (), regions: Iterable[Region] = (), *, ids: NewId = new_id) -> None:
        self._presences = Presences()
        self._regions = Regions(regions)
        self._pairs = Pairs()
        self._rules = Rules(rules)
        self._looks = Looks()
        self.observed: Observed | None = None
        """What the newest update showed, for the rules of regions."""
        self._ids = ids

    @property
    def regions(self) -> tuple[Region, ...]:
        return self._regions.regions

    @property
    def kept(self) -> int:
        """How many things are remembered: of tracks, of tracks at regions, of pairs and of rules."""
        return sum(part.kept for part in (self._presences, self._regions, self._pairs, self._rules, self._looks))

    def replace_rules(self, rules: Iterable[Rule]) -> None:
        """Other rules from now on."""
        self._rules.replace(rules)

    def replace_regions(self, regions: Iterable[Region]) -> None:
        """Other regions from now on."""
        self._regions.replace(regions)

    def described(self, track_id: int) -> None:
        """The object's present look has been put into words: CHANGE is told once it has another."""
        presence = self.observed.step.presences.get(track_id) if self.observed is not None else None
        if presence is not None:
            self._looks.described(presence)

    def step(self, update: TrackUpdate, at: datetime) -> list[Event]:
        """The events that became sure with this update, oldest first. `at` is when its frame was captured."""
        step, changes = self._presences.step(update, at)
        crossings = self._regions.step(step, changes)
        self.observed = Observed(step, crossings, self._regions)
        events: list[Event] = []
        for change in changes:
            events.append(self._of_change(change))
            if change.kind is EventKind.EXIT:
                events += [self._of_meeting(meeting) for meeting in self._pairs.left(change.presence)]
        events += [self._of_crossing(crossing) for crossing in crossings]
        events += [self._of_meeting(meeting) for meeting in self._pairs.step(step, self._rules.rules)]
        events += [self._of_proposal(proposal, step) for proposal in self._rules.step(step, self._regions)]
        events += [self._of_proposal(proposal, step) for proposal in self._looks.step(step)]
        events.sort(key=lambda event: event.at)
        return events

    def _of_change(self, change: Change) -> Event:
        value = None if change.edge is None else float(change.edge)
        p = change.presence
        return self._event(change.kind, change.text, change.sighting, (p.id,), (p.label,), value=value)

    def _of_crossing(self, crossing: Crossing) -> Event:
        p = crossing.presence
        return self._event(
            crossing.kind, crossing.text, crossing.sighting, (p.id,), (p.label,),
            value=crossing.value, region_id=crossing.region.id,
        )  # fmt: skip

    def _of_meeting(self, meeting: Meeting) -> Event:
        first, second = meeting.presences
        sighting = meeting.sighting
        return Event(
            self._ids(), meeting.kind, meeting.text, (first.id, second.id), sighting.frame, sighting.pts, sighting.at,
            boxes_xyxy=meeting.boxes, labels=(first.label, second.label), value=meeting.near_s,
        )  # fmt: skip

    def _of_proposal(self, proposal: Proposal, step: Step) -> Event:
        there = proposal.presences
        return Event(
            self._ids(), proposal.kind, proposal.text, tuple(p.id for p in there), step.frame, step.pts, step.at,
            boxes_xyxy=tuple(p.last.box for p in there), labels=tuple(p.label for p in there),
            region_id=proposal.region_id, value=proposal.value,
        )  # fmt: skip

    def _event(
        self, kind: EventKind, text: str, sighting: Sighting, ids: tuple[int, ...], labels: tuple[str, ...],
        *, value: float | None = None, region_id: str | None = None,
    ) -> Event:  # fmt: skip
        return Event(
            self._ids(), kind, text, ids, sighting.frame, sighting.pts, sighting.at,
            boxes_xyxy=(sighting.box,), labels=labels, region_id=region_id, value=value,
        )  # fmt: skip
