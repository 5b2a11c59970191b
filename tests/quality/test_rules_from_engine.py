"""Rules on the light engine's own tracks of composed clips, on its virtual clock: what is told is what happened."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import pytest

from agent.types import RuleKind
from stream.models.store import ModelStore
from tests.quality.run import light_engine
from tests.quality.sets import make
from tests.quality.watched import happenings, regions_of, stands, watch
from tests.rule_scenes import Happening, fire, happened, matched

JOBS = 2
SEEDS = range(4)
KINDS = (RuleKind.ENTER, RuleKind.LEAVE, RuleKind.CROSS, RuleKind.DWELL, RuleKind.COUNT)
LEAST = 0.95
"""Of precision and recall."""
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

Judged = tuple[list[Happening], list[Happening]]


def judge(seed: int) -> list[Judged]:
    """For each region of a scene, what happens there and what is told of it."""
    cv2.setNumThreads(1)
    scene = make("plain", "judged", seed)
    paths = stands(scene)
    regions = regions_of(paths, seed)
    engine = light_engine(scene)
    try:
        seen = watch(engine, scene)
    finally:
        engine.close()
    fired = fire(regions, iter(seen.updates))
    return [
        (
            list(happenings(region, paths)),
            [happened(firing, seen.follows) for firing in fired if firing.region.id == region.id],
        )
        for region in regions
    ]


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    store = ModelStore()
    assert store.ready, f"the models are not in {store.root}: run `onlooker models fetch`"
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        return [region for scene in pool.map(judge, SEEDS) for region in scene]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_told_from_the_engine_is_what_happened(judged: list[Judged], kind: RuleKind) -> None:
    true = told = same = 0
    for truth, said in judged:
        wanted, given = ([h for h in these if h.kind is kind] for these in (truth, said))
        true, told, same = true + len(wanted), told + len(given), same + matched(wanted, given)
    assert true >= 50, f"too little happens to judge by: {true}"
    assert same / told >= LEAST, f"precision: {same} of {told}"
    assert same / true >= LEAST, f"recall: {same} of {true}"
