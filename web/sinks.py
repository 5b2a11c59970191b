"""Sinks as they are configured, and as the API shows them."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.agents import Agents
from agent.loop import StreamAgent
from agent.schedule import Schedule
from agent.sinks.base import Sink, Terms
from agent.sinks.browser import BrowserSink
from agent.sinks.dispatch import SinkState
from agent.sinks.mqtt import Broker, MqttSink, Roster
from agent.sinks.quiet import QuietHours, local_zone, parse_hours
from agent.sinks.smtp import MailServer, SmtpSink
from agent.sinks.webhook import WebhookSink, secret_of
from agent.sinks.wording import TEXT, TITLE, Wording
from agent.types import Severity
from stream.config import Config
from stream.errors import BadInput
from stream.sink_config import BrowserConfig, Login, MqttConfig, SinkConfig, SinkTerms, SmtpConfig
from web.secret_files import password_in, read_secret
from web.wire import Json

MAIL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
PAGE_TITLE = "$stream"
PAGE_TEXT = "$text"


def nobody() -> Sequence[StreamAgent]:
    return ()


@dataclass(slots=True)
class Streams:
    """The streams that sinks tell of: none before there are `agents`, and no news of them once the server is leaving,
    since a stream that ends with it was not removed."""

    agents: Agents | None = None
    leaving: bool = False

    def __call__(self) -> Sequence[StreamAgent] | None:
        if self.leaving:
            return None
        return self.agents.all if self.agents is not None else ()

    def leave(self) -> None:
        self.leaving = True


def make_sinks(config: Config, roster: Roster = nobody) -> list[Sink]:
    """All that are configured, and one for the pages that are open. Raises `BadInput` for a secret that cannot be read,
    quiet hours or a template that cannot be understood."""
    wanted = [*config.sinks]
    if not any(isinstance(sink, BrowserConfig) for sink in wanted):
        wanted.append(BrowserConfig(kind="browser", name="browser"))
    sinks = [_sink(sink, number, config, roster) for number, sink in enumerate(wanted, 1)]
    names = [sink.terms.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"Two sinks are called {name}.", action="Give each of [[sinks]] a name of its own.")
    if sum(isinstance(sink, BrowserSink) for sink in sinks) > 1:
        raise BadInput("There are two sinks for browsers.", action="Leave one of kind browser in [[sinks]].")
    return sinks


def _sink(sink: SinkConfig, number: int, config: Config, roster: Roster) -> Sink:
    terms = _terms(sink, number, config)
    match sink:
        case MqttConfig():
            broker = Broker(
                sink.url, sink.topic, sink.username, password_of(sink), sink.discovery,
                picture_s=sink.picture_s, page_url=page_url(config),
                tls=_tls(sink.ca_file, secure=sink.url.startswith("mqtts:")),
            )  # fmt: skip
            return MqttSink(terms, broker, roster)
        case SmtpConfig():
            port = sink.port or MAIL_PORTS[sink.security]
            tls = _tls(sink.ca_file, secure=sink.security != "none")
            server = MailServer(
                sink.host, port, sink.sender, sink.to, sink.security, sink.username, password_of(sink), tls
            )
            return SmtpSink(terms, server)
        case BrowserConfig():
            return BrowserSink(terms)
    secret = None
    if sink.secret_file is not None:
        secret = read_secret(sink.secret_file, "secret", "sinks.secret_file", secret_of)
    return WebhookSink(terms, sink.url, secret)


def _terms(sink: SinkConfig, number: int, config: Config) -> Terms:
    zone = sink.zone or local_zone()
    Schedule(zone=zone)  # raises BadInput for an unknown one
    quiet = None
    if sink.quiet is not None:
        hours = tuple(parse_hours(text, zone) for text in sink.quiet.hours)
        quiet = QuietHours(hours, sink.quiet.critical, sink.quiet.then)
    return Terms(
        name=sink.name or f"{sink.kind}-{number}",
        min_severity=Severity(sink.min_severity),
        streams=sink.streams,
        kinds=frozenset(sink.events),
        retries=sink.retries,
        retry_s=sink.retry_s,
        timeout_s=sink.timeout_s,
        dedup_s=sink.dedup_s,
        quiet=quiet,
        wording=_wording(sink, zone, page_url(config)),
    )


def _wording(sink: SinkTerms, zone: str, base_url: str) -> Wording | None:
    """None where nobody reads it: a program that is sent the event itself."""
    kind = getattr(sink, "kind", "")
    if kind == "webhook" and sink.title is None and sink.text is None:
        return None
    title, text = (PAGE_TITLE, PAGE_TEXT) if kind == "browser" else (TITLE, TEXT)
    return Wording(sink.title or title, sink.text or text, zone, base_url)


def password_of(login: Login) -> str | None:
    """Raises `BadInput`, which names where the password is looked for and not what was found."""
    if login.password_env is not None:
        password = os.environ.get(login.password_env)
        if not password:
            message = f"The environment variable {login.password_env} holds no password."
            raise BadInput(message, action="Set it, or correct sinks.password_env.")
        return password
    if login.password_file is None:
        return None
    return read_secret(login.password_file, "password", "sinks.password_file", password_in)


def _tls(ca_file: Path | None, *, secure: bool) -> ssl.SSLContext | None:
    """Made once, since it reads all authorities from the disk; None for a connection in plain words. Raises
    `BadInput`."""
    if not secure and ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise BadInput(f"{ca_file} holds no certificate that can be used.", action="Correct sinks.ca_file.") from None
    return context if secure else None


def page_url(config: Config) -> str:
    """Where people reach the page."""
    server = config.server
    if server.public_url is not None:
        return server.public_url
    host = "localhost" if server.loopback else server.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    scheme = "http" if server.loopback else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"


def sink_row(state: SinkState) -> Json:
    """A sink as the API lists it."""
    sink, terms = state.sink, state.sink.terms
    return {
        "name": state.name,
        "kind": sink.kind,
        "url": sink.address,
        "min_severity": terms.min_severity.value,
        "streams": list(terms.streams),
        "events": sorted(terms.kinds),
        "signed": sink.signed,
        "quiet": state.quiet(datetime.now(UTC)),
        "delivered": state.delivered,
        "waiting": len(state.queue) + state.sending,
        "held": len(state.held),
        "repeated": state.repeated,
        "hushed": state.hushed,
        "dead": state.dead,
        "error": state.fault,
    }
