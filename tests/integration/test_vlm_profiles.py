"""What is found out about a language model server, and how it is asked then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agent.vlm.profiles import Profile, probe
from stream.errors import ModelServerError
from tests.asking import PROBES
from tests.scripted_vlm import MODEL, ScriptedVlm, scripted_vlm

HELLO, COLOUR, FORM, LAMP = PROBES
ASKED = {"max_tokens": 8, "temperature": 0.0, "image_tokens": 140, "schema": {"type": "object"}, "tools": ({"a": 1},)}


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedVlm]:
    with scripted_vlm() as server:
        yield server


@pytest.fixture
def server(running: ScriptedVlm) -> ScriptedVlm:
    running.script(*PROBES)
    running.forget()
    running.own("scripted")
    return running


async def found(server: ScriptedVlm, *replies: dict[str, Any]) -> Profile:
    server.script(*(replies or PROBES))
    return await probe(server.url, model=None, api_key=None)


def notes(profile: Profile) -> dict[str, tuple[bool, str]]:
    return {finding.what: (finding.ok, finding.note) for finding in profile.findings}


@pytest.mark.parametrize(
    ("owner", "family", "switches"),
    [
        ("vllm", "vLLM", {"chat_template_kwargs", "mm_processor_kwargs"}),
        ("llamacpp", "llama.cpp", {"chat_template_kwargs"}),
        ("library", "Ollama", set()),
        ("organization_owner", "LM Studio", {"reasoning_effort"}),
        ("onlooker", "Onlooker", {"mm_processor_kwargs"}),
        ("somebody", "other", set()),
    ],
)
async def test_families_are_told_by_their_model_list_and_asked_in_their_way(
    server: ScriptedVlm, owner: str, family: str, switches: set[str]
) -> None:
    server.own(owner)
    profile = await found(server)
    assert (profile.family, profile.model, profile.name) == (family, MODEL, MODEL)
    assert profile.can == {"image", "tools"}
    assert profile.schema
    plain = {"model", "messages", "max_tokens", "temperature", "top_p", "stream"}
    picture = server.requests[1]["body"]
    assert set(picture) - plain == switches, "no server is sent a switch that it does not know"
    if "mm_processor_kwargs" in switches:
        assert picture["mm_processor_kwargs"] == {"max_soft_tokens": 70}
    assert set(profile.asking(**ASKED).extra) == switches


async def test_what_was_tried_is_said(server: ScriptedVlm) -> None:
    profile = await found(server)
    assert notes(profile) == {
        "model": (True, f"{MODEL} on other"),
        "image": (True, "sees pictures"),
        "schema": (True, "answers in a given form"),
        "tools": (True, "calls tools"),
    }
    assert [set(request["body"]) & {"response_format", "tools"} for request in server.requests] == [
        set(), set(), {"response_format"}, {"tools"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("replies", "what", "note"),
    [
        ((HELLO, {"status": 400}, FORM, LAMP), "image", "takes no pictures"),
        ((HELLO, {"status": 500}, FORM, LAMP), "image", "takes no pictures"),
        ((HELLO, COLOUR, {"tokens": ["It is blue."]}, LAMP), "schema", "does not keep to a given form"),
        ((HELLO, COLOUR, {"tokens": ['{"colour": "pink"}']}, LAMP), "schema", "does not keep to a given form"),
        ((HELLO, COLOUR, {"status": 400}, LAMP), "schema", "takes no given form"),
        ((HELLO, COLOUR, FORM, {"tokens": ["I would switch it on."]}), "tools", "does not call tools"),
        ((HELLO, COLOUR, FORM, {"tool_calls": [{"name": "fly", "arguments": "{}"}]}), "tools", "does not call tools"),
        (
            (HELLO, COLOUR, FORM, {"tool_calls": [{"name": "switch_lamp", "arguments": "on"}]}),
            "tools",
            "does not call tools",
        ),
        ((HELLO, COLOUR, FORM, {"status": 400}), "tools", "takes no tools"),
    ],
)
async def test_what_it_cannot_do_is_done_without(
    server: ScriptedVlm, replies: tuple[dict[str, Any], ...], what: str, note: str
) -> None:
    profile = await found(server, *replies)
    ok, said = notes(profile)[what]
    assert not ok
    assert said.startswith(note)
    asking = profile.asking(**ASKED)
    assert profile.can == {"image", "tools"} - {what}
    assert (asking.schema is None) is (what == "schema")
    assert (asking.tools == ()) is (what == "tools")
    assert all(ok for name, (ok, _) in notes(profile).items() if name != what), "the rest is as it was"


async def test_a_form_within_a_fence_and_a_wrong_colour_will_do(server: ScriptedVlm) -> None:
    fenced = {"tokens": ["```json\n", '{"colour": "blue"}', "\n```"]}
    profile = await found(server, HELLO, {"tokens": ["Pink, I think."]}, fenced, LAMP)
    assert profile.schema
    assert notes(profile)["image"] == (True, "takes pictures, but called a red one “Pink, I think.”")


@pytest.mark.parametrize(
    ("reply", "words"), [({"status": 401}, "wants a key"), ({"status": 503}, "failed (503)"), ({"cut": 0}, "cut")]
)
async def test_a_server_that_does_not_answer_at_all_is_an_error(
    server: ScriptedVlm, reply: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelServerError) as caught:
        await found(server, {"tokens": ["x"], **reply})
    assert words in caught.value.message


async def test_a_model_that_it_does_not_have_is_refused_with_those_that_it_has(server: ScriptedVlm) -> None:
    with pytest.raises(ModelServerError) as caught:
        await probe(server.url, model="gemma-4", api_key=None)
    assert MODEL in caught.value.action


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/models/SmolLM2-Q4.gguf", "SmolLM2-Q4"),
        ("C:\\models\\gemma-4.gguf", "gemma-4"),
        ("google/gemma-4-E4B-it", "google/gemma-4-E4B-it"),
        ("gemma4:e4b", "gemma4:e4b"),
    ],
)
def test_a_file_is_called_by_its_name(model: str, name: str) -> None:
    assert Profile("llama.cpp", model).name == name
