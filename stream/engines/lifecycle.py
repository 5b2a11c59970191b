"""The states of a followed object, as pure transitions over media time.

tentative --confirm--> live <--found / lose--> lost --keep_lost_s--> gone
tentative --lose or not confirmed in time--> gone
live --lose before it was seen often--> gone
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from stream.types import TrackState


class Patience(Protocol):
    """How long an object may stay lost, and how long tentative, in seconds."""

    @property
    def keep_lost_s(self) -> float: ...

    @property
    def tentative_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Life:
    """`since_s` is when the present state began; `hits` counts the detections or refreshes that confirmed it."""

    state: TrackState
    born_s: float
    since_s: float
    hits: int = 1

    @staticmethod
    def begin(now_s: float, *, sure: bool) -> Life:
        """A new object: live at once when the user pointed at it, else tentative until seen again."""
        return Life(TrackState.LIVE if sure else TrackState.TENTATIVE, now_s, now_s)

    @property
    def shown(self) -> bool:
        """Whether its mask is shown."""
        return self.state in (TrackState.TENTATIVE, TrackState.LIVE)


def hit(life: Life, now_s: float, *, needed: int = 2) -> Life:
    """Seen again: a tentative object becomes live at the `needed`-th time."""
    life = replace(life, hits=life.hits + 1)
    if life.state is TrackState.TENTATIVE and life.hits >= needed:
        return replace(life, state=TrackState.LIVE, since_s=now_s)
    return life


def lose(life: Life, now_s: float, *, needed: int = 0) -> Life:
    """Out of sight. A tentative object was never more than a guess and goes at once, and so does a live one that was
    seen less than `needed` times."""
    if life.state is TrackState.TENTATIVE or (life.state is TrackState.LIVE and life.hits < needed):
        return replace(life, state=TrackState.GONE, since_s=now_s)
    if life.state is TrackState.LIVE:
        return replace(life, state=TrackState.LOST, since_s=now_s)
    return life


def find(life: Life, now_s: float) -> Life:
    """Recognised again."""
    if life.state is TrackState.LOST:
        return replace(life, state=TrackState.LIVE, since_s=now_s, hits=life.hits + 1)
    return life


def pass_time(life: Life, now_s: float, patience: Patience) -> Life:
    """What time alone does."""
    waited = now_s - life.since_s
    too_long = {TrackState.LOST: patience.keep_lost_s, TrackState.TENTATIVE: patience.tentative_s}.get(life.state)
    if too_long is not None and waited > too_long:
        return replace(life, state=TrackState.GONE, since_s=now_s)
    return life
