"""A vision language model behind the agent's one seam."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent import query as build
from agent.backend import AlertQuery, Query, Sense
from agent.scene import Scene
from agent.tools import MOST_ROUNDS, ToolResult
from agent.types import Moment, Severity, Verdict, VerdictKind
from agent.vlm.client import Asking, Piece, ToolCall, VlmClient
from agent.vlm.profiles import Profile
from agent.vlm.text import parse_object
from stream.errors import ModelServerError

ANSWER_TOKENS = 512
DESCRIBE_TOKENS = 40
VERDICT_TOKENS = 80
WORDS_TOKENS = 200
IMAGE_TOKENS = 280
ZOOM_IMAGE_TOKENS = 560
CAPTION_IMAGE_TOKENS = 140
MAX_CAPTION_CHARS = 160


class VlmBackend:
    """Asks one model of one server as its profile says. Raises `ModelServerError` where it cannot."""

    is_model = True
    missing: ModelServerError | None = None

    def __init__(self, client: VlmClient, profile: Profile) -> None:
        self._client = client
        self.profile = profile
        self.name = profile.name

    @property
    def can(self) -> frozenset[Sense]:
        return self.profile.can

    def speaks(self, language: str | None) -> str | None:
        """As it is told to."""
        return language

    async def answer(self, query: Query) -> AsyncIterator[str]:
        look_back = build.wants_look_back(query.question.text)
        sees, hears = "image" in self.can, "audio" in self.can
        messages = await asyncio.to_thread(build.answer_messages, query, sees=sees, look_back=look_back, hears=hears)
        tools = query.tools
        offered = tools.schemas if tools is not None and "tools" in self.can else ()
        for turn in range(MOST_ROUNDS + 1):
            asking = self._asking(ANSWER_TOKENS, 1.0, IMAGE_TOKENS, tools=offered if turn < MOST_ROUNDS else ())
            last = Piece()
            async for last in self._client.stream(messages, asking):
                if last.text:
                    yield last.text
            if not last.tool_calls or tools is None or turn == MOST_ROUNDS:
                return
            # One at a time: what a second call should be may depend on what the first one finds.
            call = last.tool_calls[0]
            result = await tools.call(call.name, call.arguments)
            messages = [*messages, *_told(call, result)]

    async def describe(self, track_id: int, moment: Moment, scene: Scene) -> str | None:
        track = next((track for track in moment.tracks if track.id == track_id), None)
        if track is None or moment.picture is None or "image" not in self.can:
            return None
        messages = await asyncio.to_thread(build.describe_messages, track, moment, scene)
        completion = await self._client.complete(messages, self._asking(DESCRIBE_TOKENS, 1.0, CAPTION_IMAGE_TOKENS))
        return " ".join(completion.text.split())[:MAX_CAPTION_CHARS].rstrip(".") or None

    async def verify(self, query: AlertQuery) -> Verdict:
        """Unsure is looked at once more, from near, and then let go."""
        verdict = await self._verdict(query, zoom=False)
        if verdict.kind is VerdictKind.UNSURE:
            verdict = await self._verdict(query, zoom=True)
        return verdict

    async def choose(self, phrase: str, moment: Moment, scene: Scene, candidates: tuple[int, ...]) -> tuple[int, ...]:
        if "image" not in self.can or moment.picture is None:
            return candidates
        messages = await asyncio.to_thread(build.choice_messages, phrase, moment, scene, candidates)
        asking = self._asking(VERDICT_TOKENS, 0.0, IMAGE_TOKENS, schema=build.CHOICE_SCHEMA)
        value = parse_object((await self._client.complete(messages, asking)).text)
        if value is None or not isinstance(value.get("ids"), list):
            return candidates
        return tuple(candidate for candidate in candidates if candidate in _numbers(value["ids"]))

    def found_hearing(self) -> None:
        """It takes sound, though its server does not list that."""
        self.profile = replace(self.profile, can=self.profile.can | {"audio"})

    async def write_down(self, wav: bytes, request: str) -> str:
        """What is said in a WAV file, as `request` asks for it."""
        parts = [build.wav_part(wav), {"type": "text", "text": request}]
        asking = self._asking(WORDS_TOKENS, 0.0, IMAGE_TOKENS)
        return (await self._client.complete([{"role": "user", "content": parts}], asking)).text

    async def close(self) -> None:
        await self._client.close()

    async def _verdict(self, query: AlertQuery, *, zoom: bool) -> Verdict:
        messages, ids = await asyncio.to_thread(build.alert_messages, query, sees="image" in self.can, zoom=zoom)
        image_tokens = ZOOM_IMAGE_TOKENS if zoom else IMAGE_TOKENS
        asking = self._asking(VERDICT_TOKENS, 0.0, image_tokens, schema=build.VERDICT_SCHEMA)
        completion = await self._client.complete(messages, asking)
        return read_verdict(completion.text, ids, query.watch.severity)

    def _asking(
        self,
        max_tokens: int,
        temperature: float,
        image_tokens: int,
        *,
        schema: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
    ) -> Asking:
        return self.profile.asking(
            max_tokens=max_tokens, temperature=temperature, image_tokens=image_tokens, schema=schema, tools=tools
        )


def read_verdict(text: str, ids: Sequence[int], severity: Severity) -> Verdict:
    """What the model decided; unsure where that cannot be read. Ids that it was not shown are left out."""
    value = parse_object(text)
    kind = str(value.get("verdict", "")).lower() if value is not None else ""
    if value is None or kind not in set(VerdictKind):
        return Verdict(VerdictKind.UNSURE, severity=severity)
    known = tuple(i for i in _numbers(value.get("ids")) if i in ids)
    reason = " ".join(str(value.get("reason", "")).split()[:20])
    told = str(value.get("severity", "")).lower()
    return Verdict(VerdictKind(kind), known, reason, Severity(told) if told in set(Severity) else severity)


def _numbers(value: object) -> list[int]:
    """The whole numbers in what should be a list of them, each once."""
    return list(dict.fromkeys(i for i in value if type(i) is int)) if isinstance(value, list) else []


def _told(call: ToolCall, result: ToolResult) -> list[build.Message]:
    """What a tool found, as messages. Pictures come as a user's, since tools answer in text alone."""
    function = {"name": call.name, "arguments": "{}" if call.arguments is None else build.as_json(call.arguments)}
    messages: list[build.Message] = [
        {"role": "assistant", "content": "", "tool_calls": [{"id": call.id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call.id, "content": result.text},
    ]
    if result.pictures:
        messages.append({"role": "user", "content": [build.image_part(picture) for picture in result.pictures]})
    return messages
