"""Whether a camera sends its clients on to another host, asked before FFmpeg is, which would follow. Blocking."""

from __future__ import annotations

from urllib.parse import urlsplit

from stream.errors import SourceError
from stream.sources.addresses import Target
from stream.sources.trust import Trust

MOST_BYTES = 16 * 1024


def refuse_redirect(target: Target, address: str, timeout_s: float, trust: Trust) -> None:
    """Raises `SourceError` where `target`, resolved to `address`, answers with another host; `OSError` where it does
    not answer, or its certificate is not accepted."""
    place = _location(_answer(target, address, timeout_s, trust))
    if place is None:
        return
    try:
        host = urlsplit(place).hostname
    except ValueError:
        host = None
    if host not in (target.host, address):
        message = f"{target.host} sends on to another host, {host or 'which it does not name'}."
        raise SourceError(message, action="Give that address itself.", code="source_redirected")


def _answer(target: Target, address: str, timeout_s: float, trust: Trust) -> bytes:
    """The head of the answer to a DESCRIBE without a login."""
    request = f"DESCRIBE {target.url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: onlooker\r\n\r\n"
    with trust.connected(target, address, timeout_s) as sock:
        sock.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MOST_BYTES:
            piece = sock.recv(4096)
            if not piece:
                break
            answer += piece
    return answer


def _location(answer: bytes) -> str | None:
    """Where a redirect leads; None for any other answer."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = head[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("RTSP/") or not words[1].startswith("3"):
        return None
    fields = (line.partition(":") for line in head[1:])
    return next((value.strip() for name, _, value in fields if name.strip().lower() == "location"), "")
