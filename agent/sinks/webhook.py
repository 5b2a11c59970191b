"""Alerts to other programs over HTTP, signed.

The headers are those of the Standard Webhooks specification: `webhook-id` (the event's id, the same at each try),
`webhook-timestamp` (seconds) and `webhook-signature`, `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from agent.sinks.base import MOST_RETRY_S, Failure, Letter, Reply, Terms
from agent.store.rows import Delivery

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others later."""


@dataclass(slots=True)
class WebhookSink:
    """Posts to `url`; with `secret` each request is signed."""

    terms: Terms
    url: str
    secret: bytes | None = None
    kind: str = "webhook"
    pictured: bool = False
    stored: bool = True
    fault: str | None = None
    _client: httpx.AsyncClient | None = None

    @property
    def address(self) -> str:
        """Without path and query, which may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"

    @property
    def signed(self) -> bool:
        return self.secret is not None

    async def run(self, ready: Callable[[], None]) -> None:
        # No redirects: an address that the operator did not name is never called.
        async with httpx.AsyncClient(follow_redirects=False, timeout=None) as self._client:
            await asyncio.Event().wait()

    async def send(self, letter: Letter) -> Reply:
        assert self._client is not None
        delivery = letter.delivery
        signature = signed(self.secret, delivery, time.time())
        headers = {"content-type": "application/json", "user-agent": "onlooker", **signature}
        content = delivery.body.encode()
        try:
            # The answer's body is nobody's business and may be endless.
            async with self._client.stream("POST", self.url, content=content, headers=headers) as response:
                status = response.status_code
                return Reply(status, failure_of(status, response.headers.get("retry-after")))
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            return Reply(None, Failure(f"It cannot be reached ({why}).", passing=True))


def failure_of(status: int, after: str | None) -> Failure | None:
    """What an answer means; None for one that takes the alert."""
    if 200 <= status < 300:
        return None
    after_s = float(after) if after is not None and after.isascii() and after.isdigit() else 0.0
    return Failure(f"It answered {status}.", status in PASSING, min(after_s, MOST_RETRY_S))


def signed(secret: bytes | None, delivery: Delivery, now_s: float) -> dict[str, str]:
    """The headers that name and sign a delivery."""
    headers = {"webhook-id": delivery.event_id, "webhook-timestamp": str(int(now_s))}
    if secret is not None:
        content = f"{delivery.event_id}.{int(now_s)}.{delivery.body}".encode()
        digest = hmac.new(secret, content, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def secret_of(text: str) -> bytes:
    """The key in a secret file: base64 after `whsec_`, as the specification writes it, or else the text itself.
    Raises `ValueError` for an empty or broken one."""
    text = text.strip()
    if text.startswith("whsec_"):
        try:
            key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise ValueError("what follows whsec_ is not base64") from error
    else:
        key = text.encode()
    if not key:
        raise ValueError("it is empty")
    return key
