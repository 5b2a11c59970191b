"""What happened to the tracks between two updates. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from stream.facts import TrackChange, TrackFact
from stream.types import Track, TrackState, TrackUpdate

MOST_FORGOTTEN = 256
"""Removed tracks that are still kept apart; ids are never used again."""

_ENTERED: dict[TrackState, TrackChange] = {
    TrackState.LIVE: "confirmed",
    TrackState.LOST: "lost",
    TrackState.GONE: "gone",
}


class TrackHistory:
    """Remembers each track's last state and tells the changes as facts; bounded by the number of tracks alive."""

    def __init__(self) -> None:
        self._states: dict[int, TrackState] = {}
        self._forgotten: deque[int] = deque(maxlen=MOST_FORGOTTEN)

    def changes(self, tracks: Iterable[Track]) -> list[TrackFact]:
        """Facts that lead from the last call's tracks to `tracks`, in order of track id.

        A track that is missing without having been `gone` is told as gone, unless `forget` was called for it.
        """
        present = {track.id: track for track in tracks if track.id not in self._forgotten}
        facts = []
        for track_id in sorted(self._states.keys() | present.keys()):
            before = self._states.get(track_id)
            track = present.get(track_id)
            after = track.state if track else TrackState.GONE
            change = _change(before, after)
            if change is not None:
                facts.append(TrackFact(track_id, change, track.label if track else None))
            if after is TrackState.GONE:
                self._states.pop(track_id, None)
            else:
                self._states[track_id] = after
        return facts

    def forget(self, track_id: int) -> None:
        """The track is removed on request, which is told elsewhere: updates that were under way may still have it."""
        self._states.pop(track_id, None)
        self._forgotten.append(track_id)

    def expect(self, track_id: int) -> None:
        """The track comes back on request, which is told elsewhere."""
        if track_id in self._forgotten:
            self._forgotten.remove(track_id)
        self._states[track_id] = TrackState.LIVE


def _change(before: TrackState | None, after: TrackState) -> TrackChange | None:
    if before is after or after is TrackState.TENTATIVE:
        return None
    if before is None and after is TrackState.GONE:
        return None
    if before is TrackState.TENTATIVE and after is TrackState.GONE:
        return None
    if before is TrackState.LOST and after is TrackState.LIVE:
        return "found"
    return _ENTERED[after]


def with_labels(update: TrackUpdate, labels: Mapping[int, str]) -> TrackUpdate:
    """`update` with the labels that tracks were given by hand."""
    if not labels:
        return update
    return replace(
        update, tracks=tuple(replace(track, label=labels.get(track.id, track.label)) for track in update.tracks)
    )
