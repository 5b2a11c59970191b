"""Prometheus text exposition, version 0.0.4."""

from __future__ import annotations

import time
from collections.abc import Iterable

from web.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float]


def metrics_text(state: State) -> str:
    """Streams, rates, drops, latency and clients. Stream ids are `[a-z0-9-]`, so nothing needs escaping."""
    sessions = [(session, session.status()) for session in state.hub.list()]
    drops: list[Sample] = []
    fps: list[Sample] = []
    latency: list[Sample] = []
    viewers: list[Sample] = []
    for session, status in sessions:
        labels = {"stream": session.id}
        drops += [({**labels, "stage": stage}, float(count)) for stage, count in status.drops.items()]
        fps += [({**labels, "side": "in"}, status.fps_in), ({**labels, "side": "out"}, status.fps_out)]
        latency += [({**labels, "quantile": "0.5"}, status.latency_ms_p50 / 1000)]
        latency += [({**labels, "quantile": "0.95"}, status.latency_ms_p95 / 1000)]
        viewers.append((labels, float(status.viewers)))
    jobs = [({"kind": kind}, float(count)) for kind, count in state.hub.engine.counters.items()]
    store = state.recording.state()
    sinks: list[Sample] = []
    for sink in state.recording.webhooks.states():
        counts = {"delivered": sink.delivered, "dead": sink.dead}
        sinks += [({"sink": sink.sink.name, "end": end}, float(count)) for end, count in counts.items()]
    families = [
        _family("onlooker_streams", "gauge", "Open streams.", [({}, float(len(sessions)))]),
        _family("onlooker_live_clients", "gauge", "Websocket clients.", [({}, float(state.live_clients))]),
        _family("onlooker_uptime_seconds", "gauge", "Since the start.", [({}, time.monotonic() - state.started_s)]),
        _family("onlooker_stream_fps", "gauge", "Pictures a second, received and tracked.", fps),
        _family("onlooker_stream_drops_total", "counter", "Dropped, by stage.", drops),
        _family("onlooker_stream_latency_seconds", "gauge", "Last packet of a picture to its tracks.", latency),
        _family("onlooker_engine_jobs_total", "counter", "Work beside the frames, by kind.", jobs),
        _family("onlooker_store_lost_total", "counter", "Facts that could not be stored.", [({}, float(store.lost))]),
        _family("onlooker_store_waiting", "gauge", "Facts that wait to be stored.", [({}, float(store.waiting))]),
        _family("onlooker_sink_deliveries_total", "counter", "Alerts, by how their delivery ended.", sinks),
        _family("onlooker_stream_viewers", "gauge", "WHEP viewers.", viewers),
    ]
    return "".join(families)


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{label}"' for key, label in labels.items())
        lines.append(f"{name}{{{inner}}} {value:g}" if inner else f"{name} {value:g}")
    return "\n".join(lines) + "\n"
