"""Streams that are opened at start, with what they follow."""

from __future__ import annotations

import logging

from stream.config import FeedConfig
from stream.errors import BadInput, OnlookerError
from stream.hub import StreamHub
from stream.prompts import PromptDraft
from stream.session import StreamSession
from stream.sources.base import Source
from stream.types import PromptKind
from web.sources import demo_source, file_source

log = logging.getLogger(__name__)
MOVING = "moving"
"""Understood by the light engine with and without models."""


async def open_feed(hub: StreamHub, feed: FeedConfig) -> StreamSession:
    """Raises `OnlookerError` for a source that cannot be opened; a prompt that cannot be followed is logged."""
    session = await hub.open(_source(feed), stream_id=feed.id, name=feed.name or feed.id)
    for text in feed.prompts:
        await _follow(session, text)
    return session


async def follow_again(session: StreamSession, feed: FeedConfig) -> None:
    """The engine knows more words now: put the feed's prompts where `moving` stood in for them, unless the user has
    removed it."""
    standing_in = [fact.prompt for fact in session.prompts if fact.prompt.text == MOVING]
    if MOVING in feed.prompts or not standing_in:
        return
    followed = {fact.prompt.text for fact in session.prompts}
    wanted = [text for text in feed.prompts if text not in followed]
    for text in wanted:
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text=text))
    for prompt in standing_in:
        await session.remove_prompt(prompt.id)


async def _follow(session: StreamSession, text: str) -> None:
    try:
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text=text))
    except OnlookerError as error:
        if any(fact.prompt.text == MOVING for fact in session.prompts):
            return
        log.info("%s: %s Following what moves instead.", session.id, error.message)
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text=MOVING))


def _source(feed: FeedConfig) -> Source:
    if feed.kind == "demo":
        return demo_source()
    if feed.path is None:
        raise BadInput(f"Feed “{feed.id}” has no path.", action="Add `path` to it in onlooker.toml.")
    return file_source(feed.path, loop=feed.loop)
