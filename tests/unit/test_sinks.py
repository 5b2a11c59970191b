"""What is told to whom: severity, filters, repeats, quiet hours, and templates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.sinks.base import Failure, Letter, Reply, Terms
from agent.sinks.browser import BrowserSink
from agent.sinks.dispatch import MOST_WAITING, Dispatcher
from agent.sinks.quiet import QuietHours, local_zone, parse_hours
from agent.sinks.repeats import MOST_KEYS, Repeats
from agent.sinks.wording import Told, Wording
from agent.store import outbox
from agent.store.opening import open_store, store_url
from agent.store.rows import Delivery, Entry
from agent.types import EventFact, EventKind, Severity
from stream.errors import BadInput, NotFound
from tests.stored import BOOT, NOON, event
from web.agent_wire import alert_message

NIGHT = QuietHours((parse_hours("22:00-07:00", "UTC"),))
LATE = datetime(2026, 11, 22, 23, tzinfo=UTC)


def told(text: str = "A person.", stream: str = "cam", **values: Any) -> Told:
    values.setdefault("kind", EventKind.ALERT)
    return Told(BOOT, stream, EventFact(event(text, **values)), "Front door", "Porch", "a person comes")


@dataclass
class Box:
    """A sink that keeps what it is sent; `failures` are given in turn."""

    terms: Terms
    kind: str = "box"
    address: str = "here"
    signed: bool = False
    pictured: bool = False
    stored: bool = True
    fault: str | None = None
    failures: list[Failure] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    async def run(self, ready: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def send(self, letter: Letter) -> Reply:
        if self.failures:
            return Reply(None, self.failures.pop(0))
        self.letters.append(letter)
        return Reply(None, None)

    @property
    def types(self) -> list[str]:
        return [letter.message["type"] for letter in self.letters]


@asynccontextmanager
async def running(sink: Box, now: Callable[[], datetime]) -> Any:
    dispatcher = Dispatcher([sink], alert_message, now=now)
    await dispatcher.start()
    try:
        yield dispatcher
    finally:
        await dispatcher.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def sent(dispatcher: Dispatcher, *things: Told) -> None:
    for thing in things:
        dispatcher.send(dispatcher.deliveries(thing))


# --- who is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        (Terms("x"), True),
        (Terms("x", min_severity=Severity.CRITICAL), False),
        (Terms("x", min_severity=Severity.WARN), True),
        (Terms("x", streams=("door", "front-*")), True),
        (Terms("x", streams=("front",)), False),
        (Terms("x", kinds=frozenset({"alert"})), True),
        (Terms("x", kinds=frozenset({"offline"})), False),
    ],
)
def test_a_sink_wants_what_its_terms_say(terms: Terms, wanted: bool) -> None:
    assert terms.wants("front-door", EventKind.ALERT, Severity.WARN) is wanted


async def test_what_is_too_much_to_wait_is_a_dead_letter() -> None:
    dispatcher = Dispatcher([Box(Terms("one"))], alert_message)
    dispatcher.send([Delivery(f"{number}", "one", "e" * 32, "{}", NOON) for number in range(MOST_WAITING + 2)])
    (state,) = dispatcher.states()
    assert len(state.queue) == MOST_WAITING
    assert [letter.id for letter in await dispatcher.dead_letters("one")] == [str(MOST_WAITING), str(MOST_WAITING + 1)]
    dispatcher.send([Delivery("x", "of the past", "e" * 32, "{}", NOON)])
    with pytest.raises(NotFound):
        await dispatcher.dead_letters("of the past")


async def test_a_sink_that_is_ready_again_is_sent_what_waits() -> None:
    box = Box(Terms("one", retry_s=600), failures=[Failure("Away.", passing=True)])
    async with running(box, lambda: NOON) as dispatcher:
        (state,) = dispatcher.states()
        sent(dispatcher, told())
        await until(lambda: state.error == "Away.")
        assert box.letters == []
        dispatcher._hurry(state)
        await until(lambda: state.delivered == 1)


@pytest.mark.logs_errors
async def test_one_delivery_that_breaks_its_sink_does_not_keep_the_others() -> None:
    class Broken(Box):
        async def send(self, letter: Letter) -> Reply:
            if "First" in letter.delivery.body:
                raise KeyError("a mistake of ours")
            return await super().send(letter)

    async with running(Broken(Terms("one")), lambda: NOON) as dispatcher:
        sent(dispatcher, told("First."), told("Second."))
        (state,) = dispatcher.states()
        await until(lambda: state.delivered == 1)
        (letter,) = await dispatcher.dead_letters("one")
    assert "First." in letter.body
    assert letter.error is not None
    assert "log" in letter.error


def test_who_is_told_that_a_camera_is_off_is_told_that_it_is_back() -> None:
    terms = Terms("x", min_severity=Severity.WARN)
    assert terms.wants("cam", EventKind.OFFLINE, Severity.WARN)
    assert terms.wants("cam", EventKind.ONLINE, Severity.INFO)
    assert not Terms("x", min_severity=Severity.CRITICAL).wants("cam", EventKind.ONLINE, Severity.INFO)


# --- repeats ----------------------------------------------------------------------------------------------------------


def alert(after_s: float, *track_ids: int, rule: str = "r", kind: EventKind = EventKind.ALERT) -> Any:
    return event(after_s=after_s, kind=kind, watch_id=rule, track_ids=track_ids)


def test_the_same_object_of_the_same_rule_is_told_once_within_the_time() -> None:
    repeats = Repeats(30)
    assert not repeats.repeats("a", alert(0, 1))
    assert repeats.repeats("a", alert(29, 1))
    assert not repeats.repeats("a", alert(30, 1)), "the time counts from when it was told"
    assert not repeats.repeats("b", alert(30, 1))
    assert not repeats.repeats("a", alert(31, 1, rule="other"))
    assert not repeats.repeats("a", alert(31, 1, 2)), "one of them is new"
    assert repeats.repeats("a", alert(32, 2, 1))
    assert not repeats.repeats("a", alert(33))
    assert repeats.repeats("a", alert(34))


def test_a_camera_that_is_away_again_is_told_again() -> None:
    repeats = Repeats(30)
    assert not any(repeats.repeats("a", alert(at, kind=EventKind.LOST)) for at in (0, 1, 2))


def test_what_was_told_is_remembered_within_bounds() -> None:
    repeats = Repeats(30)
    for number in range(MOST_KEYS + 50):
        repeats.repeats("a", alert(0, number))
    assert len(repeats._told) == MOST_KEYS


# --- quiet hours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quiet", "loud"),
    [
        ("22:00-07:00", ["2026-11-22T22:00", "2026-11-23T06:59"], ["2026-11-22T21:59", "2026-11-23T07:00"]),
        ("fri-sat 23:00-9:00", ["2026-11-21T08:59", "2026-11-22T08:00"], ["2026-11-22T23:30", "2026-11-20T08:00"]),
        ("sun,mon 12:00-13:00", ["2026-11-22T12:30", "2026-11-23T12:30"], ["2026-11-24T12:30"]),
        ("sat-mon 00:00-00:00", ["2026-11-21T00:00", "2026-11-23T23:59"], ["2026-11-24T00:00"]),
    ],
)
def test_quiet_hours_have_days_and_go_across_midnight(text: str, quiet: list[str], loud: list[str]) -> None:
    hours = QuietHours((parse_hours(text, "UTC"),))
    at = [datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (*quiet, *loud)]
    assert [hours.covers(one) for one in at] == [True] * len(quiet) + [False] * len(loud)


def test_quiet_hours_are_those_of_their_time_zone() -> None:
    hours = QuietHours((parse_hours("22:00-23:00", "Asia/Tokyo"),))
    assert hours.covers(datetime(2026, 11, 22, 13, 30, tzinfo=UTC))
    assert not hours.covers(datetime(2026, 11, 22, 22, 30, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "22-07", "25:00-07:00", "foo 22:00-07:00", "mon 22:00", "mon-xyz 1:00-2:00"])
def test_hours_that_cannot_be_understood_are_told(text: str) -> None:
    with pytest.raises(BadInput, match="quiet hours"):
        parse_hours(text, "UTC")


def test_the_time_zone_of_the_machine_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_hours("1:00-2:00", local_zone())
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == "Europe/Berlin"


async def test_what_was_quiet_is_summed_up_when_the_hours_end() -> None:
    box, clock = Box(Terms("one", quiet=NIGHT, wording=Wording())), [LATE]
    async with running(box, lambda: clock[0]) as dispatcher:
        (state,) = dispatcher.states()
        late = (LATE - NOON).total_seconds()
        sent(dispatcher, told("First.", after_s=late), told("Second.", "yard", after_s=late + 60))
        sent(dispatcher, told("Fire.", after_s=late, severity=Severity.CRITICAL))
        await until(lambda: len(state.held) == 2 and state.delivered == 1)
        assert "Fire." in box.letters[0].message["text"]
        clock[0] = LATE + timedelta(hours=8)
        state.wake.set()
        await until(lambda: state.delivered == 2)
    message = box.letters[1].message
    assert (message["type"], message["data"]["count"], message["title"]) == ("summary", 2, "2 alerts in quiet hours")
    assert message["data"]["streams"] == {"cam": 1, "yard": 1}
    assert [one["text"] for one in message["data"]["events"]] == ["First.", "Second."]
    assert "23:01 UTC  Front door: Second." in message["text"]


async def test_what_was_quiet_outlives_the_server_and_its_summary_takes_its_place(tmp_path: Path) -> None:
    store = await open_store(store_url(None, tmp_path))
    box, clock = Box(Terms("one", quiet=NIGHT, retry_s=600)), [LATE]
    box.failures = [Failure("Away.", passing=True)]
    things = [told(text, after_s=(LATE - NOON).total_seconds()) for text in ("First.", "Second.")]
    async with running(box, lambda: clock[0]) as before:
        entries = [Entry(thing.fact, LATE, deliveries=before.tell(thing)) for thing in things]
    await store.write(BOOT, "cam", entries)
    async with running(box, lambda: clock[0]) as dispatcher:
        await dispatcher.resume(store)
        (state,) = dispatcher.states()
        await until(lambda: len(state.held) == 2)
        assert len(await outbox.pending(store)) == 2
        clock[0] = LATE + timedelta(hours=8)
        state.wake.set()
        await until(lambda: state.error == "Away.")
        (waiting,) = await outbox.pending(store)
        dispatcher._hurry(state)
        await until(lambda: state.delivered == 1)
        assert await outbox.pending(store) == []
    await store.close()
    assert json.loads(waiting.body)["type"] == "summary"
    assert box.types == ["summary"]


async def test_a_single_quiet_alert_is_told_as_it_is_and_critical_ones_wait_by_choice() -> None:
    quiet = QuietHours(NIGHT.hours, critical=False)
    box, clock = Box(Terms("one", quiet=quiet)), [LATE]
    async with running(box, lambda: clock[0]) as dispatcher:
        (state,) = dispatcher.states()
        sent(dispatcher, told("Fire.", after_s=(LATE - NOON).total_seconds(), severity=Severity.CRITICAL))
        await until(lambda: len(state.held) == 1)
        clock[0] = LATE + timedelta(hours=8)
        state.wake.set()
        await until(lambda: state.delivered == 1)
    assert box.types == ["alert"]


async def test_what_is_quiet_is_dropped_by_choice() -> None:
    box = Box(Terms("one", quiet=QuietHours(NIGHT.hours, then="drop")))
    async with running(box, lambda: LATE) as dispatcher:
        (state,) = dispatcher.states()
        late = (LATE - NOON).total_seconds()
        sent(dispatcher, told(after_s=late), told("Fire.", after_s=late, severity=Severity.CRITICAL))
        await until(lambda: state.delivered == 1)
    assert (state.hushed, len(state.held), len(box.letters)) == (1, 0, 1)


# --- templates --------------------------------------------------------------------------------------------------------


def test_a_template_has_named_fields() -> None:
    fields = "$stream|$text|$label|$zone|$severity|$time|$link|$rule|$kind|${id}!|$$5"
    words = Wording(title="$stream", text=fields, clock="Europe/Berlin", base_url="https://onlooker.example/")
    thing = told("[#3] a person\r\nBcc: x", id="e" * 32, labels=("person", "dog", "person"))
    title, text = words.of(thing)
    assert title == "Front door"
    assert text.split("|") == [
        "Front door", "#3 a person Bcc: x", "person, dog", "Porch", "info", "2026-05-04 14:00:00",
        f"https://onlooker.example/?stream=cam&event={'e' * 32}", "a person comes", "alert", "e" * 32 + "!", "$5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [("$strem", "no field “\\$strem”"), ("costs $5", "begins no field"), ("${stream", "begins no field")],
)
def test_an_unknown_field_is_told_at_once(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        Wording(title=text)
    assert caught.value.action


# --- browsers ---------------------------------------------------------------------------------------------------------


async def test_a_page_that_comes_back_is_told_what_it_missed() -> None:
    browser = BrowserSink(Terms("browser"))

    async def send(number: int) -> None:
        await browser.send(Letter(Delivery(str(number), "browser", "e", json.dumps(number), NOON)))

    first = browser.listen(None, idle_s=0.01)
    assert await anext(first) is None, "nothing has happened"
    await send(1)
    assert await anext(first) == (1, "1")
    await first.aclose()
    assert browser.pages == 0
    await send(2)
    await send(3)
    back = browser.listen(1, idle_s=5)
    assert [await anext(back), await anext(back)] == [(2, "2"), (3, "3")]
    await back.aclose()
    other_life = browser.listen(900, idle_s=5)
    assert await anext(other_life) == (1, "1")
    await other_life.aclose()
