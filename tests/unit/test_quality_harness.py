"""The composed scenes are what they claim to be, and the harness catches an engine that spoils the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stream.types import FrameRef
from tests.quality import metrics
from tests.quality.cutouts import BACKGROUNDS, CUTOUTS, SAME_CLASS, Split
from tests.quality.oracle import Fault, OracleEngine
from tests.quality.play import Played, play
from tests.quality.run import SceneResult, measure
from tests.quality.scenes import Scene, box_of, inner_point
from tests.quality.sets import SetName, make
from tests.quality.walking import annotation, clip


@pytest.fixture(scope="module")
def hard() -> Scene:
    return make("hard", "tuning", 0)


def result(scene: Scene, fault: Fault = "none") -> SceneResult:
    return measure(played(scene, fault))


def played(scene: Scene, fault: Fault = "none") -> Played:
    return play(OracleEngine(scene, fault), scene)


def test_a_perfect_engine_is_perfect(hard: Scene) -> None:
    perfect = result(hard)
    assert [o.j for o in perfect.objects] == [1.0] * 4
    assert perfect.switches == 0
    assert perfect.stolen_frames == 0
    assert sum(o.absent_shown for o in perfect.objects) == 0
    assert [w for o in perfect.objects for w in o.recoveries_s] == [0.0, 0.0], "one hidden, one that left"
    assert perfect.hits == perfect.clicks == 4


def test_swapped_ids_are_caught(hard: Scene) -> None:
    swapped = result(hard, "swap")
    assert swapped.switches >= 2
    assert swapped.stolen_frames > 50
    assert max(o.j for o in swapped.objects[:2]) < 0.65


def test_a_mask_shown_for_an_absent_object_is_caught(hard: Scene) -> None:
    ghost = result(hard, "ghost")
    assert all(o.absent_shown == o.absent for o in ghost.objects if o.absent)
    assert sum(o.absent for o in ghost.objects) > 60


def test_one_frame_of_lag_costs_region_similarity(hard: Scene) -> None:
    lagged = result(hard, "lag")
    assert all(o.j < 0.93 for o in lagged.objects), "8 pixels of an object of about 100"


def test_coming_back_under_another_id_is_no_recovery(hard: Scene) -> None:
    renamed = result(hard, "new id")
    assert renamed.switches == 2
    assert [w for o in renamed.objects for w in o.recoveries_s] == [None, None]


def test_following_only_a_part_is_caught(hard: Scene) -> None:
    assert all(o.j < 0.7 for o in result(hard, "part").objects)


def test_a_click_that_is_not_carried_forward_misses() -> None:
    scene = make("lateclick", "tuning", 0)
    assert result(scene).hits == result(scene).clicks == 6
    assert result(scene, "stale click").hits < 3


def test_a_scene_is_the_same_every_time() -> None:
    first, second = make("plain", "tuning", 3), make("plain", "tuning", 3)
    a, b = first.at(77), second.at(77)
    assert np.array_equal(a[0].y, b[0].y)
    assert np.array_equal(a[0].uv, b[0].uv)
    assert all(np.array_equal(a[1].masks[i], b[1].masks[i]) for i in first.identities)
    other = make("plain", "tuning", 4).at(77)[0]
    assert not np.array_equal(a[0].y, other.y)


def test_truth_is_where_the_colours_are() -> None:
    """A mover made plain magenta is found by its colour exactly where the truth says, up to its soft edge."""
    scene = make("plain", "tuning", 1)
    magenta = np.array([255, 0, 255], np.float32)
    for mover in scene.movers:
        mover.picture[..., :3] = magenta * mover.picture[..., 3:]
    for k in (0, 100, 200):
        picture, truth = scene.bgr(k), scene.truth(k)
        found = (picture[..., 0] > 150) & (picture[..., 1] < 90) & (picture[..., 2] > 150)
        said = np.logical_or.reduce(list(truth.masks.values()))
        assert (found & said).sum() / (found | said).sum() > 0.93


def test_frames_carry_a_media_clock_of_thirty_a_second(hard: Scene) -> None:
    frames = [hard.at(k)[0] for k in range(3)]
    assert [f.pts for f in frames] == [0, 3000, 6000]
    assert frames[2].ref == FrameRef(0, (frames[0].rtp + 6000) & 0xFFFFFFFF)
    assert frames[0].y.shape == (480, 640)
    assert frames[0].uv.shape == (240, 320, 2)
    difference = np.abs(frames[0].to_bgr().astype(int) - hard.bgr(0))
    assert difference.mean() < 4, "only chroma at half resolution and rounding lie between the picture and its planes"


def test_the_hard_set_hides_one_object_for_a_second_and_lets_another_leave(hard: Scene) -> None:
    for scene in (hard, make("hard", "judged", 0)):
        visible = np.array([[scene.truth(k).visible[i] for i in (1, 2)] for k in range(scene.frames)])
        hidden, gone = (longest_run(visible[:, i] == 0) for i in (0, 1))
        assert 27 <= hidden <= 36
        assert gone >= 45
        speeds = [np.hypot(*np.diff(scene.mover(i).positions, axis=0).T) for i in (1, 3, 4)]
        assert all(abs(float(np.median(s)) - 8) < 0.1 for s in speeds)


def test_the_plain_set_is_slow_and_only_partly_hidden() -> None:
    scene = make("plain", "judged", 0)
    visible = np.array([[scene.truth(k).visible[i] for i in scene.identities] for k in range(0, scene.frames, 5)])
    assert 0.3 <= visible.min() < 0.85
    assert all(np.hypot(*np.diff(m.positions, axis=0).T).max() <= 4.01 for m in scene.movers)


@pytest.mark.parametrize(("name", "frames"), [("reentry5", 150), ("reentry10", 300), ("reentry30", 900)])
def test_an_absence_lasts_as_long_as_its_set_says(name: SetName, frames: int) -> None:
    scene = make(name, "tuning", 0)
    visible = np.array([scene.truth(k).visible[1] for k in range(scene.frames)])
    assert abs(longest_run(visible < 0.5) - frames) <= 12
    assert visible[-30:].min() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_the_newcomer_is_another_object_of_the_same_class(seed: int) -> None:
    scene = make("newcomer", "judged", seed)
    one, two = scene.movers
    assert one.name != two.name
    assert one.label == two.label
    end = scene.truth(scene.frames - 20).visible
    assert end[1] == 0.0
    assert end[2] > 0.5


def test_late_clicks_name_a_frame_that_is_nine_frames_old() -> None:
    scene = make("lateclick", "judged", 0)
    assert {ask.heard - ask.seen for ask in scene.asks} == {9}
    assert all(np.hypot(*np.diff(m.positions, axis=0).T).min() > 9.9 for m in scene.movers)


def test_the_splits_share_nothing() -> None:
    a, b = CUTOUTS["tuning"], CUTOUTS["judged"]
    assert not {c.name for c in a} & {c.name for c in b}
    assert not set(BACKGROUNDS["tuning"]) & set(BACKGROUNDS["judged"])
    splits: tuple[Split, Split] = ("tuning", "judged")
    for split in splits:
        names = {c.name for c in CUTOUTS[split]}
        assert all(set(pair) <= names for pair in SAME_CLASS[split])
    pixels = [c.premultiplied for c in (*a, *b)]
    assert not any(x.shape == y.shape and np.allclose(x, y) for x, y in itertools.combinations(pixels, 2))


def test_a_click_lies_inside_the_mask() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 3:9] = True
    x, y = inner_point(mask)
    assert mask[int(y), int(x)]
    assert box_of(mask) == (3.0, 5.0, 9.0, 15.0)


def longest_run(flags: np.ndarray) -> int:
    return max((sum(1 for _ in group) for value, group in itertools.groupby(flags) if value), default=0)


def test_first_ids_are_those_that_were_asked_for(hard: Scene) -> None:
    record = played(hard).record
    assert [record.first_id(i) for i in hard.identities] == [1, 2, 3, 4]
    assert metrics.first_mask_s(record, 1) == 0.0


def test_the_walking_people_are_annotated_frame_by_frame() -> None:
    truth = annotation()
    assert list(truth.boxes) == list(range(70, 130))
    before: dict[int, metrics.Box] = {}
    for frame, boxes in truth.boxes.items():
        now = {b.id: b for b in boxes}
        assert len(now) == len(boxes) >= 5, f"ids are unique on frame {frame}"
        for person, box in now.items():
            x0, y0, x1, y1 = box.xyxy
            assert 0 <= x0 < x1 <= 768
            assert 0 <= y0 < y1 <= 576
            assert y1 - y0 >= 40
            if person in before and not (box.ignore or before[person].ignore):
                assert metrics.box_iou(box.xyxy, before[person].xyxy) > 0.2, f"person {person} on frame {frame}"
        before = now


def test_the_annotation_agrees_with_itself() -> None:
    boxes = annotation().boxes.values()
    perfect = metrics.detection([(b, b) for b in boxes])
    assert perfect.recall == perfect.precision == 1.0
    assert perfect.switches == 0
    assert perfect.truths == sum(not b.ignore for frame in boxes for b in frame)


def test_the_annotated_clip_is_the_one_that_is_shipped() -> None:
    frames = list(clip(129, 10))
    assert len(frames) == 130
    assert frames[0].y.shape == (576, 768)
    assert frames[1].pts == 9000
