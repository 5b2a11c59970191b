"""Token, sessions, the brake on guessing, host and origin rules, certificates: without a network."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from stream.errors import BadInput, Unauthorized
from web.auth import (
    COOKIE,
    MAX_SESSIONS,
    SESSION_S,
    AttemptBrake,
    Auth,
    Sessions,
    TooManyAttempts,
    cookie_header,
    load_or_make_token,
    session_cookie,
)
from web.guard import host_name, make_reach
from web.tls import ensure_certificate, fingerprint

TOKEN = "correct-horse-battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_token_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "token"
    token, made = load_or_make_token(path)
    assert made
    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_make_token(path) == (token, False)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    with pytest.raises(BadInput, match="shorter") as caught:
        load_or_make_token(path)
    assert "secret" not in caught.value.message + caught.value.action


def test_bearer_and_cookie_let_in(tmp_path: Path) -> None:
    auth = Auth(TOKEN, Sessions(tmp_path / "sessions.json"))
    assert auth.authenticate(f"Bearer {TOKEN}", None, "10.0.0.9") is True
    value = auth.sessions.open()
    assert auth.authenticate(None, f"a=b; {COOKIE}={value}; bad;;=", "10.0.0.9") is False
    for authorization, cookie in ((None, None), ("Bearer no", None), ("Basic x", None), (None, f"{COOKIE}=no")):
        with pytest.raises(Unauthorized):
            auth.authenticate(authorization, cookie, "10.0.0.8")


def test_without_a_token_all_of_this_machine_may(tmp_path: Path) -> None:
    auth = Auth(None, Sessions(tmp_path / "sessions.json"))
    assert not auth.required
    assert auth.authenticate(None, None, "127.0.0.1") is False


def test_five_wrong_tokens_a_minute_then_wait(tmp_path: Path) -> None:
    clock = Clock()
    auth = Auth(TOKEN, Sessions(tmp_path / "sessions.json"), AttemptBrake(clock))
    for _ in range(5):
        with pytest.raises(Unauthorized):
            auth.check_token("wrong", "10.0.0.9")
    with pytest.raises(TooManyAttempts):
        auth.check_token(TOKEN, "10.0.0.9")
    auth.check_token(TOKEN, "10.0.0.10")
    clock.now += 61
    auth.check_token(TOKEN, "10.0.0.9")


def test_the_brake_counts_an_ipv6_network_as_one_and_stays_small() -> None:
    brake = AttemptBrake(Clock())
    for index in range(5):
        brake.wrong(f"2001:db8::{index:x}")
    with pytest.raises(TooManyAttempts):
        brake.check("2001:db8::ffff")
    brake.check("2001:db8:0:1::1")
    for index in range(5000):
        brake.wrong(f"10.1.{index // 250}.{index % 250}")
    assert len(brake._wrong) <= 1024


def test_sessions_end_after_thirty_days_and_by_revoking(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path / "sessions.json", clock)
    first, second = sessions.open(), sessions.open()
    sessions.close(second)
    assert sessions.valid(first)
    assert not sessions.valid(second)
    assert Sessions(tmp_path / "sessions.json", clock).valid(first)
    clock.now += SESSION_S
    assert not sessions.valid(first)
    assert not Sessions(tmp_path / "sessions.json", clock).valid(first)


def test_sessions_are_stored_hashed_private_and_few(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    clock = Clock()
    sessions = Sessions(path, clock)
    values = []
    for _ in range(MAX_SESSIONS + 1):
        clock.now += 1
        values.append(sessions.open())
    stored = path.read_text()
    assert not any(value in stored for value in values)
    assert len(json.loads(stored)) == MAX_SESSIONS
    assert not sessions.valid(values[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"a": "b"}'])
def test_a_damaged_session_file_only_ends_the_sessions(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_text(content)
    sessions = Sessions(path)
    assert sessions.valid(sessions.open())


def test_the_cookie_is_for_https_this_host_and_no_script() -> None:
    header = cookie_header("v")
    assert header.startswith("__Host-onlooker=v;")
    for attribute in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/", f"Max-Age={30 * 86400}"):
        assert attribute in header
    assert session_cookie("__Host-onlookers=1; x__Host-onlooker=2") is None


@pytest.mark.parametrize(
    ("host", "loopback", "served"),
    [
        ("localhost", True, True),
        ("LOCALHOST:8000", True, True),
        ("127.0.0.1:8000", True, True),
        ("[::1]:8000", True, True),
        ("evil.example", True, False),
        ("localhost.evil.example", True, False),
        ("127.0.0.1.nip.io", True, False),
        ("192.168.1.7", True, False),
        ("192.168.1.7:8000", False, True),
        ("[2001:db8::1]:8000", False, True),
        ("cam.example", False, True),
        ("evil.example", False, False),
        ("", True, False),
        ("localhost/x", True, False),
        ("user@localhost", True, False),
        ("localhost:port", True, False),
        ("[::1", True, False),
    ],
)
def test_only_own_names_are_served(host: str, loopback: bool, served: bool) -> None:
    reach = make_reach(loopback, [] if loopback else ["Cam.example"], [])
    assert reach.serves(host) is served


def test_host_names_are_read_without_port() -> None:
    assert host_name("Example.COM:1") == "example.com"
    assert host_name("[::1]:80") == "::1"


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "allowed"),
    [
        ("http://localhost:8000", "http", "localhost:8000", True),
        ("http://localhost", "http", "localhost:80", True),
        ("https://cam.example", "https", "cam.example:443", True),
        ("http://localhost:3000", "http", "localhost:8000", False),
        ("https://localhost:8000", "http", "localhost:8000", False),
        ("https://studio.example:444", "http", "localhost:8000", True),
        ("http://evil.example", "http", "localhost:8000", False),
        ("null", "http", "localhost:8000", False),
        ("", "http", "localhost:8000", False),
    ],
)
def test_only_own_pages_and_allowed_ones_may_call(origin: str, scheme: str, host: str, allowed: bool) -> None:
    assert make_reach(True, [], ["https://Studio.example:444/"]).allows(origin, scheme, host) is allowed


def test_the_certificate_is_p256_names_all_and_is_kept(tmp_path: Path) -> None:
    certificate_path, key_path = ensure_certificate(tmp_path, ["localhost", "cam.local"], ["127.0.0.1", "2001:db8::1"])
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "cam.local"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "2001:db8::1"]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    before = fingerprint(certificate_path)
    assert len(before.split(":")) == 32
    ensure_certificate(tmp_path, ["localhost"], ["127.0.0.1"])
    assert fingerprint(certificate_path) == before
    ensure_certificate(tmp_path, ["localhost"], ["10.9.8.7"])
    assert fingerprint(certificate_path) != before


def test_a_certificate_that_cannot_be_read_is_an_error_in_words(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text("not a certificate")
    with pytest.raises(BadInput, match="cannot be read"):
        fingerprint(path)
