"""Whether a camera sends its clients on to another host, asked before FFmpeg is, which would follow. Blocking."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from stream.errors import SourceError
from stream.sources.addresses import Target

MOST_BYTES = 16 * 1024


def refuse_redirect(target: Target, address: str, timeout_s: float) -> None:
    """Raises `SourceError` where `target`, resolved to `address`, answers with another host; `OSError` where it does
    not answer."""
    place = _location(_answer(target, address, timeout_s))
    if place is None:
        return
    try:
        host = urlsplit(place).hostname
    except ValueError:
        host = None
    if host not in (target.host, address):
        message = f"{target.host} sends on to another host, {host or 'which it does not name'}."
        raise SourceError(message, action="Give that address itself.", code="source_redirected")


def _answer(target: Target, address: str, timeout_s: float) -> bytes:
    """The head of the answer to a DESCRIBE without a login."""
    request = f"DESCRIBE {target.url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: onlooker\r\n\r\n"
    with socket.create_connection((address, target.port), timeout_s) as plain:
        sock = _unverified().wrap_socket(plain, server_hostname=target.host) if target.scheme == "rtsps" else plain
        sock.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MOST_BYTES:
            piece = sock.recv(4096)
            if not piece:
                break
            answer += piece
    return answer


def _unverified() -> ssl.SSLContext:
    """Cameras have certificates of their own making; FFmpeg takes them as well."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _location(answer: bytes) -> str | None:
    """Where a redirect leads; None for any other answer."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = head[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("RTSP/") or not words[1].startswith("3"):
        return None
    fields = (line.partition(":") for line in head[1:])
    return next((value.strip() for name, _, value in fields if name.strip().lower() == "location"), "")
