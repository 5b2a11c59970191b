"""Streams that the server reads itself: those of `onlooker.toml`, and those of the API, kept for the next start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from pydantic import SecretStr, ValidationError

from agent.agents import Agents
from agent.camera_watch import watch_camera
from agent.recording import Recording
from agent.store.feeds import SavedFeed, forget_feed, save_feed, saved_feeds
from stream.attention import Attention
from stream.config import SourcesConfig
from stream.errors import BadInput, Conflict, LimitReached, OnlookerError, StoreError
from stream.facts import PromptFact
from stream.feed_config import CAMERAS, FeedConfig
from stream.hub import StreamHub
from stream.session import StreamSession
from stream.sources.addresses import target_of
from stream.tasks import begin, end
from web.api.feed_shapes import NewSource, NewStream
from web.feed_prompts import follow, followed
from web.sources import ANYWHERE, SCHEMES, allowed_path, check, client_policy, feed_of, source_of

log = logging.getLogger(__name__)
KEPT_KINDS = ("rtsp", "http", "mjpeg", "v4l2", "folder")
OPEN_AGAIN_S = 2.0


class Feeds:
    """Event loop only."""

    def __init__(self, hub: StreamHub, agents: Agents, recording: Recording, sources: SourcesConfig) -> None:
        self._hub = hub
        self._agents = agents
        self._recording = recording
        self._sources = sources
        self._feeds: dict[str, FeedConfig] = {}
        self._saved: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open_all(self, feeds: tuple[FeedConfig, ...]) -> None:
        """Those of the configuration, then those that were saved, once there is a store. Raises `OnlookerError` for one
        of the former that cannot be opened."""
        for feed in feeds:
            await self._open(feed, by_operator=True)
        try:
            await self._open_saved()
        except StoreError:
            self._spawn(self._open_saved_later(), "saved feeds")

    async def close(self) -> None:
        await end(*self._tasks)

    def of(self, session: StreamSession) -> FeedConfig | None:
        """What was asked for; None for a stream that somebody publishes."""
        return self._feeds.get(session.id)

    def body(self, session: StreamSession) -> dict[str, Any]:
        """What the API tells of a feed beside what it tells of every stream."""
        feed = self._feeds.get(session.id)
        if feed is None:
            return {}
        source: dict[str, Any] = {"kind": feed.kind, "url": session.url}
        if feed.kind == "rtsp":
            source["transport"] = feed.transport
        if feed.username is not None:
            source["username"] = feed.username
        if (feed.url or "").startswith(("rtsps:", "https:")):
            source["verify_tls"] = feed.verify_tls
        told: dict[str, Any] = {"source": source, "motion_gate": feed.gated, "saved": session.id in self._saved}
        return told if feed.target_fps is None else {**told, "target_fps": feed.target_fps}

    def all(self) -> list[tuple[StreamSession, FeedConfig]]:
        """Those that are open."""
        return [(session, self._feeds[session.id]) for session in self._hub.list() if session.id in self._feeds]

    async def add(self, wanted: NewStream) -> StreamSession:
        """Open what a client asks for, and keep it. Raises `OnlookerError`; nothing is opened or kept then."""
        kind = wanted.source.kind
        feed = feed_of(wanted.source, wanted.id or f"{kind}-{secrets.token_hex(4)}", self._sources)
        given = wanted.model_dump(include={"name", "target_fps", "motion_gate"}, exclude_none=True)
        feed = feed.model_copy(update={**given, "prompts": tuple(wanted.prompts)})
        session = await self._open(feed, by_operator=False)
        if kind in KEPT_KINDS if wanted.save is None else wanted.save:
            try:
                await self._save(feed)
            except BaseException:
                await self.remove(feed.id)
                raise
        return session

    async def change(self, session: StreamSession, source: NewSource | None, given: dict[str, Any]) -> None:
        """Other settings (of `FeedSettings`, and `name`), or another source, for a stream. Raises `OnlookerError`."""
        feed = self._feeds.get(session.id)
        if feed is None:
            if source is not None or given.keys() - {"name"}:
                raise BadInput("This stream is sent by its publisher.", action="Change it there.")
            return
        if source is not None:
            if session.id not in self._saved:
                raise Conflict("This feed is not one that was saved here.", action="Change it in onlooker.toml.")
            changed = feed_of(self.with_secrets(source, session.id), session.id, self._sources)
            kept = feed.model_dump(include={"name", "prompts", "target_fps", "motion_gate", "offline_s", "frozen_s"})
            feed = changed.model_copy(update=kept)
        feed = feed.model_copy(update=given)
        if source is not None:
            replacing = source_of(feed, client_policy(self._sources))
            await check(replacing)
            await self._hub.feed_from(session.id, replacing)
        self._feeds[session.id] = feed
        apply_settings(session, feed)
        if session.id in self._saved:
            await self._save(feed)

    async def remove(self, stream_id: str) -> None:
        """End the stream and forget it. Raises `NotFound`, or `StoreError` where it may come back at the next start."""
        self._hub.get(stream_id)
        if stream_id in self._saved:
            await forget_feed(self._recording.store, stream_id)
            self._saved.discard(stream_id)
        self._feeds.pop(stream_id, None)
        await self._hub.close(stream_id)

    def with_secrets(self, source: NewSource, stream_id: str) -> NewSource:
        """`source` with what is kept back from clients of the stream that it goes on from: the address with its query
        where what is shown of it came back unchanged, and the password for the same user of the same server.

        Raises `BadInput` for what is no address.
        """
        feed = self._feeds.get(stream_id)
        if feed is None or feed.kind != source.kind or feed.kind not in SCHEMES or not (feed.url and source.url):
            return source
        before, now = (target_of(url, SCHEMES[source.kind]) for url in (feed.url, source.url))
        # Another scheme or port is another server, or the same one without encryption.
        if (before.scheme, before.host, before.port) != (now.scheme, now.host, now.port):
            return source
        update: dict[str, Any] = {"url": feed.url} if source.url == before.shown else {}
        if source.password is None and source.username == feed.username:
            update["password"] = feed.password
        return source.model_copy(update=update)

    # --- opening --------------------------------------------------------------------------------------------------

    async def _open(self, feed: FeedConfig, *, by_operator: bool) -> StreamSession:
        source = source_of(feed, ANYWHERE if by_operator else client_policy(self._sources))
        if not by_operator:
            await check(source)
        session = await self._hub.open(source, stream_id=feed.id, name=feed.name or feed.id)
        self._feeds[feed.id] = feed
        try:
            self._attend(session, feed)
            for text in feed.prompts:
                await follow(session, text)
        except BaseException:
            del self._feeds[feed.id]
            await self._hub.close(feed.id)
            raise
        return session

    def _attend(self, session: StreamSession, feed: FeedConfig) -> None:
        agent = self._agents.of(session)
        session.attend(
            Attention(
                gates=feed.gated,
                wanted=lambda: session.relay.viewers > 0 or agent.needs_tracks,
                busy=lambda: session.latest is not None and bool(session.latest.tracks),
            )
        )
        apply_settings(session, feed)
        if feed.kind in CAMERAS:
            watching = watch_camera(agent, offline_s=feed.offline_s, frozen_s=feed.frozen_s)
            self._spawn(watching, f"health of {session.id}")

    async def _open_saved(self) -> None:
        for saved in await saved_feeds(self._recording.store):
            if saved.stream in self._feeds:
                continue  # the configuration has the last word
            try:
                feed = loaded(saved)
                if feed.path is not None:
                    allowed_path(str(feed.path), self._sources.allow_roots, folder=feed.kind == "folder")
                self._saved.add(feed.id)
                session = await self._open(feed, by_operator=False)
                self._keep_prompts(session)
            except OnlookerError as error:
                log.warning("The saved feed %s is not opened: %s %s", saved.stream, error.message, error.action)

    async def _open_saved_later(self) -> None:
        while True:
            await asyncio.sleep(OPEN_AGAIN_S)
            with contextlib.suppress(StoreError):
                await self._open_saved()
                return

    # --- keeping --------------------------------------------------------------------------------------------------

    async def _save(self, feed: FeedConfig) -> None:
        await save_feed(self._recording.store, saved_form(feed))
        if feed.id not in self._saved:
            self._saved.add(feed.id)
            self._keep_prompts(self._hub.get(feed.id))

    def _keep_prompts(self, session: StreamSession) -> None:
        self._spawn(self._follow_prompts(session), f"prompts of {session.id}")

    async def _follow_prompts(self, session: StreamSession) -> None:
        """What a saved feed is to follow, in words, is saved as it changes."""
        subscription = session.facts.subscribe(updates=False)
        try:
            while True:
                try:
                    facts, _ = await subscription.next()
                except LimitReached:
                    subscription.close()
                    subscription = session.facts.subscribe(updates=False)
                    continue
                if not facts:
                    return
                if any(isinstance(fact.body, PromptFact) for fact in facts):
                    await self._save_prompts(session)
        finally:
            subscription.close()

    async def _save_prompts(self, session: StreamSession) -> None:
        feed = self._feeds.get(session.id)
        if feed is None:
            return
        texts = followed(session, feed)
        if texts != feed.prompts:
            self._feeds[session.id] = feed = feed.model_copy(update={"prompts": texts})
            try:
                await self._save(feed)
            except StoreError as error:
                log.warning("What %s follows was not saved: %s", session.id, error.message)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = begin(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def apply_settings(session: StreamSession, feed: FeedConfig) -> None:
    """Everything of a feed that is not its source."""
    session.name = feed.name or session.name
    if session.lane is not None:
        session.lane.target_fps = feed.target_fps
    if session.attention is not None:
        session.attention.gates = feed.gated


def saved_form(feed: FeedConfig) -> SavedFeed:
    settings = feed.model_dump(mode="json", exclude={"id", "password"}, exclude_defaults=True)
    password = feed.password.get_secret_value() if feed.password is not None else None
    return SavedFeed(feed.id, {**settings, "kind": feed.kind}, password)


def loaded(saved: SavedFeed) -> FeedConfig:
    """Raises `BadInput` for one that another version has written."""
    password = SecretStr(saved.password) if saved.password is not None else None
    try:
        return FeedConfig(id=saved.stream, password=password, **saved.settings)
    except (ValidationError, TypeError):
        raise BadInput("What was saved cannot be read.", action="Add it again.") from None
