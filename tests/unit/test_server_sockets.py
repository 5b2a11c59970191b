"""The sockets that the server listens on."""

from __future__ import annotations

import asyncio
import socket

from web.server import open_sockets


async def test_small_writes_are_not_held_back() -> None:
    """Nagle's algorithm would make an answer in two writes, or a small message after another, up to 40 ms late."""
    without_delay: asyncio.Queue[int] = asyncio.Queue()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted: socket.socket = writer.get_extra_info("socket")
        without_delay.put_nowait(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    for listening in open_sockets("localhost", 0):
        host, port = listening.getsockname()[:2]
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(host, port)
            assert await without_delay.get() != 0
            writer.close()
            await writer.wait_closed()
