"""What the request handlers share: one value, made by the composition root."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from agent.access import AccessLog
from agent.agents import Agents
from agent.clips.service import Clips
from agent.loop import StreamAgent
from agent.privacy import PrivacyBook
from agent.recording import Recording
from agent.sinks.browser import BrowserSink
from stream.config import Config
from stream.engines.base import Note
from stream.hub import StreamHub
from stream.models.store import ModelStore
from stream.session import StreamSession
from web.auth import Auth
from web.fanout import Fanouts
from web.feeds import Feeds
from web.jobs import Jobs
from web.probe import Prober
from web.vlm import ModelServer
from web.voice import Voice

SERVER_NAME = "onlooker"


@dataclass(slots=True)
class State:
    config: Config
    hub: StreamHub
    agents: Agents
    recording: Recording
    store: ModelStore
    auth: Auth
    jobs: Jobs
    fanouts: Fanouts
    model_server: ModelServer
    voice: Voice
    clips: Clips
    feeds: Feeds
    prober: Prober
    privacy: PrivacyBook
    accesses: AccessLog
    webrtc_notes: tuple[Note, ...] = ()
    live_clients: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def leave(self) -> None:
        """The server is going away: end what would go on for ever."""
        for found in self.recording.sinks.states():
            if isinstance(found.sink, BrowserSink):
                found.sink.leave()


def get_state(connection: HTTPConnection) -> State:
    return cast(State, connection.app.state.onlooker)


def get_stream(stream_id: str, state: Annotated[State, Depends(get_state)]) -> StreamSession:
    """The stream that the path names. Raises `NotFound`."""
    return state.hub.get(stream_id)


def get_agent(
    session: Annotated[StreamSession, Depends(get_stream)], state: Annotated[State, Depends(get_state)]
) -> StreamAgent:
    """The agent of the stream that the path names. Raises `NotFound`."""
    return state.agents.of(session)


StateDep = Annotated[State, Depends(get_state)]
StreamDep = Annotated[StreamSession, Depends(get_stream)]
AgentDep = Annotated[StreamAgent, Depends(get_agent)]
