"""The wire: what the server makes is what the schema says, and what clients send is taken or refused in words."""

from __future__ import annotations

import json
from datetime import datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import BadInput
from stream.facts import Fact
from tests.protocol_samples import AT, FOLDER, UPDATE, client_samples, files, server_samples
from web.declarations import PATH, declarations
from web.parsing import parse_client_message, ref_of
from web.protocol import CLIENT_MESSAGE, SERVER_MESSAGE
from web.protocol.client import ClientMessage
from web.protocol.server import ServerMessage
from web.wire import fact_message, tracks_text, unit_box, without_credentials

FIXED_BY_FORM = "python -m tests.protocol_samples"


def test_golden_samples_are_current() -> None:
    wanted = files()
    held = {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.json")}
    assert held == wanted, f"the wire has changed: {FIXED_BY_FORM}"


def test_declarations_are_current() -> None:
    assert PATH.read_text(encoding="utf-8") == declarations(), "run: python -m web.declarations"


@pytest.mark.parametrize("name", server_samples())
def test_server_messages_keep_to_the_schema(name: str) -> None:
    message = server_samples()[name]
    parsed = SERVER_MESSAGE.validate_json(json.dumps(message))
    back = json.loads(SERVER_MESSAGE.dump_json(parsed, by_alias=True, exclude_unset=True))
    assert _timed(back) == _timed(message)  # no field that the schema does not know


def _timed(value: object, key: str = "") -> object:
    """The message with its times read, since one may be written in two ways."""
    if isinstance(value, dict):
        return {name: _timed(part, name) for name, part in value.items()}
    return datetime.fromisoformat(value) if key in ("at", "frame_at") and isinstance(value, str) else value


@pytest.mark.parametrize("name", client_samples())
def test_client_messages_are_taken(name: str) -> None:
    message = client_samples()[name]
    parsed = parse_client_message(json.dumps({**message, "unknown_field": [1]}))
    back = json.loads(CLIENT_MESSAGE.dump_json(parsed, exclude_unset=True))
    if name == "prompt.add-points":
        assert back["points"][1] == {"x": 1.0, "y": 1.0, "positive": False}
    assert back == message


def test_every_type_has_a_sample() -> None:
    for union, samples in ((ServerMessage, server_samples()), (ClientMessage, client_samples())):
        models = get_args(get_args(union)[0])
        types = {get_args(model.model_fields["type"].annotation)[0] for model in models}
        assert {message["type"] for message in samples.values()} == types


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_message"),
        ("{", "bad_message"),
        ("null", "bad_message"),
        ("[" * 5000, "bad_message"),
        ("{}", "bad_message"),
        ('{"type": 7}', "unknown_type"),
        ('{"type": "no.such"}', "unknown_type"),
        ('{"type": "ack", "seq": "1"}', "bad_message"),
        ('{"type": "ack", "seq": 1e300}', "bad_message"),
        ('{"type": "ack", "seq": -1}', "bad_message"),
        ('{"type": "prompt.add", "kind": "spell"}', "bad_message"),
        ('{"type": "prompt.add", "kind": "box", "box_xyxy": [0, 1]}', "bad_message"),
        (
            '{"type": "prompt.add", "kind": "text", "text": "a", "frame": {"epoch": 1, "rtp": 4294967296}}',
            "bad_message",
        ),
        ('{"type": "ask", "text": ""}', "empty_text"),
        (json.dumps({"type": "ask", "text": "x" * 2001}), "too_long"),
        (json.dumps({"type": "ping", "t": 1, "ref": "x" * 65}), "too_long"),
        ('{"type": "set", "max_fps": 61}', "bad_message"),
    ],
)
def test_wrong_messages_are_refused_in_words(text: str, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_client_message(text)
    assert caught.value.code == code
    assert caught.value.message
    assert caught.value.action


@given(st.text(max_size=200))
def test_any_text_is_a_message_or_bad_input(text: str) -> None:
    ref_of(text)
    with pytest.raises(BadInput):
        parse_client_message(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=10,
    ),
    st.sampled_from(sorted(client_samples())),
    st.data(),
)
def test_a_message_with_any_field_replaced_never_raises_anything_else(
    value: object, name: str, data: st.DataObject
) -> None:
    message = dict(client_samples()[name])
    message[data.draw(st.sampled_from(sorted(message)))] = value
    try:
        parse_client_message(json.dumps(message))
    except BadInput as error:
        assert error.code in ("bad_message", "unknown_type", "empty_text", "too_long")  # noqa: PT017


def test_the_reference_survives_a_wrong_message() -> None:
    assert ref_of('{"type": "nonsense", "ref": "r9"}') == "r9"
    assert ref_of('{"ref": 9}') is None
    assert ref_of("{") is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), st.integers(1, 8192), st.integers(1, 8192))
def test_boxes_are_always_within_the_picture(corners: list[float], width: int, height: int) -> None:
    x0, y0, x1, y1 = corners
    assert all(0 <= value <= 1 for value in unit_box((x0, y0, x1, y1), width, height))


def test_encoding_is_timed_and_masks_can_be_left_out() -> None:
    full, bare = (json.loads(tracks_text(UPDATE, 1, masks=masks, captions={})) for masks in (True, False))
    assert full["timings_ms"]["encode"] >= 0
    assert full["tracks"][0]["mask"] == {"size": [36, 64], "counts": "oT1d0"}
    assert bare["tracks"][0]["mask"] is None


def test_a_fact_without_a_place_on_the_wire_is_a_fault() -> None:
    with pytest.raises(TypeError, match="no wire message for str"):
        fact_message(Fact(1, AT, "gossip"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://eve:hunter2@10.0.0.7:554/ch1?token=s#f", "rtsp://10.0.0.7:554/ch1"),
        ("rtsp://a:b@c@10.0.0.7/x", "rtsp://10.0.0.7/x"),
        ("Demo clip: people walking", "Demo clip: people walking"),
        ("clip.mp4", "clip.mp4"),
        (None, None),
    ],
)
def test_addresses_are_shown_without_credentials(url: str | None, shown: str | None) -> None:
    assert without_credentials(url) == shown
