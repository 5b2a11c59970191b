"""What the server counts, for Prometheus."""

from __future__ import annotations

import time

from agent.exposition import Sample, family
from web.state import State


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
        family("onlooker_streams", "gauge", "Open streams.", [({}, float(len(sessions)))]),
        family("onlooker_live_clients", "gauge", "Websocket clients.", [({}, float(state.live_clients))]),
        family("onlooker_uptime_seconds", "gauge", "Since the start.", [({}, time.monotonic() - state.started_s)]),
        family("onlooker_stream_fps", "gauge", "Pictures a second, received and tracked.", fps),
        family("onlooker_stream_drops_total", "counter", "Dropped, by stage.", drops),
        family("onlooker_stream_latency_seconds", "gauge", "Last packet of a picture to its tracks.", latency),
        family("onlooker_engine_jobs_total", "counter", "Work beside the frames, by kind.", jobs),
        family("onlooker_store_lost_total", "counter", "Facts that could not be stored.", [({}, float(store.lost))]),
        family("onlooker_store_waiting", "gauge", "Facts that wait to be stored.", [({}, float(store.waiting))]),
        family("onlooker_sink_deliveries_total", "counter", "Alerts, by how their delivery ended.", sinks),
        family("onlooker_stream_viewers", "gauge", "WHEP viewers.", viewers),
    ]
    return "".join(families)
