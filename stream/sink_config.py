"""`[[sinks]]` of the configuration: where alerts are told outside. Addresses come from the operator, so they may be
any."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from stream.section import Section, UserPath

Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^\s/@]+$")]
MailAddress = Annotated[str, Field(max_length=254, pattern=r"^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$")]
Topic = Annotated[str, Field(pattern=r"^[^/+#\s\x00]+(/[^/+#\s\x00]+)*$", max_length=128)]


class QuietConfig(Section):
    """When nothing is told."""

    hours: Annotated[tuple[str, ...], Field(min_length=1)]
    """Such as `22:00-07:00`, or `sat,sun 20:00-10:00`; a night belongs to the day on which it begins."""
    critical: bool = True
    """Critical alerts are told all the same."""
    then: Literal["sum", "drop"] = "sum"
    """What was quiet is summed up in one message afterwards, or dropped."""


class SinkTerms(Section):
    """What all kinds share."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    """`webhook-1` and so on, if none is given."""
    min_severity: Literal["info", "warn", "critical"] = "info"
    streams: tuple[Annotated[str, Field(min_length=1, max_length=63)], ...] = ()
    """Ids, or patterns such as `front-*`; all, if none is given."""
    events: tuple[Literal["alert", "offline", "online", "frozen", "unfrozen"], ...] = ()
    """What is told; all of it, if none is given."""
    title: Annotated[str, Field(max_length=1000)] | None = None
    text: Annotated[str, Field(max_length=10_000)] | None = None
    """Templates: $stream, $text, $label, $zone, $severity, $time, $link, $rule, $kind, $id."""
    zone: str | None = None
    """The time zone of $time and of quiet hours, such as Europe/Berlin; the machine's own, if none is given."""
    dedup_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    """The same rule tells of the same object in the same stream once in so long."""
    quiet: QuietConfig | None = None
    retries: Annotated[int, Field(ge=0, le=20)] = 10
    retry_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    """The first retry comes after so long, each later one after twice as long."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0


class WebhookConfig(SinkTerms):
    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://[^/]")]
    secret_file: UserPath | None = None
    """Holds the key that signs each request."""
    retries: Annotated[int, Field(ge=0, le=20)] = 6


class Login(Section):
    """The password is in a file or in an environment variable, never in the configuration itself."""

    username: str | None = None
    password_file: UserPath | None = None
    password_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    ca_file: UserPath | None = None
    """The authority that signed the server's certificate, where the machine does not know it."""

    @model_validator(mode="after")
    def _one_password(self) -> Login:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("the password is in password_file or in password_env, not in both")
        if self.username is None and (self.password_file or self.password_env):
            raise ValueError("a password needs its username")
        return self


class MqttConfig(SinkTerms, Login):
    kind: Literal["mqtt"]
    url: Annotated[str, Field(pattern=r"^mqtts?://[^/@\s]+/?$")]
    """`mqtt://host:1883`, or `mqtts://host:8883` for TLS."""
    topic: Topic = "onlooker"
    """What all topics begin with; each server needs one of its own."""
    discovery: Topic | Literal[""] = "homeassistant"
    """Home Assistant's prefix; empty for none."""
    picture_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How often each stream's picture is sent; 0 for never."""


class SmtpConfig(SinkTerms, Login):
    kind: Literal["smtp"]
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """587, or 465 with `security = "tls"`, or 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: MailAddress
    to: Annotated[tuple[MailAddress, ...], Field(min_length=1, max_length=50)]
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0


class BrowserConfig(SinkTerms):
    """Notifications in the pages that are open. There is one of its own accord; naming it sets its terms."""

    kind: Literal["browser"]


def _kind(value: Any) -> str:
    kind = value.get("kind", "webhook") if isinstance(value, dict) else getattr(value, "kind", "webhook")
    return str(kind)


SinkConfig = Annotated[
    Annotated[WebhookConfig, Tag("webhook")]
    | Annotated[MqttConfig, Tag("mqtt")]
    | Annotated[SmtpConfig, Tag("smtp")]
    | Annotated[BrowserConfig, Tag("browser")],
    Discriminator(_kind),
]
SINK_KINDS: dict[str, type[BaseModel]] = {
    "webhook": WebhookConfig, "mqtt": MqttConfig, "smtp": SmtpConfig, "browser": BrowserConfig
}  # fmt: skip
