"""From an event to an alert: through the gate, verified where that is wanted."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from agent.alerts import STALE_S, Alerts
from agent.keyframes import Keyframes
from agent.types import Event, EventKind, Severity, Verdict, VerdictKind, Watch
from agent.watches import WatchBook
from agent.worker import Priority
from stream.errors import ModelServerAway
from tests.composed_tracks import at
from tests.moments import BROKEN, BUSY, NO, UNSURE, YES, FakeAgent, FakeBackend, block, event

PERSON = block(5, "person", (200, 40, 280, 220))


class Case:
    """A watch, and events that come to it."""

    def __init__(
        self, condition: str, *replies: Any, can: tuple[str, ...] = ("image",), cooldown_s: float = 60
    ) -> None:
        self.backend = FakeBackend(*replies, can=can)
        self.agent: Any = FakeAgent(self.backend, [PERSON], watches=WatchBook(), keyframes=Keyframes())
        self.watch: Watch = self.agent.watches.add(condition, (), cooldown_s=cooldown_s, severity=Severity.WARN)
        self.alerts = Alerts(self.agent)

    async def happen(self, t: float, track_id: int = 5, kind: EventKind = EventKind.ENTER, **values: Any) -> None:
        self.agent.now = t
        came = event(t, kind, f"[#{track_id}] person came in.", track_id, **values)
        self.alerts.consider(came, at(t))
        await self.agent.worker.run()

    @property
    def alerted(self) -> list[Event]:
        alerts: list[Event] = self.agent.told
        return alerts


async def test_a_rule_that_says_it_all_alerts_at_once_and_asks_nobody() -> None:
    case = Case("a person comes in")
    await case.happen(1)
    (alert,) = case.alerted
    assert (alert.kind, alert.watch_id, alert.track_ids) == (EventKind.ALERT, case.watch.id, (5,))
    assert alert.text == "a person comes in: [#5] person came in."
    assert alert.evidence is not None
    assert alert.evidence.model == "rules"
    assert case.backend.asked == []


async def test_the_model_decides_what_the_rule_does_not_say() -> None:
    case = Case("a man comes in", YES)
    await case.happen(1)
    (alert,) = case.alerted
    assert alert.text == "a man comes in: Seen."
    assert alert.evidence is not None
    assert (alert.evidence.model, alert.evidence.prompt) == ("fake", "a man comes in")
    assert [track_id for track_id, _ in alert.evidence.masks] == [5]


@pytest.mark.parametrize("verdict", [NO, UNSURE])
async def test_no_and_unsure_raise_nothing_and_leave_the_next_one_its_turn(verdict: Verdict) -> None:
    case = Case("a man comes in", verdict, YES)
    await case.happen(1)
    assert case.alerted == []
    await case.happen(2, 6)
    assert len(case.alerted) == 1, "the cooldown is one between alerts"


async def test_an_alert_is_followed_by_its_cooldown() -> None:
    case = Case("a man comes in", YES, YES, cooldown_s=30)
    for t, track_id in ((1, 5), (20, 6), (30, 7), (32, 8)):
        await case.happen(t, track_id)
    assert [round((alert.at - at(0)).total_seconds()) for alert in case.alerted] == [1, 32]
    assert len(case.backend.asked) == 2


async def test_the_same_object_is_not_asked_about_again_and_a_tick_is() -> None:
    case = Case("a man comes in", NO)
    await case.happen(1)
    await case.happen(5)
    assert len(case.backend.asked) == 1
    ticking = Case("someone falls down", NO, NO)
    for t in (10, 20):
        await ticking.happen(t, kind=EventKind.TICK)
    assert ticking.backend.asked == [], "a tick has the length that its rule says"
    for t in (30, 40):
        now = event(t, EventKind.TICK, "In the picture: [#5] person.", 5)
        ticking.alerts.consider(replace(now, value=10.0), at(t))
        await ticking.agent.worker.run()
    assert len(ticking.backend.asked) == 2


async def test_without_eyes_the_rule_alone_alerts_and_says_so_and_a_tick_says_nothing() -> None:
    case = Case("a man comes in", can=("tools",))
    await case.happen(1)
    assert case.alerted[0].text.endswith("(by the rule alone; no model has looked)")
    ticking = Case("someone falls down", can=("tools",))
    tick = event(10, EventKind.TICK, "In the picture: [#5] person.", 5)
    ticking.alerts.consider(replace(tick, value=10.0), at(10))
    assert ticking.alerted == []


async def test_where_the_model_has_gone_away_meanwhile_the_rule_alone_alerts_and_a_tick_says_nothing() -> None:
    case = Case("a man comes in", ModelServerAway("Nobody is there."))
    await case.happen(1)
    (alert,) = case.alerted
    assert alert.text.endswith("(by the rule alone; no model has looked)")
    ticking = Case("someone falls down", ModelServerAway("Nobody is there."))
    tick = event(10, EventKind.TICK, "In the picture: [#5] person.", 5)
    ticking.alerts.consider(replace(tick, value=10.0), at(10))
    await ticking.agent.worker.run()
    assert len(ticking.backend.asked) == 1
    assert ticking.alerted == []


async def test_a_passing_fault_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_time(_: float) -> None: ...

    monkeypatch.setattr(asyncio, "sleep", no_time)
    case = Case("a man comes in", BUSY, YES)
    await case.happen(1)
    assert len(case.alerted) == 1
    twice = Case("a man comes in", BUSY, BUSY, YES)
    await twice.happen(1)
    assert (twice.alerted, twice.alerts.dropped) == ([], 1)
    await twice.happen(2)
    assert len(twice.alerted) == 1, "what was never looked at may come again"


async def test_a_lasting_fault_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    case = Case("a man comes in", BROKEN)
    with caplog.at_level(logging.WARNING):
        await case.happen(1)
    assert (len(case.backend.asked), case.alerts.dropped) == (1, 1)
    assert "could not be verified" in caplog.text


async def test_what_was_verified_too_late_or_is_switched_off_is_let_go() -> None:
    case = Case("a person comes in")
    old = event(1, EventKind.ENTER, "old", 5)
    case.alerts.consider(old, at(1 + STALE_S + 1))
    case.agent.watches.change(case.watch.id, (), enabled=False)
    await case.happen(50)
    assert case.alerted == []


async def test_a_changed_watch_begins_afresh() -> None:
    case = Case("a person comes in")
    await case.happen(1)
    case.alerts.forget(case.watch.id)
    await case.happen(2)
    assert len(case.alerted) == 2


async def test_alerts_wait_in_the_worker_as_alerts() -> None:
    case = Case("a man comes in", YES)
    case.alerts.consider(event(1, EventKind.ENTER, "came", 5), at(1))
    (job,) = case.agent.worker.jobs
    assert (job.priority, job.key) == (Priority.ALERT, case.watch.id)
    job.dropped()
    assert case.alerts.dropped == 1


async def test_the_model_names_whom_it_is_about() -> None:
    case = Case("a man comes in", Verdict(VerdictKind.YES, (7,), "", Severity.CRITICAL))
    await case.happen(1)
    (alert,) = case.alerted
    assert (alert.track_ids, alert.boxes_xyxy, alert.severity) == ((7,), (), Severity.CRITICAL)
