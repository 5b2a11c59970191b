"""The event store and the sinks as they are configured."""

from __future__ import annotations

from datetime import timedelta

from agent.recording import Recording
from agent.store.opening import open_store, store_url
from agent.store.retention import Limits
from agent.types import Severity
from agent.webhooks import Sink, Webhooks, secret_of
from stream.config import Config, SinkConfig, data_dir
from stream.errors import BadInput
from web.agent_wire import alert_text


def make_recording(config: Config, boot: str) -> Recording:
    """Opened when it is entered. Raises `BadInput` for an address or a secret that cannot be used."""
    url = store_url(config.store.url, data_dir())
    limits = Limits(timedelta(days=config.store.max_age_days), config.store.max_mb * 1024 * 1024)
    where = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    webhooks = Webhooks(make_sinks(config), alert_text)
    return Recording(lambda: open_store(url), boot=boot, where=where, limits=limits, webhooks=webhooks)


def make_sinks(config: Config) -> list[Sink]:
    """Raises `BadInput`."""
    sinks = [_sink(sink, number) for number, sink in enumerate(config.sinks, 1)]
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"Two sinks are called {name}.", action="Give each of [[sinks]] a name of its own.")
    return sinks


def _sink(sink: SinkConfig, number: int) -> Sink:
    secret = None
    if sink.secret_file is not None:
        try:
            secret = secret_of(sink.secret_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"The secret in {sink.secret_file} cannot be used: {error}."
            raise BadInput(message, action="Correct sinks.secret_file.") from error
    return Sink(
        sink.name or f"{sink.kind}-{number}", sink.url, secret, Severity(sink.min_severity), sink.retries, sink.retry_s,
        sink.timeout_s,
    )  # fmt: skip
