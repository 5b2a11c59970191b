"""`onlooker doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from stream.config import Config, EngineConfig, config_path
from stream.errors import BadInput, Conflict, OnlookerError
from web.cards import NoAnswer, cards

DISTRIBUTION = "onlooker"
TOP_LEVEL = ("stream", "agent", "web", "kernels")
PACKAGES = (
    "aiortc", "aioice", "av", "numpy", "opencv-python-headless", "onnxruntime", "rlemasklib", "fastapi", "uvicorn",
    "websockets", "pydantic", "sqlalchemy", "aiosqlite", "alembic",
)  # fmt: skip
CODECS = ("h264", "vp8")
LEAST_PYTHON = (3, 11)
GATHER_S = 10.0
_MARKS = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `action` is empty where nothing has to be done."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    action: str = ""


def examine(config: Config) -> list[Finding]:
    """All checks. None of them changes anything or needs the network; torch is not imported."""
    checks: tuple[Callable[[Config], Iterable[Finding]], ...] = (
        _python, _names, _packages, _engine, _models, _vlm, _voice, _store, _gpu, _ffmpeg, _port, _tls, _aiortc, _ice,
        _container,
    )  # fmt: skip
    return [finding for check in checks for finding in check(config)]


def report(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print to standard output, for people or as a JSON list."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if as_json:
        console.print(json.dumps([asdict(finding) for finding in findings], indent=1), markup=False)
        return
    for finding in findings:
        console.print(f"{_MARKS[finding.level]} {finding.name:<10} {escape(finding.message)}")
        if finding.action:
            console.print(f"{'':16}→ {escape(finding.action)}")


def check_names() -> None:
    """Raises `BadInput` with the command that mends it when another distribution has put a package of our name in
    our place: half of each would be imported."""
    for finding in _names(None):
        if finding.level == "fail":
            raise BadInput(finding.message, action=finding.action)


def foreign_owners(owners: Mapping[str, Iterable[str]]) -> list[str]:
    """The distributions other than ours that own one of our top-level names."""
    return sorted({owner for name in TOP_LEVEL for owner in owners.get(name, ()) if owner.lower() != DISTRIBUTION})


def _vlm(config: Config) -> Iterable[Finding]:
    from agent.vlm.profiles import probe
    from web.vlm import GEMMA, check_vlm, read_key

    if config.vlm.url is None:
        yield Finding("vlm", "ok", "no language model; the tracks alone answer (--vlm http://host:port/v1 adds one)")
        return
    try:
        check_vlm(config.vlm)
        if config.vlm.url == GEMMA:
            yield Finding(
                "vlm", "ok", "gemma is started with the server; it needs a GPU and its weights on this machine"
            )
            return
        key = read_key(config.vlm.api_key_file)
        profile = asyncio.run(probe(config.vlm.url, model=config.vlm.model, api_key=key))
    except OnlookerError as error:
        yield Finding("vlm", "fail", error.message, error.action)
        return
    for found in profile.findings:
        yield Finding("vlm", "ok" if found.ok else "warn", f"{found.what}: {found.note}")


def _voice(config: Config) -> Iterable[Finding]:
    from agent.speech.vad import find_vad
    from agent.vlm.facts import FactsBackend
    from stream.models.voice import VoiceStore
    from web.engines import make_store
    from web.voice import VLM, check_voice, make_transcriber

    asked_for = bool(config.voice.model or config.voice.url)
    store = VoiceStore(make_store(config).root)
    try:
        check_voice(config.voice)
        if config.voice.url == VLM:
            yield Finding("voice", "ok", "the language model writes down what is said, if it hears")
        else:
            transcriber = make_transcriber(config.voice, store, FactsBackend)
            yield Finding("voice", "ok", f"speech is turned into words by {transcriber.name}")
    except OnlookerError as error:
        yield Finding("voice", "fail" if asked_for else "warn", error.message, error.action)
        return
    try:
        find_vad(store)
    except OnlookerError as error:
        yield Finding("voice", "warn", error.message, f"{error.action} Until then hold the key to talk.")


def _store(config: Config) -> Iterable[Finding]:
    from agent.store.opening import store_url
    from agent.store.peek import peek
    from stream.config import data_dir
    from web.sinks import make_sinks

    try:
        yield Finding("store", "ok", peek(store_url(config.store.url, data_dir())))
        for sink in make_sinks(config):
            severity = sink.terms.min_severity.value
            yield Finding("sink", "ok", f"{sink.terms.name} ({sink.kind}): alerts from {severity} on")
    except OnlookerError as error:
        yield Finding("store", "fail", error.message, error.action)


def _python(_: Config) -> Iterable[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < LEAST_PYTHON:
        yield Finding("python", "fail", f"Python {version} is too old.", "Install Python 3.11 or newer.")
    else:
        yield Finding("python", "ok", f"Python {version} in {sys.prefix}")


def _names(_: Config | None) -> Iterable[Finding]:
    home = Path(__file__).resolve().parents[1]
    foreign = foreign_owners(importlib.metadata.packages_distributions())
    astray = [name for name in TOP_LEVEL if _home_of(name) != home]
    pip = f"{sys.executable} -m pip"
    if foreign:
        message = f"Other packages use the names of Onlooker's own: {', '.join(foreign)}."
        action = f"{pip} uninstall -y {' '.join(foreign)} && {pip} install --force-reinstall --no-deps {DISTRIBUTION}"
        yield Finding("names", "fail", message, action)
    elif astray:
        message = f"{', '.join(astray)} would be imported from elsewhere than {home}."
        yield Finding("names", "fail", message, "Start from another folder, and clear PYTHONPATH.")
    else:
        yield Finding("names", "ok", f"{', '.join(TOP_LEVEL)} belong to {DISTRIBUTION} alone")


def _home_of(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parents[1] if spec is not None and spec.origin else None


def _packages(_: Config) -> Iterable[Finding]:
    held, missing = [], []
    for name in PACKAGES:
        try:
            held.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        action = f"{sys.executable} -m pip install {' '.join(missing)}"
        yield Finding("packages", "fail", f"Missing: {', '.join(missing)}.", action)
    yield Finding("packages", "ok", ", ".join(held))


def _engine(config: Config) -> Iterable[Finding]:
    from web import sam3
    from web.engines import check_engine

    if sam3.taken(config.engine):
        yield from _sam3(config.engine, len(config.feeds))
        return
    try:
        check_engine(config)
    except OnlookerError as error:
        yield Finding("engine", "fail", error.message, error.action)
    else:
        yield Finding("engine", "ok", "light, on the CPU")


def _sam3(config: EngineConfig, cameras: int) -> Iterable[Finding]:
    from web import sam3

    there, words, action = sam3.weights(config)
    yield Finding("sam3", "ok" if there else "warn" if sam3.comes(config) else "fail", words, action)
    fits, words, action = sam3.card(config, cameras)
    # Where it was only taken because it is here, the light engine stands in.
    yield Finding("sam3", "ok" if fits else "fail" if config.asks_for_sam3 else "warn", words, action)


def _models(config: Config) -> Iterable[Finding]:
    from web.engines import make_store

    store = make_store(config)
    missing = store.missing()
    for note in missing:
        yield Finding("models", "warn", note.message, note.action)
    if not missing:
        yield Finding("models", "ok", f"all in {store.root}")


def _gpu(_: Config) -> Iterable[Finding]:
    gpus = ""
    try:
        gpus = "; ".join(card.words for card in cards())
    except NoAnswer:
        yield Finding("gpu", "warn", "nvidia-smi fails.", "Check the driver; the light engine needs no GPU.")
    torch = importlib.util.find_spec("torch")
    with_torch = f"torch {importlib.metadata.version('torch')}" if torch is not None else "no torch"
    yield Finding("gpu", "ok", f"{gpus or 'none, and none is needed'} ({with_torch})")


def _ffmpeg(_: Config) -> Iterable[Finding]:
    import av
    from av.codec.hwaccel import hwdevices_available

    missing = [name for name in CODECS if name not in av.codecs_available]
    version = f"FFmpeg {av.ffmpeg_version_info} in av {av.__version__}"
    if missing:
        action = "Install av from its wheel: pip install --force-reinstall --only-binary :all: av"
        yield Finding("ffmpeg", "fail", f"{version} cannot decode {', '.join(missing)}.", action)
    else:
        hardware = ", ".join(hwdevices_available()) or "none"
        yield Finding("ffmpeg", "ok", f"{version}: {', '.join(CODECS)}; hardware compiled in: {hardware}")


def _port(config: Config) -> Iterable[Finding]:
    from web.server import open_sockets

    server = config.server
    try:
        sockets = open_sockets(server.host, server.port)
    except Conflict as error:
        action = f"`onlooker demo` takes the next free one; for serve: {error.action}"
        yield Finding("port", "warn", error.message, action)
    except OnlookerError as error:
        yield Finding("port", "fail", error.message, error.action)
    else:
        bound = ", ".join(sock.getsockname()[0] for sock in sockets)
        for sock in sockets:
            sock.close()
        yield Finding("port", "ok", f"{server.port} is free on {bound}")


def _tls(config: Config) -> Iterable[Finding]:
    from web.tls import fingerprint

    server = config.server
    if bool(server.tls_cert) != bool(server.tls_key):
        yield Finding("tls", "fail", "A certificate needs its key, and a key its certificate.", f"See {config_path()}.")
    elif server.tls_cert is not None:
        try:
            yield Finding("tls", "ok", f"certificate {fingerprint(server.tls_cert)}")
        except OnlookerError as error:
            yield Finding("tls", "fail", error.message, error.action)
    elif server.loopback:
        yield Finding("tls", "ok", "not needed: browsers trust localhost with the camera")
    else:
        action = "Accept it in the browser after comparing its fingerprint, or set server.tls_cert and server.tls_key."
        yield Finding("tls", "warn", "A self-signed certificate will be used.", action)


def _aiortc(_: Config) -> Iterable[Finding]:
    from stream.sources.webrtc import notes

    found = notes()
    for note in found:
        yield Finding("aiortc", "warn", note.message, note.action)
    if not found:
        yield Finding("aiortc", "ok", "all private names that are used are there")


def _ice(config: Config) -> Iterable[Finding]:
    from web.app import webrtc_config

    wanted = webrtc_config(config)
    try:
        offer = asyncio.run(_gathered(wanted.addresses))
    except (OSError, TimeoutError) as error:
        yield Finding("ice", "fail", f"No candidates can be gathered: {error}.", "Check webrtc.addresses.")
        return
    candidates = re.findall(r"a=candidate:\S+ 1 (\S+) \d+ (\S+) \d+ typ (\S+)", offer)
    if candidates:
        shown = ", ".join(f"{address} ({kind})" for _, address, kind in candidates)
        yield Finding("ice", "ok", f"offered to peers by UDP: {shown}")
    else:
        yield Finding("ice", "fail", "No address can be offered to WebRTC peers.", "Check webrtc.addresses.")


async def _gathered(addresses: tuple[str, ...]) -> str:
    from aiortc import RTCConfiguration, RTCPeerConnection

    from stream.aiortc_patches import gathering

    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.createDataChannel("doctor")
        async with asyncio.timeout(GATHER_S):
            with gathering(addresses):
                await connection.setLocalDescription()
        return str(connection.localDescription.sdp)
    finally:
        await connection.close()


def _container(config: Config) -> Iterable[Finding]:
    if Path("/.dockerenv").exists() and not (config.server.loopback or config.webrtc.addresses):
        action = "Run it with --network host, or configure a TURN server and webrtc.addresses."
        yield Finding("container", "warn", "UDP ports are ephemeral, which a container does not publish.", action)
