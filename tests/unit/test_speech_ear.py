"""What a microphone's sound becomes: utterances between the edges of the key, or where somebody speaks, and nothing
while it is muted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.speech.ear import TAIL_S, Begun, Dropped, Ear, Happening, Spoken
from agent.speech.endpoint import WINDOW, WINDOW_S, EndpointRules, windows_in
from agent.speech.types import F32, SAMPLE_RATE, SpeechState

RULES = EndpointRules()


class Loudness:
    """A detector for which whatever is loud is speech."""

    def reset(self) -> None:
        pass

    def probability(self, window: F32) -> float:
        return 1.0 if float(np.abs(window).mean()) > 0.1 else 0.0


def sound(seconds: float, level: float = 0.5) -> F32:
    return np.full(round(seconds * SAMPLE_RATE), level, np.float32)


def ear(**options: bool) -> Ear:
    made = Ear(Loudness())
    made.set(open=options.get("open", False), muted=options.get("muted", False))
    return made


def one(happenings: list[Happening]) -> Spoken:
    (spoken,) = [happening for happening in happenings if isinstance(happening, Spoken)]
    return spoken


def test_nothing_is_listened_to_without_the_key() -> None:
    quiet = ear()
    assert quiet.feed(sound(3)) == []
    assert quiet.state is SpeechState.IDLE
    assert quiet.level == 0


def test_between_the_edges_of_the_key_is_one_utterance_with_its_tail() -> None:
    held = ear()
    assert held.press() == [Begun(1)]
    assert held.feed(sound(2)) == []
    assert held.state is SpeechState.HEARING
    assert held.level > 0.8
    held.release()
    assert held.ending
    spoken = one(held.feed(sound(1, 0.01)))
    assert spoken.utterance == 1
    assert spoken.held
    assert len(spoken.samples) / SAMPLE_RATE == pytest.approx(2 + TAIL_S, abs=2 * WINDOW_S)
    assert spoken.speech_s == pytest.approx(2, abs=2 * WINDOW_S)
    assert held.state is SpeechState.IDLE
    assert held.feed(sound(1)) == []


def test_a_tail_that_does_not_come_is_not_waited_for() -> None:
    held = ear()
    held.press()
    held.feed(sound(1))
    held.release()
    assert len(one(held.finish()).samples) == windows_in(1) * WINDOW
    assert held.finish() == []


def test_the_key_pressed_again_at_once_begins_the_next() -> None:
    held = ear()
    held.press()
    held.feed(sound(1))
    held.release()
    happenings = held.press()
    assert [type(happening) for happening in happenings] == [Spoken, Begun]
    assert happenings[1] == Begun(2)


def test_the_key_makes_utterances_without_a_detector() -> None:
    deaf = Ear(None)
    deaf.set(open=True, muted=False)
    assert deaf.state is SpeechState.IDLE
    deaf.press()
    deaf.feed(sound(1))
    deaf.release()
    assert one(deaf.feed(sound(1))).speech_s is None


def test_an_open_microphone_hears_speech_with_what_came_before_it() -> None:
    opened = ear(open=True)
    assert opened.state is SpeechState.LISTENING
    assert opened.feed(sound(2, 0.0)) == []
    assert opened.feed(sound(1)) == [Begun(1)]
    spoken = one(opened.feed(sound(1, 0.0)))
    assert not spoken.held
    assert spoken.silence_s == RULES.end_s
    expected_s = RULES.pre_roll_s + 1 + RULES.post_roll_s
    assert len(spoken.samples) / SAMPLE_RATE == pytest.approx(expected_s, abs=3 * WINDOW_S)
    loud = np.flatnonzero(spoken.samples > 0.1)
    assert loud[0] / SAMPLE_RATE == pytest.approx(RULES.pre_roll_s, abs=2 * WINDOW_S)
    assert len(loud) == SAMPLE_RATE  # not a sample of the speech is lost


def test_the_key_holds_an_utterance_that_is_going_on() -> None:
    opened = ear(open=True)
    assert opened.feed(sound(1)) == [Begun(1)]
    assert opened.press() == []
    assert opened.feed(sound(2, 0.0)) == []
    opened.release()
    spoken = one(opened.feed(sound(0.5, 0.0)))
    assert spoken.held
    assert len(spoken.samples) > 3 * SAMPLE_RATE


@pytest.mark.parametrize("held", [False, True])
def test_an_utterance_ends_at_the_cap(held: bool) -> None:
    capped = ear(open=not held)
    if held:
        capped.press()
    happenings = capped.feed(sound(RULES.cap_s + 0.5))
    spoken = one(happenings)
    assert len(spoken.samples) / SAMPLE_RATE == pytest.approx(RULES.cap_s, abs=0.5)
    assert capped.release() == []


def test_muting_drops_what_was_being_heard_and_hears_no_more() -> None:
    opened = ear(open=True)
    opened.feed(sound(1))
    (dropped,) = opened.set(open=True, muted=True)
    assert isinstance(dropped, Dropped)
    assert opened.feed(sound(5)) == []
    assert opened.press() == []
    assert opened.state is SpeechState.IDLE
    assert opened.set(open=True, muted=False) == []
    assert opened.feed(sound(1)) == [Begun(2)]


def test_closing_the_microphone_leaves_a_held_utterance_alone() -> None:
    opened = ear(open=True)
    opened.press()
    opened.feed(sound(1))
    assert opened.set(open=False, muted=False) == []
    opened.release()
    assert one(opened.feed(sound(1))).held


def test_cancelling() -> None:
    held = ear()
    held.press()
    held.feed(sound(1))
    (dropped,) = held.cancel()
    assert isinstance(dropped, Dropped)
    assert dropped.spoken_s == pytest.approx(1, abs=2 * WINDOW_S)
    assert held.cancel() == []
    assert held.feed(sound(1)) == []


_ACTIONS = st.one_of(
    st.tuples(st.just("feed"), st.floats(0.001, 1.0), st.sampled_from([0.0, 0.5])),
    st.tuples(st.sampled_from(["press", "release", "cancel", "finish"])),
    st.tuples(st.just("set"), st.booleans(), st.booleans()),
)


@settings(max_examples=60)
@given(st.lists(_ACTIONS, max_size=60))
def test_each_utterance_begins_once_and_ends_once(actions: list[tuple[object, ...]]) -> None:
    heard = ear()
    begun: list[int] = []
    ended: list[int] = []
    for action, *values in actions:
        if action == "feed":
            happenings = heard.feed(sound(float(values[0]), float(values[1])))  # type: ignore[arg-type]
        elif action == "set":
            happenings = heard.set(open=bool(values[0]), muted=bool(values[1]))
        else:
            happenings = getattr(heard, str(action))()
        for happening in happenings:
            (begun if isinstance(happening, Begun) else ended).append(happening.utterance)
            if isinstance(happening, Spoken):
                assert len(happening.samples) <= (RULES.cap_s + 1) * SAMPLE_RATE
        assert heard.state is SpeechState.HEARING or begun == ended
        assert len(begun) - len(ended) in (0, 1)
    assert begun == list(range(1, len(begun) + 1))
    assert ended == begun[: len(ended)]
