"""What the light engine must reach, on seeds, cut-outs and backgrounds that no threshold was chosen on.

SAM runs inline on a virtual clock with its measured latency, so the figures do not depend on the machine. Where the
engine has not reached its target yet, the gate is what it reached last, less a little for other processors' rounding;
the target stands beside it, and a better engine moves the gate up.
"""

from __future__ import annotations

from functools import partial

import pytest

from stream.models.store import ModelStore
from tests.quality.run import SetResult, light_engine, run_set, run_walking
from tests.quality.sets import SetName

JOBS = 2
pytestmark = pytest.mark.timeout(1500)
"""They give way to whatever else runs."""
LONG = pytest.mark.soak
"""Minutes of two cores more than the tests of every change have."""


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    store = ModelStore()
    assert store.ready, f"the models are not in {store.root}: run `onlooker models fetch`"


def judged(name: SetName, seeds: int) -> SetResult:
    return run_set(partial(light_engine), name, "judged", range(seeds), jobs=JOBS)


def said(result: SetResult) -> str:
    """What the engine reached, for the message of a failed gate."""
    objects = ", ".join(f"{o.name} {o.j:.2f}" for o in result.objects)
    return f"{result.figures()}; J of each object: {objects}"


@pytest.fixture(scope="module")
def plain() -> SetResult:
    return judged("plain", 5)


@pytest.fixture(scope="module")
def hard() -> SetResult:
    return judged("hard", 5)


def test_plain_set_region_similarity(plain: SetResult) -> None:
    """Distinct objects, at most 4 pixels a frame, partly hidden. Target: 0.85. Four of these fifteen are one cut-out of
    a cow with its calf, of which the cow alone is 0.7."""
    assert plain.j_mean >= 0.83, said(plain)
    assert plain.j_lowest >= 0.60, said(plain)


@LONG
def test_plain_set_region_similarity_on_many_scenes() -> None:
    result = judged("plain", 20)
    assert result.j_mean >= 0.87, said(result)
    assert result.switches == 0, said(result)


def test_plain_set_has_no_id_switch(plain: SetResult) -> None:
    assert plain.switches == 0, said(plain)


def test_hard_set_region_similarity(hard: SetResult) -> None:
    """8 pixels a frame, hidden for a second, leaving and returning, a similar pair. Target: 0.65, then 0.80."""
    assert hard.j_mean >= 0.77, said(hard)


def test_hard_set_recovers_within_a_second_and_a_half(hard: SetResult) -> None:
    assert len(hard.recoveries_s) == 10
    assert hard.recovered_share(within_s=1.5) >= 0.90, f"{said(hard)}; seconds: {hard.recoveries_s}"


def test_hard_set_shows_no_masks_of_absent_objects(hard: SetResult) -> None:
    assert hard.absent_share <= 0.05, said(hard)


def test_hard_set_has_few_id_switches(hard: SetResult) -> None:
    """Target: 1; two that look alike and change places once are two switches."""
    assert hard.switches <= 2, said(hard)


@pytest.mark.parametrize(
    ("name", "seeds"),
    [
        ("reentry5", 1),
        pytest.param("reentry5", 3, marks=LONG),
        pytest.param("reentry10", 3, marks=LONG),
        pytest.param("reentry30", 2, marks=LONG),
    ],
)
def test_an_object_that_returns_gets_its_id_back(name: SetName, seeds: int) -> None:
    result = judged(name, seeds)
    assert len(result.recoveries_s) == seeds
    assert None not in result.recoveries_s, f"{said(result)}; seconds: {result.recoveries_s}"


def test_another_object_of_the_same_class_never_gets_the_id_of_the_one_that_left() -> None:
    result = judged("newcomer", 4)
    followed = sum(o.j > 0.3 for o in result.objects)
    assert followed >= 3, f"first objects that were followed at all (target: all 4): {said(result)}"
    assert result.stolen_frames == 0, said(result)


@LONG
def test_clicks_on_fast_objects_hit_although_they_come_late() -> None:
    """300 pixels a second, 300 ms late."""
    result = judged("lateclick", 7)
    assert sum(s.clicks for s in result.scenes) == 42
    assert result.hit_share >= 0.95, said(result)


@pytest.fixture(scope="module")
def people() -> dict[str, float | int]:
    return run_walking()


def test_walking_people_recall(people: dict[str, float | int]) -> None:
    """At IoU 0.5, for people at least 60 pixels tall."""
    assert people["recall"] >= 0.7, str(people)


def test_walking_people_precision(people: dict[str, float | int]) -> None:
    assert people["precision"] >= 0.85, str(people)


def test_walking_people_keep_their_ids(people: dict[str, float | int]) -> None:
    assert people["switches"] <= 2, str(people)
