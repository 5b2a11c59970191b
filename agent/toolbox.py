"""What the model's tools do to the stream that it answers about."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from agent import marks
from agent.tools import ToolResult
from agent.types import Moment
from stream.prompts import PromptDraft
from stream.types import PromptKind

if TYPE_CHECKING:
    from agent.loop import StreamAgent

FOUND_AT_MOST = 20


class StreamToolbox:
    """The tools of one answer, about the frozen `moment`."""

    def __init__(self, agent: StreamAgent, moment: Moment) -> None:
        self._agent = agent
        self._moment = moment

    async def track(self, text: str) -> ToolResult:
        fact = await self._agent.session.add_prompt(PromptDraft(PromptKind.TEXT, text=text))
        return ToolResult(f"Following {text!r} from now on. {fact.message or ''}".strip())

    async def untrack(self, track_id: int) -> ToolResult:
        await self._agent.session.remove_track(track_id)
        return ToolResult(f"Object {track_id} is no longer followed; the user can undo it.")

    async def zoom(self, track_id: int) -> ToolResult:
        track = next((track for track in self._moment.tracks if track.id == track_id), None)
        if track is None or self._moment.picture is None:
            return ToolResult(f"Object {track_id} is not in the picture.")
        picture = await asyncio.to_thread(marks.crop_jpeg, self._moment, track.box_xyxy_px)
        return ToolResult(f"Object {track_id} from near:", (picture,))

    async def look_back(self, seconds: float, count: int) -> ToolResult:
        since = self._moment.at - timedelta(seconds=seconds)
        held = list(self._agent.keyframes.between(since, self._moment.at))
        if not held:
            return ToolResult("There are no pictures from then.")
        step = max(1, len(held) // count)
        chosen = held[::step][:count]
        ago = ", ".join(f"{(self._moment.at - keyframe.at).total_seconds():.0f} s ago" for keyframe in chosen)
        return ToolResult(f"Pictures from {ago}:", tuple(keyframe.jpeg for keyframe in chosen))

    async def search_events(self, text: str, seconds: float) -> ToolResult:
        words = text.casefold().split()
        since = self._moment.at - timedelta(seconds=seconds)
        events = self._agent.scene.snapshot().events_between(since, self._moment.at)
        found = [event for event in events if any(word in event.text.casefold() for word in words)]
        lines = [
            f"{(self._moment.at - event.at).total_seconds():.0f} s ago: {event.text}"
            for event in found[-FOUND_AT_MOST:]
        ]
        return ToolResult("\n".join(lines) or "Nothing like that happened.")

    async def set_watch(self, condition: str, cooldown_s: float) -> ToolResult:
        watch = self._agent.add_watch(condition, cooldown_s=cooldown_s)
        return ToolResult(f"Watching for {watch.condition!r}. {watch.note or ''}".strip())

    async def annotate(self, track_id: int, text: str) -> ToolResult:
        self._agent.described(track_id, text)
        return ToolResult(f"Noted on object {track_id}.")
