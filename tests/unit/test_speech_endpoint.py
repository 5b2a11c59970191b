"""Utterances begin after enough speech, end after enough silence or at the cap, and never in any other way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.endpoint import WINDOW_S, Edge, Endpointer, EndpointRules, windows_in

RULES = EndpointRules()
START, DIP, END, CAP = (windows_in(s) for s in (RULES.start_s, RULES.dip_s, RULES.end_s, RULES.cap_s))


def run(probabilities: list[float], rules: EndpointRules = RULES) -> list[tuple[int, Edge]]:
    endpointer = Endpointer(rules)
    return [(n, edge) for n, p in enumerate(probabilities) if (edge := endpointer.step(p)) is not None]


def test_the_rules_are_what_people_are_used_to() -> None:
    assert 0.2 <= START * WINDOW_S <= 0.3
    assert 0.5 <= END * WINDOW_S <= 0.7
    assert CAP * WINDOW_S <= 28.1


def test_an_utterance_begins_and_ends() -> None:
    assert run([0.0] * 20 + [0.9] * 40 + [0.0] * 40) == [(20 + START - 1, Edge.START), (60 + END - 1, Edge.END)]


def test_it_goes_on_through_a_pause_for_breath() -> None:
    assert run([0.9] * 30 + [0.0] * (END - 1) + [0.9] * 30 + [0.0] * END) == [
        (START - 1, Edge.START),
        (60 + 2 * END - 2, Edge.END),
    ]


def test_a_click_begins_nothing() -> None:
    click = [0.95] * (START - 1) + [0.0] * (DIP + 1)
    assert run(click * 50) == []


def test_what_is_neither_speech_nor_silence_goes_on_as_it_was() -> None:
    unsure = (RULES.on + RULES.off) / 2
    assert run([unsure] * 200) == []
    assert run([0.9] * START + [unsure] * 200) == [(START - 1, Edge.START)]


def test_the_cap_ends_it_and_the_next_one_begins() -> None:
    edges = run([0.9] * (2 * CAP + START))
    assert [edge for _, edge in edges] == [Edge.START, Edge.CAP, Edge.START, Edge.CAP, Edge.START]
    assert edges[1][0] == CAP - 1


def test_how_far_back_its_speech_began() -> None:
    endpointer = Endpointer()
    speech = [0.9, 0.9, 0.0, 0.0, *[0.9] * START]
    for count, probability in enumerate(speech, 1):
        if endpointer.step(probability) is Edge.START:
            assert endpointer.start_windows == count
            break
    else:
        pytest.fail("it never began")


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 60)), max_size=40),
    st.sampled_from([RULES, EndpointRules(start_s=0.3, end_s=0.5, cap_s=3.0)]),
)
def test_edges_alternate_and_keep_their_times(spans: list[tuple[float, int]], rules: EndpointRules) -> None:
    probabilities = [probability for probability, count in spans for _ in range(count)]
    edges = run(probabilities, rules)
    start, end, cap = windows_in(rules.start_s), windows_in(rules.end_s), windows_in(rules.cap_s)
    assert [edge is Edge.START for _, edge in edges] == [n % 2 == 0 for n in range(len(edges))]
    for (begun, _), (ended, edge) in zip(edges[::2], edges[1::2], strict=False):
        assert sum(p >= rules.on for p in probabilities[: begun + 1]) >= start
        assert ended - begun < cap
        if edge is Edge.END:
            assert sum(p < rules.off for p in probabilities[begun + 1 : ended + 1]) >= end
            assert all(p < rules.on for p in probabilities[ended - end + 1 : ended + 1])
