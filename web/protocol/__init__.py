"""The wire, version 1: the one schema of every message, both ways.

Coordinates are in [0, 1] of the picture, origin top left. `rtp` is a u32 of the publisher's RTP clock, `pts` counts
90 kHz ticks from the start of an epoch; `*_ms` and `*_s` are durations, `*_at` and `at` RFC 3339 in UTC. Unknown
fields are ignored. `web/static/protocol.d.ts` is made from these files by `python -m web.declarations`.
"""

from __future__ import annotations

from pydantic import TypeAdapter

from web.protocol.client import ClientMessage
from web.protocol.server import ServerMessage

SERVER_MESSAGE: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)
