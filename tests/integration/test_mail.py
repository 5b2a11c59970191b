"""Alerts by e-mail through a real SMTP server: encrypted, logged in, with the picture, and what becomes of refusals."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.alerts import alert_in, until_counted
from tests.mail import mail_server
from tests.staged import RED, StagedStream
from tests.stored import health
from web.tls import ensure_certificate

FROM, TO = "Onlooker <onlooker@example.org>", "me@example.org"


def sinks(port: int, **values: Any) -> dict[str, Any]:
    given = {"kind": "smtp", "name": "mail", "host": "localhost", "port": port, "sender": FROM, "to": [TO]}
    return {"sinks": [{**given, "retry_s": 0.1, **values}]}


async def test_an_alert_is_mailed_with_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = ensure_certificate(tmp_path / "tls", ["localhost"], ["127.0.0.1"])
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    with mail_server(login=("me", "hunter2"), certificate=certificate) as mailbox:
        mailbox.answers = ["451 Later"]
        login = {"username": "me", "password_env": "MAIL_PASSWORD", "ca_file": str(certificate[0])}
        words = {"title": "$severity at $stream: $rule", "text": "$text\n$link", "zone": "UTC"}
        with StagedStream(tmp_path, blocks=(RED,), tables=sinks(mailbox.port, **login, **words)) as scene:
            told = await alert_in(scene)
            (sink,) = await until_counted(scene, delivered=1)
            async with scene.server.client() as http:
                shown = (await http.get("/v1/sinks")).text + (await http.get("/v1/config")).text
    (mail,) = mailbox.mails
    assert mailbox.encrypted == [True]
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == (FROM, TO, "auto-generated")
    assert mail["Subject"] == "warn at file: a person appears"
    plain, pictured = mail.get_body(("plain",)), mail.get_body(("related", "html"))
    assert plain is not None
    assert pictured is not None
    text, link = plain.get_content().splitlines()
    assert text.startswith("a person appears: Person #5")
    assert link == f"http://localhost:8000/?stream=cam&event={told['id']}"
    markup, picture = pictured.iter_parts()
    assert f"cid:{picture['Content-ID'][1:-1]}" in markup.get_content()
    assert picture.get_content_type() == "image/jpeg"
    assert picture.get_content().startswith(b"\xff\xd8\xff")
    assert (sink["dead"], "error" in sink) == (0, False)
    assert "hunter2" not in shown


async def test_tls_from_the_start_and_a_test_that_is_asked_for(tmp_path: Path) -> None:
    certificate = ensure_certificate(tmp_path / "tls", ["localhost"], ["127.0.0.1"])
    with mail_server(certificate=certificate, tls_at_once=True) as mailbox:
        values = {"security": "tls", "ca_file": str(certificate[0])}
        with StagedStream(tmp_path, blocks=(), tables=sinks(mailbox.port, **values)) as scene:
            async with scene.server.client() as http:
                tried = (await http.post("/v1/sinks/mail/test")).json()
    assert (tried["delivered"], tried["status"]) == (True, 250)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Onlooker: a test"


async def test_what_a_mail_server_refuses_is_a_dead_letter_and_sent_again_when_asked(tmp_path: Path) -> None:
    with mail_server() as mailbox:
        mailbox.answers = ["554 No such luck"]
        tables = sinks(mailbox.port, security="none")
        with StagedStream(tmp_path, blocks=(RED,), tables=tables) as scene:
            await alert_in(scene)
            await until_counted(scene, dead=1)
            async with scene.server.client() as http:
                (letter,) = (await http.get("/v1/sinks/mail/dead")).json()["items"]
                await http.post("/v1/sinks/mail/dead/retry")
                await until_counted(scene, delivered=1)
    assert letter["error"] == "The mail server answered 554 No such luck"
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("a wrong password", "refused the login (535)"),
        ("no encryption", "offers no encryption"),
        ("an unknown certificate", "certificate is not trusted"),
        ("nobody there", "cannot be reached"),
    ],
)
async def test_a_server_that_cannot_be_used_is_said_without_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, words: str
) -> None:
    caplog.set_level(logging.DEBUG)
    certificate = ensure_certificate(tmp_path / "tls", ["localhost"], ["127.0.0.1"])
    (tmp_path / "password").write_text("wrong-hunter2")
    values: dict[str, Any] = {"username": "me", "password_file": str(tmp_path / "password")}
    values |= {} if how == "an unknown certificate" else {"ca_file": str(certificate[0])}
    with mail_server(login=("me", "right"), certificate=None if how == "no encryption" else certificate) as mailbox:
        port = 9 if how == "nobody there" else mailbox.port
        with StagedStream(tmp_path, blocks=(), tables=sinks(port, **values)) as scene:
            async with scene.server.client() as http:
                tried = (await http.post("/v1/sinks/mail/test")).json()
                check = await health(http, "sink mail")
    assert words in tried["error"]
    assert words in check["message"]
    assert "hunter2" not in caplog.text + json.dumps([tried, check])
