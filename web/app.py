"""The composition root: configuration in, application out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from agent.access import AccessLog
from agent.agents import Agents
from agent.loop import AgentSettings
from agent.privacy import PrivacyBook
from agent.vlm.facts import FactsBackend
from stream.config import Config, data_dir
from stream.engines.base import Engine
from stream.errors import OnlookerError
from stream.hub import HubLimits, StreamHub
from stream.models.fetch import Progress as FetchProgress
from stream.models.store import ModelStore
from stream.models.voice import VoiceStore
from stream.session import StreamSession
from stream.sources.webrtc import IceServer, WebRtcConfig
from stream.sources.webrtc import notes as webrtc_notes
from stream.version import VERSION
from web import live, problems
from web.access import Noted
from web.api import access, agent, clips, docs, events, microphone, rules, sinks, streams, system, whip
from web.auth import Auth, Sessions, load_or_make_token
from web.clips import make_clips
from web.engines import make_engine, make_hardware, make_store
from web.fanout import Fanouts
from web.feed_prompts import follow_again
from web.feeds import Feeds
from web.guard import Guard, is_address, make_reach
from web.jobs import Jobs
from web.memory import given_back
from web.models import fetch_into_engine
from web.page import Page
from web.probe import Prober
from web.recording import make_recording
from web.sinks import Streams
from web.state import State
from web.tls import own_names
from web.vlm import ModelServer
from web.voice import Voice

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
LOOPBACK = ("127.0.0.1", "::1")
LIGHT = "light"
"""The engine that the fetched models are for."""


def create_app(
    config: Config,
    engine: Engine | None = None,
    *,
    fetch_progress: Callable[[FetchProgress], None] | None = None,
    on_started: Callable[[], None] | None = None,
) -> FastAPI:
    """The application for `config`; its lifespan owns the engine, the hub and every stream.

    With `fetch_progress`, models that are missing are fetched beside it. `engine` is for tests.
    """
    store = make_store(config)
    auth = make_auth(config)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            running = engine if engine is not None else await asyncio.to_thread(make_engine, config, store)
            async with _opened(config, running, store, auth) as state:
                app.state.onlooker, app.state.leave = state, state.leave
                await state.feeds.open_all(config.feeds)
                if fetch_progress is not None and running.name == LIGHT and not store.ready:
                    _fetch_beside(state, fetch_progress)
                if on_started is not None:
                    on_started()
                yield
        except OnlookerError as error:
            app.state.startup_error = error
            raise

    app = FastAPI(
        title="Onlooker",
        version=VERSION,
        description=docs.DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=docs.PROBLEMS,
    )
    problems.install(app)
    for part in (whip, microphone, streams, agent, rules, clips, events, sinks, access, system, live, docs):
        app.include_router(part.router)
    # Not mounted at "/": a mount takes every path, so that a wrong method on an API path would not be told as such.
    app.router.default = Page(STATIC)
    server = config.server
    hosts = [*server.allowed_hosts, *([] if server.loopback else [*own_names(), server.host])]
    app.add_middleware(Noted, auth=auth)
    app.add_middleware(Guard, reach=make_reach(server.loopback, hosts, list(server.allowed_origins)), auth=auth)
    return app


@contextlib.asynccontextmanager
async def _opened(config: Config, engine: Engine, store: ModelStore, auth: Auth) -> AsyncIterator[State]:
    jobs, boot = Jobs(), uuid.uuid4().hex
    limits, webrtc = hub_limits(config), webrtc_config(config)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(given_back())
        there = Streams()
        recording = await stack.enter_async_context(make_recording(config, boot, there))
        accesses = await stack.enter_async_context(AccessLog(recording, timedelta(days=config.store.max_age_days)))
        hidden = {feed.id: feed.privacy.settings() for feed in config.feeds if feed.privacy is not None}
        privacy = await stack.enter_async_context(PrivacyBook(recording, hidden))
        cuts = await stack.enter_async_context(make_clips(config, boot, recording))
        agents = Agents(FactsBackend(), AgentSettings(describe=config.vlm.describe), recording, cuts)
        there.agents = agents
        stack.push_async_callback(agents.close)

        def opened(session: StreamSession) -> None:
            privacy.attach(session)
            agents.attach(session)

        model_server = await stack.enter_async_context(ModelServer(config.vlm, agents))
        hardware = await asyncio.to_thread(make_hardware, config, engine)
        hub = await stack.enter_async_context(
            StreamHub(
                engine, webrtc=webrtc, limits=limits, on_open=opened, on_unview=accesses.closed, boot=boot,
                hardware=hardware,
            )
        )  # fmt: skip
        stack.callback(there.leave)
        voice = await stack.enter_async_context(
            Voice(
                config.voice, VoiceStore(store.root), webrtc, lambda: agents.backend,
                max_sessions=config.webrtc.max_sessions,
            )
        )  # fmt: skip
        stack.push_async_callback(jobs.close)
        feeds = Feeds(hub, agents, recording, config.sources)
        stack.push_async_callback(feeds.close)
        state = State(
            config,
            hub,
            agents,
            recording,
            store,
            auth,
            jobs,
            Fanouts(),
            model_server,
            voice,
            cuts,
            feeds,
            Prober(config.sources),
            privacy,
            accesses,
            webrtc_notes(),
        )
        model_server.wanted = lambda: state.live_clients > 0
        yield state


def _fetch_beside(state: State, progress: Callable[[FetchProgress], None]) -> None:
    """Fetch the models while the server runs; then the feeds follow what they could not name before."""
    job = fetch_into_engine(state.jobs, state.hub, state.store, "all", progress)

    async def upgrade() -> None:
        if await state.jobs.wait(job):
            for session, feed in state.feeds.all():
                await follow_again(session, feed)

    state.jobs.background("feeds", upgrade())


def token_path(config: Config) -> Path:
    return config.server.token_file or data_dir() / "token"


def make_auth(config: Config) -> Auth:
    """Off loopback the token is needed; it is made here if there is none yet."""
    token = None if config.server.loopback else load_or_make_token(token_path(config))[0]
    return Auth(token, Sessions(data_dir() / "sessions.json"))


def webrtc_config(config: Config) -> WebRtcConfig:
    """ICE uses the addresses that the server listens on, or those that the operator names; empty stands for all of
    the machine except loopback."""
    host = config.server.host
    addresses = config.webrtc.addresses
    if not addresses and config.server.loopback:
        addresses = LOOPBACK
    elif not addresses and is_address(host) and host not in ("0.0.0.0", "::"):
        addresses = (host,)
    servers = tuple(
        IceServer(url, server.username, server.credential)
        for server in config.webrtc.ice_servers
        for url in server.urls
    )
    return WebRtcConfig(addresses=addresses, ice_servers=servers)


def hub_limits(config: Config) -> HubLimits:
    sources = config.sources
    return HubLimits(
        max_streams=sources.max_streams,
        max_sessions=config.webrtc.max_sessions,
        max_viewers=config.webrtc.max_viewers,
        max_pixels=sources.max_pixels,
    )
