"""Home Assistant's MQTT discovery: one retained message a stream describes the device and all of its entities.

The message is that of device discovery: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
Pure functions.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from agent.sinks.roster import Presence
from stream.version import VERSION

Json = dict[str, Any]
OFF_DELAY_S = 30
"""So long after an alert its sensor is on."""


def slug(text: str) -> str:
    """`text` as a key that topics, templates and ids can hold; other letters than a-z make it a hash."""
    found = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if found and text.isascii():
        return found[:40]
    return "x" + hashlib.sha256(text.encode()).hexdigest()[:10]


def device_id(topic: str, stream: str) -> str:
    """Names a stream of this server among all devices."""
    return f"{slug(topic)}_{stream.replace('-', '_')}"


def config_topic(prefix: str, topic: str, stream: str) -> str:
    return f"{prefix}/device/{device_id(topic, stream)}/config"


def device_config(topic: str, presence: Presence, page_url: str) -> Json:
    """What announces a stream under `topic`, the server's own prefix. `page_url` may be empty."""
    unique = device_id(topic, presence.id)
    base = f"{topic}/{presence.id}"
    device: Json = {
        "identifiers": [unique],
        "name": presence.name,
        "manufacturer": "Onlooker",
        "model": f"Camera ({presence.source})",
        "sw_version": VERSION,
    }
    if page_url:
        device["configuration_url"] = f"{page_url.rstrip('/')}/?stream={presence.id}"
    return {
        "device": device,
        "origin": {"name": "Onlooker", "sw_version": VERSION},
        "availability": [{"topic": f"{topic}/status"}],
        "qos": 1,
        "components": {
            name: {"unique_id": f"{unique}_{name}", **component} for name, component in _components(base, presence)
        },
    }


def _components(base: str, presence: Presence) -> list[tuple[str, Json]]:
    state = f"{base}/state"
    connected: Json = {
        "platform": "binary_sensor",
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": state,
        "value_template": "{{ 'ON' if value_json.connected else 'OFF' }}",
    }
    camera: Json = {"platform": "camera", "name": "Picture", "topic": f"{base}/picture"}
    thumbnail: Json = {
        "platform": "image",
        "name": "Last alert",
        "image_topic": f"{base}/thumbnail",
        "content_type": "image/jpeg",
    }
    alert = ("alert", _alarm("Alert", f"{base}/alert", f"{base}/event"))
    watches = [
        (f"watch_{watch_id[:12]}", _alarm(condition, f"{base}/watch/{watch_id}", None))
        for watch_id, condition in presence.watches
    ]
    watches += [
        (f"rule_{rule_id[:12]}", _alarm(words, f"{base}/rule/{rule_id}", None)) for rule_id, words in presence.rules
    ]
    counts = [(f"count_{slug(label)}", _count(label, state)) for label in presence.labels]
    return [("connection", connected), ("picture", camera), ("thumbnail", thumbnail), alert, *watches, *counts]


def _alarm(name: str, topic: str, attributes: str | None) -> Json:
    found: Json = {"platform": "binary_sensor", "name": name, "state_topic": topic, "off_delay": OFF_DELAY_S}
    if attributes is not None:
        found["json_attributes_topic"] = attributes
        found["json_attributes_template"] = "{{ value_json.data.event | tojson }}"
    return found


def _count(label: str, state_topic: str) -> Json:
    return {
        "platform": "sensor",
        "name": label,
        "icon": "mdi:counter",
        "state_class": "measurement",
        "state_topic": state_topic,
        "value_template": f"{{{{ value_json.counts.{slug(label)} | default(0) }}}}",
    }


def without(config: Json, before: Json) -> Json | None:
    """`config` with those entities of `before` that it no longer has named as removed; None where it has all of them.

    Home Assistant forgets an entity whose description has nothing but its platform.
    """
    gone = {name: part for name, part in before["components"].items() if name not in config["components"]}
    if not gone:
        return None
    removed = {name: {"platform": part["platform"]} for name, part in gone.items()}
    return {**config, "components": {**config["components"], **removed}}


def state_body(presence: Presence) -> Json:
    """The retained state of a stream."""
    return {
        "connected": presence.connected,
        "state": presence.state,
        "objects": sum(count for _, count in presence.counts),
        "counts": {slug(label): count for label, count in presence.counts},
    }
