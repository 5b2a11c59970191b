"""What the language model service takes and what it refuses, before any model is asked."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from agent.vlm.service import media
from agent.vlm.service.media import Picture, Sound
from agent.vlm.service.request import ChatRequest, read_request
from stream.errors import BadInput
from tests.vlm_requests import data_url, image_part, picture, sound, tool, user


def read(*messages: Any, **rest: Any) -> ChatRequest:
    return read_request(json.dumps({"messages": list(messages), **rest}).encode())


def test_a_plain_question() -> None:
    request = read(
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}, max_tokens=5, stop="x"
    )
    assert [(turn.role, turn.parts) for turn in request.turns] == [("system", ("Be brief.",)), ("user", ("Who?",))]
    assert (request.sampling.max_tokens, request.sampling.stop, request.image_tokens) == (5, ("x",), 280)
    assert not request.stream


def test_pictures_and_sound_in_their_order() -> None:
    request = read(user("what?", image_part(picture()), {"type": "input_audio", "input_audio": sound(0.5, 44_100)}))
    seen, heard, text = request.turns[0].parts
    assert isinstance(seen, Picture)
    assert seen.pixels().shape == (180, 320, 3)
    assert isinstance(heard, Sound)
    assert heard.samples.dtype == np.float32
    assert heard.samples.size == pytest.approx(8000, abs=100)
    assert text == "what?"


def test_a_picture_is_known_by_its_bytes() -> None:
    first, second, other = (read(user("?", image_part(picture(seed)))).turns[0].parts[0] for seed in (1, 1, 2))
    assert isinstance(first, Picture)
    assert first == second != other


def test_every_switch() -> None:
    request = read(
        {"role": "developer", "content": "x"},
        {"role": "user", "content": "y"},
        model="m",
        max_completion_tokens=7,
        temperature=0,
        top_p=0.5,
        seed=3,
        stream=True,
        stream_options={"include_usage": True},
        mm_processor_kwargs={"max_soft_tokens": 560},
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        chat_template_kwargs={"enable_thinking": True},
    )
    assert request.turns[0].role == "system"
    assert (request.model, request.image_tokens, request.schema) == ("m", 560, {"type": "object"})
    assert (request.stream, request.usage, request.thinking) == (True, True, True)
    sampling = request.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed) == (7, 0, 0.5, 3)


def test_a_named_tool_is_the_only_one_on_offer_and_none_offers_none() -> None:
    tools = [tool("a"), tool("b")]
    question = {"role": "user", "content": "?"}
    named = read(question, tools=tools, tool_choice={"type": "function", "function": {"name": "b"}})
    assert ([t["function"]["name"] for t in named.tools], named.choice) == (["b"], "required")
    assert read(question, tools=tools, tool_choice="none").tools == ()
    assert read(question, tools=tools).choice == "auto"


def test_calls_of_earlier_turns() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "zoom", "arguments": '{"id": 3}'}}
    request = read(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    )
    assert request.turns[1].calls[0].arguments == {"id": 3}
    assert request.turns[2].answers == "c1"


HELLO = {"role": "user", "content": "hello"}
TINY_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
NO_PICTURE = image_part(data_url(b"this is no picture"))
BAD: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "no messages": ([], {}, "messages is missing"),
    "a message that is a text": (["hi"], {}, "messages[0] is no object"),
    "an unknown role": ([{"role": "king", "content": "hi"}], {}, "role must be one of"),
    "a role that is a list": ([{"role": ["user"], "content": "hi"}], {}, "role must be one of"),
    "no content": ([{"role": "user"}], {}, "content is missing"),
    "an unknown part": ([{"role": "user", "content": [{"type": "video_url"}]}], {}, "is no text, image_url"),
    "an address": ([user("?", image_part("http://127.0.0.1/x.jpg"))], {}, "not fetched"),
    "a file's address": ([user("?", image_part("file:///etc/passwd"))], {}, "not fetched"),
    "no data URL": ([user("?", image_part("cat.jpg"))], {}, "no data URL"),
    "no base64": ([user("?", image_part("data:image/png;base64,%%%"))], {}, "no base64"),
    "no picture": ([user("?", NO_PICTURE)], {}, "no JPEG, PNG or WebP"),
    "a GIF": ([user("?", image_part(data_url(TINY_GIF, "gif")))], {}, "no JPEG, PNG or WebP"),
    "a line": ([user("?", image_part(picture(0, 500, 2)))], {}, "too narrow"),
    "a picture of the system": ([{"role": "system", "content": [image_part(picture())]}, HELLO], {}, "user's messages"),
    "too many pictures": ([user("?", *[image_part(picture(0, 48, 48))] * 17)], {}, "more than 16 pictures"),
    "a long sound": ([user("?", {"type": "input_audio", "input_audio": sound(31)})], {}, "longer than 30 s"),
    "no sound": (
        [user("?", {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})],
        {},
        "cannot be",
    ),
    "another kind of sound": (
        [user("?", {"type": "input_audio", "input_audio": {"data": "", "format": "ogg"}})],
        {},
        "wav",
    ),
    "the assistant's last word": ([{"role": "assistant", "content": "hi"}], {}, "last message"),
    "a tool's answer to nothing": ([{"role": "tool", "content": "hi"}], {}, "tool_call_id"),
    "a hot temperature": ([HELLO], {"temperature": 3}, "temperature must be a number from 0 to 2"),
    "a temperature in words": ([HELLO], {"temperature": "hot"}, "temperature"),
    "no tokens": ([HELLO], {"max_tokens": 0}, "max_tokens"),
    "half a token": ([HELLO], {"max_tokens": 1.5}, "a whole number"),
    "a budget that is none": ([HELLO], {"mm_processor_kwargs": {"max_soft_tokens": 100}}, "one of 70, 140"),
    "empty stop": ([HELLO], {"stop": ["ok", ""]}, "stop"),
    "two answers": ([HELLO], {"n": 2}, "n must be 1"),
    "no schema": ([HELLO], {"response_format": {"type": "json_schema"}}, "response_format"),
    "tools in words": ([HELLO], {"tools": "all"}, "tools is no list"),
    "a tool without a name": ([HELLO], {"tools": [{"type": "function", "function": {}}]}, "name is missing"),
    "a tool that is not there": (
        [HELLO],
        {"tools": [tool("a")], "tool_choice": {"function": {"name": "b"}}},
        "not among",
    ),
    "a call without arguments": (
        [HELLO, {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}, HELLO],
        {},
        "no JSON object",
    ),
    "a stream in words": ([HELLO], {"stream": "yes"}, "stream must be true or false"),
    "a model by number": ([HELLO], {"model": 4}, "model must be a text"),
}


@pytest.mark.parametrize(("messages", "rest", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_told(messages: list[Any], rest: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(*messages, **rest)
    assert words in caught.value.message
    assert 400 <= caught.value.status < 500


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"[" * 5000])
def test_bodies_that_are_no_requests(body: bytes) -> None:
    with pytest.raises(BadInput):
        read_request(body)


def test_a_huge_picture_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_IMAGE_PX", 100 * 100)
    with pytest.raises(BadInput, match="larger than"):
        read(user("?", image_part(picture())))


def test_a_picture_cut_off_is_found_when_it_is_decoded() -> None:
    whole = base64.b64decode(picture().partition(",")[2])
    (part, _) = read(user("?", image_part(data_url(whole[: len(whole) // 2])))).turns[0].parts
    assert isinstance(part, Picture)
    with pytest.raises(BadInput, match="damaged"):
        part.pixels()
