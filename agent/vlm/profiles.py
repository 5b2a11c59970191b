"""What a language model server can do, found out by asking it, and how to ask it for it.

Servers of one API differ in what they take: switches for thoughts and for the number of tokens an image may cost,
images at all, tools, answers in a schema. The family is told by the model list; the rest is tried.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from agent.backend import Sense
from agent.vlm.client import Asking, Completion, VlmClient
from agent.vlm.text import parse_object
from stream.errors import ModelServerError

PROBE_S = 60.0
"""A model that is loaded at its first question may take this long to answer it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: `ok`, and in words what was found."""

    what: str
    ok: bool
    note: str


@dataclass(frozen=True, slots=True)
class Profile:
    """How to ask one model of one server. `findings` are the lines for `onlooker doctor`."""

    family: str
    model: str
    can: frozenset[Sense] = frozenset()
    schema: bool = False
    no_thoughts: Mapping[str, Any] = field(default_factory=dict)
    takes_image_tokens: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """The model's name to people: a file's without its folder."""
        return re.split(r"[/\\]", self.model)[-1].removesuffix(".gguf") if self.model.endswith(".gguf") else self.model

    def asking(
        self,
        *,
        max_tokens: int,
        temperature: float,
        image_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
    ) -> Asking:
        """`image_tokens` is what an image may cost; left out where the server has no such switch."""
        extra = dict(self.no_thoughts)
        if image_tokens is not None and self.takes_image_tokens:
            extra["mm_processor_kwargs"] = {"max_soft_tokens": image_tokens}
        return Asking(
            max_tokens=max_tokens,
            temperature=temperature,
            schema=schema if self.schema else None,
            tools=tools if "tools" in self.can else (),
            extra=extra,
        )


_TEMPLATE_SWITCH = {"chat_template_kwargs": {"enable_thinking": False}}
FAMILIES = {
    "vllm": Profile("vLLM", "", no_thoughts=_TEMPLATE_SWITCH, takes_image_tokens=True),
    "llamacpp": Profile("llama.cpp", "", no_thoughts=_TEMPLATE_SWITCH),
    "library": Profile("Ollama", ""),
    "organization_owner": Profile("LM Studio", "", no_thoughts={"reasoning_effort": "none"}),
    "onlooker": Profile("Onlooker", "", takes_image_tokens=True),
}
"""By `owned_by` in the model list."""

_VERDICT = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_LAMP = {
    "type": "function",
    "function": {
        "name": "switch_lamp",
        "description": "Switch the lamp on or off.",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    },
}


async def probe(url: str, *, model: str | None, api_key: str | None) -> Profile:
    """Find out what the server at `url` can do. Raises `ModelServerError` where it cannot be asked at all."""
    client = VlmClient(url, model=model or "", api_key=api_key)
    try:
        async with asyncio.timeout(PROBE_S):
            base = _chosen(await client.models(), model)
            client.model = base.model
            return await _tried(client, base)
    except TimeoutError as error:
        raise ModelServerError("The language model did not answer the first questions in a minute.") from error
    finally:
        await client.close()


def _chosen(listed: list[dict[str, Any]], model: str | None) -> Profile:
    ids = [str(entry.get("id")) for entry in listed]
    if model is not None and ids and model not in ids:
        names = ", ".join(ids[:5])
        raise ModelServerError(f"The server has no model “{model}”.", action=f"Choose one of: {names}.")
    if model is None and not ids:
        raise ModelServerError("The server lists no model.", action="Load one, or name it with vlm.model.")
    name = model or ids[0]
    owners = {str(entry.get("id")): str(entry.get("owned_by")) for entry in listed}
    family = FAMILIES.get(owners.get(name, ""), Profile("other", ""))
    senses = {str(entry.get("id")): entry.get("modalities") for entry in listed}.get(name)
    hears: frozenset[Sense] = frozenset({"audio"}) if isinstance(senses, list) and "audio" in senses else frozenset()
    return replace(family, model=name, can=hears)


async def _tried(client: VlmClient, base: Profile) -> Profile:
    profile = base
    can: set[Sense] = set(base.can)
    findings = [Finding("model", True, f"{base.name} on {base.family}")]
    if "audio" in base.can:
        findings.append(Finding("audio", True, "hears"))
    await _say_hello(client, profile)
    seen, finding = await _attempt("image", lambda: _see_colour(client, profile), "takes no pictures")
    findings.append(finding)
    if seen:
        can.add("image")
    kept, finding = await _attempt("schema", lambda: _keep_schema(client, profile), "takes no given form")
    findings.append(finding)
    called, finding = await _attempt("tools", lambda: _call_tool(client, profile), "takes no tools")
    findings.append(finding)
    if called:
        can.add("tools")
    return replace(profile, can=frozenset(can), schema=kept, findings=tuple(findings))


async def _attempt(what: str, work: Callable[[], Awaitable[tuple[bool, str]]], refused: str) -> tuple[bool, Finding]:
    try:
        ok, note = await work()
    except ModelServerError as error:
        ok, note = False, f"{refused} ({error.message.rstrip('.')})"
    return ok, Finding(what, ok, note)


async def _say_hello(client: VlmClient, profile: Profile) -> None:
    """Whether it answers at all; its error is the caller's."""
    await client.complete([_user("Say: yes")], profile.asking(max_tokens=8, temperature=0))


async def _see_colour(client: VlmClient, profile: Profile) -> tuple[bool, str]:
    red = np.zeros((96, 96, 3), np.uint8)
    red[..., 2] = 230
    _, png = cv2.imencode(".png", red)
    url = "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
    parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "What colour is this? One word."},
    ]
    asking = profile.asking(max_tokens=16, temperature=0, image_tokens=70)
    completion = await client.complete([{"role": "user", "content": parts}], asking)
    if "red" in completion.text.lower():
        return True, "sees pictures"
    return True, f"takes pictures, but called a red one “{completion.text[:40]}”"


async def _keep_schema(client: VlmClient, profile: Profile) -> tuple[bool, str]:
    asking = replace(profile.asking(max_tokens=40, temperature=0), schema=_VERDICT)
    completion = await client.complete([_user('The sky is blue. Answer as JSON: {"colour": …}')], asking)
    value = parse_object(completion.text)
    if value is not None and set(value) == {"colour"} and value["colour"] in ("red", "green", "blue"):
        return True, "answers in a given form"
    return False, "does not keep to a given form; its answers are read as they come"


async def _call_tool(client: VlmClient, profile: Profile) -> tuple[bool, str]:
    asking = replace(profile.asking(max_tokens=64, temperature=0), tools=(_LAMP,))
    completion: Completion = await client.complete([_user("Switch the lamp on.")], asking)
    for call in completion.tool_calls:
        if call.name == "switch_lamp" and call.arguments is not None and "on" in call.arguments:
            return True, "calls tools"
    return False, "does not call tools; the agent does without"


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
