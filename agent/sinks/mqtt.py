"""Alerts over MQTT, and the streams as devices of Home Assistant.

Under the server's own topic: `status` (online or offline, retained; the last will says offline), and for each stream
`STREAM/event` (JSON), `STREAM/thumbnail` (JPEG, retained), `STREAM/alert`, `STREAM/watch/ID` and `STREAM/rule/ID` (ON),
`STREAM/state` (JSON, retained) and `STREAM/picture` (JPEG, retained). Everything is sent with QoS 1.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiomqtt
from pydantic_core import from_json, to_json

from agent.sinks.base import Failure, Letter, Reply, Terms
from agent.sinks.home_assistant import Json, config_topic, device_config, device_id, slug, state_body, without
from agent.sinks.roster import Presence, picture_of, presence_of

if TYPE_CHECKING:
    from agent.loop import StreamAgent

log = logging.getLogger(__name__)

MOST_WAIT_S = 60.0
LEAVE_S = 2.0
SETTLED_S = 60.0
"""So long after the start a device whose stream is not there is taken for removed, not for one still to be opened."""

Roster = Callable[[], "Sequence[StreamAgent] | None"]
"""The streams that are there; None once the server is leaving."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is and who we are there. `discovery` is Home Assistant's prefix, empty for none; `picture_s` how often
    a stream's picture is sent, 0 for never."""

    url: str
    topic: str = "onlooker"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    discovery: str = "homeassistant"
    state_s: float = 1.0
    picture_s: float = 10.0
    again_s: float = 1.0
    page_url: str = ""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """For `mqtts`."""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (8883 if parts.scheme == "mqtts" else 1883)


