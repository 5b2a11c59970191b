"""The agents of all streams: made as streams open, begun again where they fail, and gone with them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agent.backend import Backend
from agent.loop import AgentSettings, StreamAgent
from stream.errors import NotFound
from stream.session import StreamSession
from stream.tasks import end

if TYPE_CHECKING:
    from agent.clips.service import Clips
    from agent.recording import Recording

log = logging.getLogger(__name__)

RESTART_S = 1.0


class Agents:
    """The agents of all streams, each run for as long as its stream lives. Event loop only."""

    def __init__(
        self,
        backend: Backend,
        settings: AgentSettings | None = None,
        recording: Recording | None = None,
        clips: Clips | None = None,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._recording = recording
        self._clips = clips
        self._agents: dict[str, StreamAgent] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def backend(self) -> Backend:
        return self._backend

    def use(self, backend: Backend) -> None:
        """Answer with another backend from the next question on."""
        self._backend = backend
        for agent in self._agents.values():
            agent.backend = backend

    def attach(self, session: StreamSession) -> StreamAgent:
        """Begin to watch a stream that was just opened."""
        before = self._agents.get(session.id)
        if before is not None:
            self._release(before)
        agent = StreamAgent(session, self._backend, self._settings)
        self._agents[session.id] = agent
        if self._recording is not None:
            agent.recorder = self._recording.attach(agent)
        if self._clips is not None:
            agent.clips = self._clips.attach(session)
        task = asyncio.create_task(self._run(agent), name=f"agent {session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return agent

    def of(self, session: StreamSession) -> StreamAgent:
        """Raises `NotFound` where the stream is ending."""
        try:
            return self._agents[session.id]
        except KeyError:
            raise NotFound(f"Stream {session.id} has been closed.") from None

    @property
    def all(self) -> list[StreamAgent]:
        return list(self._agents.values())

    async def close(self) -> None:
        await end(*self._tasks)
        await self._backend.close()

    async def _run(self, agent: StreamAgent) -> None:
        try:
            while True:
                if await self._ran(agent):
                    return
                await asyncio.sleep(RESTART_S)
        finally:
            if self._agents.get(agent.session.id) is agent:
                self._release(agent)
                del self._agents[agent.session.id]

    def _release(self, agent: StreamAgent) -> None:
        if self._clips is not None and agent.clips is not None:
            self._clips.release(agent.clips)
        if self._recording is not None:
            self._recording.release(agent)

    async def _ran(self, agent: StreamAgent) -> bool:
        """Run it to the end of its stream; False where it failed, which must not cost the stream its agent."""
        try:
            await agent.run()
        except Exception:
            log.exception("the agent of stream %s failed and begins again", agent.session.id)
            return False
        return True
