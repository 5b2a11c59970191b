"""The token, the browser's sessions, and a brake on guessing. Nothing here logs or returns the token."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from stream.errors import BadInput, LimitReached, Unauthorized

COOKIE = "__Host-onlooker"
"""The prefix makes browsers insist on `Secure`, on this very host and on the path `/`."""
SESSION_S = 30 * 24 * 3600
MAX_SESSIONS = 100
WRONG_TOKENS_A_MINUTE = 5
REMEMBERED_ADDRESSES = 1024
MIN_TOKEN_CHARS = 16


class TooManyAttempts(LimitReached):
    code = "rate_limited"
    status = 429
    default_action = "Wait a minute, then give the token again."


def write_private(path: Path, text: str) -> None:
    """Write `path` whole, readable by this user only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def load_or_make_token(path: Path) -> tuple[str, bool]:
    """The token kept in `path`, and whether it was made just now. Raises `BadInput` for one that is too short."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        write_private(path, token + "\n")
        return token, True
    except OSError as error:
        raise BadInput(f"The token file cannot be read: {error.strerror}.", action=f"Correct {path}.") from error
    if len(token) < MIN_TOKEN_CHARS:
        message = f"The token in {path} is shorter than {MIN_TOKEN_CHARS} characters."
        raise BadInput(message, action="Delete the file: a new token is made at the next start.")
    return token, False


class AttemptBrake:
    """Counts wrong tokens per address (IPv6: per /64) in the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises `TooManyAttempts`."""
        wrong = self._wrong.get(_group(address))
        if wrong is None:
            return
        while wrong and wrong[0] <= self._clock() - 60:
            wrong.popleft()
        if len(wrong) >= WRONG_TOKENS_A_MINUTE:
            raise TooManyAttempts("Too many wrong tokens.")

    def wrong(self, address: str) -> None:
        group = _group(address)
        self._wrong.setdefault(group, deque(maxlen=WRONG_TOKENS_A_MINUTE)).append(self._clock())
        self._wrong.move_to_end(group)
        while len(self._wrong) > REMEMBERED_ADDRESSES:
            self._wrong.popitem(last=False)


class Sessions:
    """Browser sessions: only hashes are kept, in a private file, so that they outlive a restart."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._expires: dict[str, float] = self._load()

    def open(self) -> str:
        """A new session's cookie value. Beyond the cap the oldest session ends."""
        value = secrets.token_urlsafe(32)
        self._expires[_digest(value)] = self._clock() + SESSION_S
        while len(self._expires) > MAX_SESSIONS:
            del self._expires[min(self._expires, key=self._expires.__getitem__)]
        self._save()
        return value

    def valid(self, value: str) -> bool:
        return self._expires.get(_digest(value), 0.0) > self._clock()

    def close(self, value: str) -> None:
        if self._expires.pop(_digest(value), None) is not None:
            self._save()

    def _load(self) -> dict[str, float]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): float(at) for key, at in stored.items() if float(at) > self._clock()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}  # a damaged file only means that browsers ask for the token again

    def _save(self) -> None:
        now = self._clock()
        self._expires = {key: at for key, at in self._expires.items() if at > now}
        write_private(self._path, json.dumps(self._expires))


class Auth:
    """Who may call. Without a token (on loopback) everyone on this machine may."""

    def __init__(self, token: str | None, sessions: Sessions, brake: AttemptBrake | None = None) -> None:
        self._token = token
        self.sessions = sessions
        self.brake = brake or AttemptBrake()

    @property
    def required(self) -> bool:
        return self._token is not None

    def check_token(self, given: str, address: str) -> None:
        """Raises `Unauthorized`, or `TooManyAttempts` after five wrong ones within a minute."""
        if self._token is None:
            return
        self.brake.check(address)
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            self.brake.wrong(address)
            raise Unauthorized("The token is wrong.")

    def authenticate(self, authorization: str | None, cookie: str | None, address: str) -> bool:
        """True when the request carried a Bearer token, False when its session's cookie let it in.

        Raises `Unauthorized` or `TooManyAttempts`.
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            self.check_token(credentials.strip(), address)
            return True
        if self._token is None:
            return False
        value = session_cookie(cookie)
        if value is None or not self.sessions.valid(value):
            raise Unauthorized("This needs the token.")
        return False


def session_cookie(header: str | None) -> str | None:
    """The session's value in a `Cookie` header."""
    for part in (header or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def cookie_header(value: str, max_age_s: int = SESSION_S) -> str:
    return f"{COOKIE}={value}; Max-Age={max_age_s}; Path=/; Secure; HttpOnly; SameSite=Strict"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _group(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