class MqttSink:
    """One broker. The connection is kept and made again; deliveries wait for it."""

    kind = "mqtt"
    signed = False
    pictured = True
    stored = True

    def __init__(self, terms: Terms, broker: Broker, roster: Roster, *, settled_s: float = SETTLED_S) -> None:
        self.terms = terms
        self.fault: str | None = "Not connected yet."
        self._broker = broker
        self._roster = roster
        self._settled_s = settled_s
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._announced: dict[str, Json] = {}
        """By topic what Home Assistant has been told, or was told by a server before this one."""
        self._labels: dict[str, tuple[str, ...]] = {}
        self._known: set[str] = set()
        self._begun_s = 0.0

    @property
    def address(self) -> str:
        parts = urlsplit(self._broker.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"

    # --- the connection -------------------------------------------------------------------------------------------

    async def run(self, ready: Callable[[], None]) -> None:
        self._begun_s = asyncio.get_running_loop().time()
        wait_s = self._broker.again_s
        while True:
            try:
                async with self._open() as client:
                    wait_s = self._broker.again_s
                    await self._serve(client, ready)
            except (aiomqtt.MqttError, OSError, ssl.SSLError, ValueError) as error:
                message = _words(error)
                if message != self.fault:
                    log.warning("MQTT at %s: %s", self.address, message)
                self.fault = message
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(MOST_WAIT_S, 2 * wait_s)

    def _open(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            urlsplit(self._broker.url).hostname or "",
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            tls_context=self._broker.tls,
            will=aiomqtt.Will(self._status, "offline", qos=1, retain=True),
            timeout=self.terms.timeout_s,
        )

    @property
    def _status(self) -> str:
        return f"{self._broker.topic}/status"

    async def _serve(self, client: aiomqtt.Client, ready: Callable[[], None]) -> None:
        await client.publish(self._status, "online", qos=1, retain=True)
        self._client, self.fault = client, None
        self._connected.set()
        ready()
        lost: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(client))
                tasks.create_task(self._show(client))
        except* aiomqtt.MqttError as group:
            lost = group.exceptions[0]
        finally:
            self._client = None
            self._connected.clear()
            if lost is None:
                await self._leave(client)
        if lost is not None:
            raise aiomqtt.MqttError(str(lost))

    async def _leave(self, client: aiomqtt.Client) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await client.publish(self._status, "offline", qos=1, retain=True)
        except (aiomqtt.MqttError, TimeoutError):
            pass  # then the broker sends the last will

    # --- what is delivered ----------------------------------------------------------------------------------------

    async def send(self, letter: Letter) -> Reply:
        await self._connected.wait()
        client = self._client
        if client is None:
            return Reply(None, Failure(self.fault or "The connection was lost.", passing=True))
        try:
            for topic, payload, retain in self._messages(letter):
                await client.publish(topic, payload, qos=1, retain=retain, timeout=self.terms.timeout_s)
        except aiomqtt.MqttError as error:
            return Reply(None, Failure(_words(error), passing=True))
        return Reply(None, None)

    def _messages(self, letter: Letter) -> list[tuple[str, str | bytes, bool]]:
        """`(topic, payload, retained)` of a delivery, the picture first: who hears of the alert finds it there."""
        body, message = letter.delivery.body, letter.message
        if message["type"] != "alert":
            return [(f"{self._broker.topic}/{message['type']}", body, False)]
        event = message["data"]["event"]
        base = f"{self._broker.topic}/{message['data']['stream']}"
        found: list[tuple[str, str | bytes, bool]] = []
        if letter.thumb is not None:
            found.append((f"{base}/thumbnail", letter.thumb, True))
        found.append((f"{base}/event", body, False))
        if event["kind"] == "alert":
            found.append((f"{base}/alert", "ON", False))
            for raised_by in ("watch", "rule"):
                if f"{raised_by}_id" in event:
                    found.append((f"{base}/{raised_by}/{event[f'{raised_by}_id']}", "ON", False))
        return found

    # --- the streams ----------------------------------------------------------------------------------------------

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Learn what a server before this one has announced, and notice the end of the connection."""
        if self._broker.discovery:
            await client.subscribe(f"{self._broker.discovery}/device/+/config", qos=1)
        ours = f"{self._broker.discovery}/device/{slug(self._broker.topic)}_"
        async for message in client.messages:
            topic = str(message.topic)
            if topic.startswith(ours) and isinstance(message.payload, bytes) and message.payload:
                config = _config(message.payload)
                if config is not None and self._is_ours(config):
                    self._announced.setdefault(topic, config)

    def _is_ours(self, config: Json) -> bool:
        availability = config.get("availability")
        return isinstance(config.get("components"), dict) and availability == [{"topic": self._status}]

    async def _show(self, client: aiomqtt.Client) -> None:
        """Keep what is retained of the streams as they are."""
        states: dict[str, Json] = {}
        pictures: dict[str, tuple[float, bytes]] = {}
        announced: set[str] = set()
        while (agents := self._roster()) is not None:
            wanted = [agent for agent in agents if self.terms.of_stream(agent.session.id)]
            for agent in wanted:
                presence = presence_of(agent, self._labels.get(agent.session.id, ()))
                await self._show_one(client, presence, states, announced)
                await self._picture(client, agent, pictures)
            await self._forget(client, {agent.session.id for agent in wanted}, states, pictures)
            await asyncio.sleep(self._broker.state_s)

    async def _show_one(
        self, client: aiomqtt.Client, presence: Presence, states: dict[str, Json], announced: set[str]
    ) -> None:
        self._labels[presence.id] = presence.labels
        self._known.add(presence.id)
        if self._broker.discovery:
            topic = config_topic(self._broker.discovery, self._broker.topic, presence.id)
            config = device_config(self._broker.topic, presence, self._broker.page_url)
            before = self._announced.get(topic)
            # Once after each connection: a broker that was started anew may have forgotten it.
            if config != before or topic not in announced:
                removal = without(config, before) if before is not None else None
                for message in (removal, config):
                    if message is not None:
                        await client.publish(topic, to_json(message), qos=1, retain=True)
                self._announced[topic] = config
                announced.add(topic)
        state = state_body(presence)
        if states.get(presence.id) != state:
            states[presence.id] = state
            await client.publish(f"{self._broker.topic}/{presence.id}/state", to_json(state), qos=1, retain=True)

    async def _picture(
        self, client: aiomqtt.Client, agent: StreamAgent, pictures: dict[str, tuple[float, bytes]]
    ) -> None:
        now_s = asyncio.get_running_loop().time()
        sent_s, before = pictures.get(agent.session.id, (float("-inf"), b""))
        if not self._broker.picture_s or now_s - sent_s < self._broker.picture_s:
            return
        jpeg = picture_of(agent)
        if jpeg is not None and jpeg is not before:
            pictures[agent.session.id] = (now_s, jpeg)
            await client.publish(f"{self._broker.topic}/{agent.session.id}/picture", jpeg, qos=1, retain=True)

    async def _forget(
        self,
        client: aiomqtt.Client,
        there: set[str],
        states: dict[str, Json],
        pictures: dict[str, tuple[float, bytes]],
    ) -> None:
        """Remove what is retained of streams that were removed, also of those removed while this server was off."""
        for stream in self._known - there:
            self._known.discard(stream)
            self._labels.pop(stream, None)
            states.pop(stream, None)
            pictures.pop(stream, None)
            await self._withdraw(client, config_topic(self._broker.discovery, self._broker.topic, stream))
            await self._clear(client, f"{self._broker.topic}/{stream}")
        if asyncio.get_running_loop().time() - self._begun_s < self._settled_s:
            return
        kept = {device_id(self._broker.topic, stream) for stream in there}
        for topic, config in list(self._announced.items()):
            if topic.split("/")[-2] not in kept:
                await self._withdraw(client, topic)
                state = str(config["components"].get("connection", {}).get("state_topic", ""))
                if state.startswith(f"{self._broker.topic}/"):
                    await self._clear(client, state.removesuffix("/state"))

    async def _withdraw(self, client: aiomqtt.Client, topic: str) -> None:
        if self._announced.pop(topic, None) is not None:
            await client.publish(topic, b"", qos=1, retain=True)

    @staticmethod
    async def _clear(client: aiomqtt.Client, base: str) -> None:
        for part in ("state", "picture", "thumbnail"):
            await client.publish(f"{base}/{part}", b"", qos=1, retain=True)


def _config(payload: bytes) -> Json | None:
    try:
        found = from_json(payload)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _words(error: BaseException) -> str:
    """What is wrong with the connection, in words that hold no secret."""
    text = str(error)
    if "Not authorized" in text or "Bad user name or password" in text:
        return "The broker refused the login."
    if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        return "The broker's certificate is not trusted; name its authority in ca_file."
    plain = text.partition("] ")[2] if text.startswith("[Errno") else text
    return f"The broker cannot be reached ({plain or type(error).__name__})."
