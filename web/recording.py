"""The event store and the sinks as they are configured."""

from __future__ import annotations

from datetime import timedelta

from agent.recording import Recording
from agent.sinks.dispatch import Dispatcher
from agent.sinks.mqtt import Roster
from agent.store.opening import open_store, store_url
from agent.store.retention import Limits
from stream.config import Config, data_dir
from web.agent_wire import alert_message
from web.sinks import make_sinks, nobody


def make_recording(config: Config, boot: str, roster: Roster = nobody) -> Recording:
    """Opened when it is entered. Raises `BadInput` for an address or a secret that cannot be used."""
    url = store_url(config.store.url, data_dir())
    limits = Limits(timedelta(days=config.store.max_age_days), config.store.max_mb * 1024 * 1024)
    where = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    sinks = Dispatcher(make_sinks(config, roster), alert_message)
    return Recording(lambda: open_store(url), boot=boot, where=where, limits=limits, sinks=sinks)
