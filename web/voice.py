"""Speech: what turns it into words, and the microphone sessions of the clients."""

from __future__ import annotations

from agent.speech.types import VoiceStatus
from agent.types import AgentError

INSTALL = "Run: pip install 'onlooker[voice]', then onlooker models fetch voice."


class Voice:
    """What the clients share of it. Event loop only."""

    def __init__(self) -> None:
        self.status = VoiceStatus(error=AgentError("voice_missing", "Speech needs faster-whisper.", INSTALL))


def microphone_address(stream_id: str, client: str) -> str:
    """Where a client opens its microphone session; `client` is known to it alone."""
    return f"/v1/streams/{stream_id}/microphone?client={client}"
