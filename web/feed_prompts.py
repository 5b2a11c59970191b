"""What a feed follows, in words: put to the engine, again once it knows more words, and read back to be saved."""

from __future__ import annotations

import logging

from stream.errors import OnlookerError
from stream.feed_config import FeedConfig
from stream.prompts import PromptDraft
from stream.session import StreamSession
from stream.types import PromptKind

log = logging.getLogger(__name__)
MOVING = "moving"
"""Understood by the light engine with and without models."""


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


async def follow(session: StreamSession, text: str) -> None:
    try:
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text=text))
    except OnlookerError as error:
        if any(fact.prompt.text == MOVING for fact in session.prompts):
            return
        log.info("%s: %s Following what moves instead.", session.id, error.message)
        await session.add_prompt(PromptDraft(PromptKind.TEXT, text=MOVING))


def followed(session: StreamSession, feed: FeedConfig) -> tuple[str, ...]:
    """What is followed by words now; what is wanted, where `moving` stands in for it."""
    texts = (fact.prompt.text for fact in session.prompts if fact.prompt.kind is PromptKind.TEXT)
    found = tuple(dict.fromkeys(text for text in texts if text))
    return feed.prompts if MOVING in found and MOVING not in feed.prompts and feed.prompts else found
