"""A real SMTP server, aiosmtpd, that keeps what it is handed."""

from __future__ import annotations

import email
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.cameras.rtsp import free_port


@dataclass
class Mailbox:
    """`answers` are given in turn to messages, then 250 for ever."""

    port: int
    answers: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.encrypted.append(session.ssl is not None)
        return "250 Taken"


@contextmanager
def mail_server(
    *, login: tuple[str, str] | None = None, certificate: tuple[Path, Path] | None = None, tls_at_once: bool = False
) -> Iterator[Mailbox]:
    """On loopback. With `certificate` it speaks TLS, after STARTTLS or at once; it takes that `login` only."""
    mailbox = Mailbox(free_port())
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def known(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == login, handled=False)

    options: dict[str, Any] = {"authenticator": known, "auth_required": True} if login is not None else {}
    if context is not None and not tls_at_once:
        options |= {"tls_context": context, "require_starttls": True}
    options |= {"auth_require_tls": not tls_at_once} if login is not None else {}
    at_once = context if tls_at_once else None
    controller = Controller(mailbox, "127.0.0.1", mailbox.port, ssl_context=at_once, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
