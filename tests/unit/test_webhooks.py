"""Webhooks: who is sent what, how it is signed, and when it is tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from agent.sinks.base import Failure, Terms, retry_after
from agent.sinks.webhook import WebhookSink, failure_of, secret_of, signed
from agent.store.rows import Delivery
from agent.types import Severity
from stream.config import load_config, public_config
from stream.errors import BadInput
from tests.stored import NOON
from web.sinks import make_sinks

TERMS = Terms("one", retries=3, retry_s=2.0)


@pytest.mark.parametrize(
    ("status", "after", "failure"),
    [
        (200, None, None),
        (204, None, None),
        (301, None, Failure("It answered 301.", False)),
        (404, None, Failure("It answered 404.", False)),
        (429, "30", Failure("It answered 429.", True, 30.0)),
        (429, "soon", Failure("It answered 429.", True)),
        (503, "999999", Failure("It answered 503.", True, 600.0)),
    ],
)
def test_what_an_answer_means(status: int, after: str | None, failure: Failure | None) -> None:
    assert failure_of(status, after) == failure


def test_waits_double_until_it_is_given_up() -> None:
    passing = Failure("It answered 503.", True)
    assert [retry_after(TERMS, tries, passing) for tries in (1, 2, 3, 4)] == [2.0, 4.0, 8.0, None]
    assert retry_after(TERMS, 1, Failure("It answered 429.", True, 30.0)) == 30.0
    assert retry_after(TERMS, 1, Failure("It answered 404.", False)) is None
    assert retry_after(Terms("x", retries=20, retry_s=600), 12, passing) == 600.0


def test_the_signature_is_that_of_the_standard() -> None:
    headers = signed(b"key", Delivery("d" * 32, "one", "e" * 32, '{"a":1}', NOON), 1234.9)
    digest = hmac.new(b"key", b"e" * 32 + b'.1234.{"a":1}', hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "e" * 32,
        "webhook-timestamp": "1234",
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    assert "webhook-signature" not in signed(None, Delivery("d", "x", "e", "{}", NOON), 0)


def test_a_secret_is_text_or_base64() -> None:
    assert secret_of("  plain words\n") == b"plain words"
    assert secret_of("whsec_" + base64.b64encode(b"\0key").decode()) == b"\0key"
    for broken in ("", " \n", "whsec_", "whsec_%%%"):
        with pytest.raises(ValueError, match=r"empty|base64"):
            secret_of(broken)


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "onlooker.toml"
    monkeypatch.setenv("ONLOOKER_CONFIG", str(path))
    return path


def test_sinks_come_from_the_configuration(toml: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    toml.write_text(
        f'[[sinks]]\nurl = "https://host.example/T0/hunter2"\nsecret_file = "{tmp_path}/secret"\n'
        '[[sinks]]\nurl = "http://10.0.0.7:9000/"\nname = "siren"\nmin_severity = "critical"\nretries = 0\n'
        '[store]\nurl = "postgresql://me:hunter2@db/onlooker"\nmax_mb = 100\n'
    )
    config = load_config()
    first, second, browser = make_sinks(config)
    assert isinstance(first, WebhookSink)
    assert (first.terms.name, first.url, first.secret) == ("webhook-1", "https://host.example/T0/hunter2", b"s3cret")
    terms = second.terms
    assert (terms.name, terms.min_severity, terms.retries) == ("siren", Severity.CRITICAL, 0)
    assert (browser.kind, browser.terms.name) == ("browser", "browser")
    shown = public_config(config)
    assert "hunter2" not in str(shown)
    assert shown["sinks"][0]["url"] == "https://host.example"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[sinks]]\nurl = "ftp://host/"\n', "sinks.url"),
        ('[[sinks]]\nurl = "http://host/"\nsecret_file = "/nowhere/secret"\n', "secret_file|/nowhere/secret"),
        ('[[sinks]]\nurl = "http://a/"\nname = "x"\n[[sinks]]\nurl = "http://b/"\nname = "x"\n', "Two sinks"),
        ('[[sinks]]\nurl = "http://host/"\nmin_severty = "warn"\n', "sinks.min_severty"),
    ],
)
def test_a_wrong_sink_is_told(toml: Path, text: str, words: str) -> None:
    toml.write_text(text)
    with pytest.raises(BadInput, match=words):
        make_sinks(load_config())
