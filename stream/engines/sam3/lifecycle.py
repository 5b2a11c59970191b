"""The life of a track: what one frame's evidence makes of it. Pure.

A track from words is tentative until the detector has seen it `hits` times, and is shown from the first. Its keep-alive
counter rises with each frame that the detector agrees and falls with each that it does not; at zero the track is lost
though it has a mask. Every track is lost when it has no mask for some frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stream.engines import lifecycle
from stream.engines.lifecycle import Life
from stream.engines.sam3.policy import Policy
from stream.types import TrackState


@dataclass(frozen=True, slots=True)
class Standing:
    """How a track stands, in frames: its counter, how many went unmatched in its first ones, how long it was the later
    of two on one thing, and how long it has had no mask."""

    keep_alive: int
    unmatched: int = 0
    doubled: int = 0
    absent: int = 0

    @staticmethod
    def begin(policy: Policy) -> Standing:
        return Standing(policy.keep_alive_first)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look of the detector says of a track, `frames` after the last one: `matched` and `unmatched` both, where
    it overlaps a detection loosely; `doubled` where an earlier track is on the same thing."""

    frames: int
    matched: bool
    unmatched: bool
    doubled: bool = False


def judge(
    life: Life, standing: Standing, present: bool, seen: Seen | None, age: int, now_s: float, policy: Policy
) -> tuple[Life, Standing]:
    """A track after one frame.

    `present`: it has a mask in this frame. `seen`: None where the detector did not look, or where the track is not from
    words. `age`: frames since birth.
    """
    standing = _counted(standing, present, seen, age, policy)
    if not policy.removes:
        return life, standing
    if seen is not None and seen.matched and not seen.unmatched:
        life = lifecycle.hit(life, now_s, needed=policy.hits)
    if _dropped(standing, policy):
        return replace(life, state=TrackState.GONE, since_s=now_s), standing
    if life.state is TrackState.LOST:
        if _found(standing, present, seen):
            return lifecycle.find(life, now_s), replace(standing, keep_alive=max(standing.keep_alive, policy.probation))
    elif standing.absent >= policy.absent_most or standing.keep_alive <= 0:
        life = lifecycle.lose(life, now_s)
    return lifecycle.pass_time(life, now_s, policy), standing


def _counted(standing: Standing, present: bool, seen: Seen | None, age: int, policy: Policy) -> Standing:
    absent = 0 if present else standing.absent + 1
    if seen is None:
        return replace(standing, absent=absent)
    keep_alive = standing.keep_alive
    if seen.matched:
        keep_alive = min(policy.keep_alive_most, keep_alive + seen.frames)
    if seen.unmatched:
        keep_alive = max(policy.keep_alive_least, keep_alive - seen.frames)
    on_probation = age <= policy.probation
    return Standing(
        keep_alive,
        standing.unmatched + seen.frames if seen.unmatched and on_probation else standing.unmatched,
        standing.doubled + seen.frames if seen.doubled else 0,
        absent,
    )


def _dropped(standing: Standing, policy: Policy) -> bool:
    return standing.unmatched >= policy.unmatched_most or standing.doubled >= policy.doubled_most


def _found(standing: Standing, present: bool, seen: Seen | None) -> bool:
    """A track that the detector gave up needs the detector again; one that only had no mask needs a mask."""
    agreed = seen is not None and seen.matched and not seen.unmatched
    return present and (agreed or standing.keep_alive > 0)
