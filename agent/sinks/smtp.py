"""Alerts by e-mail: a message with the event's picture, handed to a mail server."""

from __future__ import annotations

import asyncio
import html
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Literal

import aiosmtplib

from agent.sinks.base import Failure, Letter, Reply, Terms

BUSY = 421
AUTH_TEMPORARY = 454
MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class MailServer:
    """`starttls` begins in plain words and insists on encryption; `tls` is encrypted from the start."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None where `security` is."""


@dataclass(slots=True)
class SmtpSink:
    terms: Terms
    server: MailServer
    kind: str = "smtp"
    signed: bool = False
    pictured: bool = True
    stored: bool = True
    fault: str | None = None

    @property
    def address(self) -> str:
        return f"{self.server.host}:{self.server.port}"

    async def run(self, ready: Callable[[], None]) -> None:
        await asyncio.Event().wait()

    async def send(self, letter: Letter) -> Reply:
        server = self.server
        try:
            _, answer = await aiosmtplib.send(
                mail_of(letter, server),
                sender=server.sender,
                recipients=list(server.to),
                hostname=server.host,
                port=server.port,
                username=server.username,
                password=server.password,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                tls_context=server.tls,
                timeout=self.terms.timeout_s,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            return _failed(error)
        return Reply(250 if answer else None, None)


def mail_of(letter: Letter, server: MailServer) -> EmailMessage:
    """The title as subject; the text, and for those who show it an HTML part with the picture inline."""
    message = letter.message
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = str(message.get("title") or "Onlooker")
    mail["From"] = server.sender
    mail["To"] = ", ".join(server.to)
    mail["Date"] = format_datetime(letter.delivery.at)
    # The same at each try, so that a mail server or reader can tell that it is the same message.
    domain = server.sender.rpartition("@")[2].strip("<> ") or "onlooker"
    mail["Message-ID"] = f"<{letter.delivery.id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    text = str(message.get("text") or message.get("title") or "")
    mail.set_content(text)
    if letter.thumb is not None:
        picture = make_msgid(domain=domain)
        shown = html.escape(text).replace("\n", "<br>\n")
        mail.add_alternative(f'<p>{shown}</p>\n<p><img src="cid:{picture[1:-1]}" alt=""></p>\n', subtype="html")
        part = mail.get_payload()[1]  # type: ignore[index]
        part.add_related(letter.thumb, "image", "jpeg", cid=picture, filename="picture.jpg", disposition="inline")  # type: ignore[union-attr]
    return mail


def _failed(error: Exception) -> Reply:
    """In words that hold no secret: a server may quote what it was sent, so its text is told for refused mail only."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            passing = error.code in (BUSY, AUTH_TEMPORARY)
            return Reply(error.code, Failure(f"The mail server refused the login ({error.code}).", passing))
        case aiosmtplib.SMTPRecipientsRefused():
            codes = [one.code for one in error.recipients]
            words = "; ".join(f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
            passing = all(400 <= code < 500 for code in codes)
            return Reply(codes[0], Failure(f"The mail server refused {words}"[:MOST_WORDS], passing))
        case aiosmtplib.SMTPSenderRefused() | aiosmtplib.SMTPDataError():
            passing = 400 <= error.code < 500
            words = f"The mail server answered {error.code} {error.message}"[:MOST_WORDS]
            return Reply(error.code, Failure(words, passing))
        case aiosmtplib.SMTPResponseException():
            passing = 400 <= error.code < 500
            return Reply(error.code, Failure(f"The mail server answered {error.code}.", passing))
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        message = "The mail server's certificate is not trusted; name its authority in ca_file."
        return Reply(None, Failure(message, passing=True))
    if "STARTTLS" in text.upper():
        message = "The mail server offers no encryption (STARTTLS)."
        return Reply(None, Failure(message, passing=False))
    return Reply(None, Failure(f"The mail server cannot be reached ({text[:MOST_WORDS]}).", passing=True))
