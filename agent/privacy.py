"""What streams hide, kept over restarts: a camera must not be open again because the server was started anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from agent.recording import Recording
from agent.store import private
from stream.errors import StoreError
from stream.privacy.settings import Privacy
from stream.session import StreamSession
from stream.tasks import begin, end

log = logging.getLogger(__name__)

AGAIN_S = 15.0


class PrivacyBook:
    """An async context manager; event loop only.

    `given` is what the operator's configuration hides: it holds at each start. What was chosen for other streams holds
    as it was last chosen. A store that is away is tried again; until it has been read, only what is given is hidden.
    """

    def __init__(self, recording: Recording, given: Mapping[str, Privacy | None], *, again_s: float = AGAIN_S) -> None:
        self._recording = recording
        self._chosen: dict[str, Privacy | None] = dict(given)
        self._again_s = again_s
        self._read = False
        self._open: set[StreamSession] = set()
        """Streams that were opened before the store was read."""
        self._unwritten: dict[str, Privacy | None] = {}
        self._later: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PrivacyBook:
        await self._catch_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._later)

    def attach(self, session: StreamSession) -> None:
        """Hide what is to be hidden in a stream that was just opened, before anything of it can be seen."""
        session.screen.set(self._chosen.get(session.id))
        if not self._read:
            self._open = {known for known in self._open if known.id != session.id} | {session}

    async def choose(self, session: StreamSession, privacy: Privacy | None) -> None:
        """Hide this from now on, also after a restart. Takes effect before anything is written."""
        session.screen.set(privacy)
        self._chosen[session.id] = self._unwritten[session.id] = privacy
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Read and write what has not been; later again where the store is away."""
        try:
            await self._read_once()
            for stream, privacy in list(self._unwritten.items()):
                await private.keep(self._recording.store, stream, privacy, datetime.now(UTC))
                if self._unwritten.get(stream) is privacy:
                    del self._unwritten[stream]
        except StoreError as error:
            if self._later is None or self._later.done():
                log.warning("What streams hide is not kept at present: %s", error.message)
                self._later = begin(self._again(), "privacy settings")

    async def _read_once(self) -> None:
        if self._read:
            return
        for stream, privacy in (await private.kept(self._recording.store)).items():
            self._chosen.setdefault(stream, privacy)
        self._read = True
        for session in self._open:
            session.screen.set(self._chosen.get(session.id))
        self._open.clear()

    async def _again(self) -> None:
        while not self._read or self._unwritten:
            await asyncio.sleep(self._again_s)
            await self._catch_up()
