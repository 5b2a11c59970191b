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

log = logging.getLogger(__name__)

AGAIN_S = 15.0


class PrivacyBook:
    """An async context manager; event loop only.

    `given` is what the operator's configuration hides: it holds at each start. What was chosen for other streams holds
    as it was last chosen.
    """

    def __init__(self, recording: Recording, given: Mapping[str, Privacy | None], *, again_s: float = AGAIN_S) -> None:
        self._recording = recording
        self._chosen: dict[str, Privacy | None] = dict(given)
        self._again_s = again_s
        self._unread: set[StreamSession] = set()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PrivacyBook:
        try:
            await self._read()
        except StoreError as error:
            log.warning("what streams hide cannot be read: %s Only what onlooker.toml says is hidden.", error.message)
            self._reading = asyncio.create_task(self._read_later(), name="privacy settings")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def attach(self, session: StreamSession) -> None:
        """Hide what is to be hidden in a stream that was just opened, before anything of it can be seen."""
        session.screen.set(self._chosen.get(session.id))
        if self._reading is not None and not self._reading.done():
            self._unread = {known for known in self._unread if known.id != session.id} | {session}

    async def choose(self, session: StreamSession, privacy: Privacy | None) -> None:
        """Hide this from now on. Takes effect before anything is written. Raises `StoreError` where it holds until the
        next start only."""
        session.screen.set(privacy)
        self._chosen[session.id] = privacy
        await private.keep(self._recording.store, session.id, privacy, datetime.now(UTC))

    async def _read(self) -> None:
        for stream, privacy in (await private.kept(self._recording.store)).items():
            self._chosen.setdefault(stream, privacy)
        for session in self._unread:
            session.screen.set(self._chosen.get(session.id))
        self._unread.clear()

    async def _read_later(self) -> None:
        while True:
            await asyncio.sleep(self._again_s)
            try:
                return await self._read()
            except StoreError as error:
                log.debug("what streams hide still cannot be read: %s", error.message)
