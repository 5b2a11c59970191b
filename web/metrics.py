"""What the server counts, for Prometheus. Labels have few values: streams that are open, stages, sinks, kinds."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable, Iterable

from agent.exposition import Kind, Sample, SummarySample, family, summary
from agent.sinks.dispatch import SinkState
from stream.session import StreamSession
from stream.status import StreamState, StreamStatus
from stream.version import VERSION
from web.memory import resident_bytes
from web.state import State

Statuses = list[tuple[StreamSession, StreamStatus]]


def metrics_text(state: State) -> str:
    """Streams, what gives way, sinks, the store and the process. Ids of streams and names of sinks are `[a-z0-9-]`, so
    nothing needs escaping."""
    statuses = [(session, session.status()) for session in state.hub.list()]
    return "".join(
        [*_server(state, statuses), *_streams(statuses), *_sinks(state.recording.sinks.states()), *_process()]
    )


def _server(state: State, statuses: Statuses) -> Iterable[str]:
    engine = state.hub.engine
    jobs = [({"kind": kind}, float(count)) for kind, count in engine.counters.items()]
    store = state.recording.state()
    about = {"version": VERSION, "engine": engine.name}
    yield family("onlooker_build_info", "gauge", "What runs here.", [(about, 1.0)])
    yield _one("onlooker_uptime_seconds", "Since the start.", time.monotonic() - state.started_s)
    yield _one("onlooker_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
    yield _one("onlooker_streams", "Open streams.", len(statuses))
    yield _one("onlooker_live_clients", "Websocket clients.", state.live_clients)
    yield _one("onlooker_engine_busy_ratio", "Share of the last second that the engine worked.", state.hub.load.busy)
    yield family("onlooker_engine_jobs_total", "counter", "Work beside the frames, by kind.", jobs)
    yield family("onlooker_store_lost_total", "counter", "Facts that could not be stored.", [({}, float(store.lost))])
    yield _one("onlooker_store_waiting", "Facts that wait to be stored.", store.waiting)
    yield _one("onlooker_store_up", "Whether the event store works.", store.error is None)
    clips = state.clips.state()
    yield family("onlooker_clips_written_total", "counter", "Clips that were kept.", [({}, float(clips.written))])
    yield family("onlooker_clips_given_up_total", "counter", "Clips that were lost.", [({}, float(clips.given_up))])
    yield _one("onlooker_clips_bytes", "What all clips take.", clips.bytes)
    yield _one("onlooker_clips_recording", "Clips in the making.", clips.recording)
    yield _one("onlooker_clips_up", "Whether clips can be written.", clips.error is None)


def _streams(statuses: Statuses) -> Iterable[str]:
    labelled = [({"stream": session.id}, status) for session, status in statuses]
    now = time.time()
    states: list[Sample] = []
    drops: list[Sample] = []
    skipped: list[Sample] = []
    fps: list[Sample] = []
    last: list[Sample] = []
    latency: list[SummarySample] = []
    for labels, status in labelled:
        totals = status.totals
        states += [({**labels, "state": state.value}, float(status.state is state)) for state in StreamState]
        drops += [({**labels, "stage": stage}, float(count)) for stage, count in status.drops.items()]
        skipped += [({**labels, "reason": reason}, float(count)) for reason, count in status.skipped.items()]
        fps += [({**labels, "side": "in"}, status.fps_in), ({**labels, "side": "out"}, status.fps_out)]
        quantiles = {"0.5": status.latency_ms_p50 / 1000, "0.95": status.latency_ms_p95 / 1000}
        latency.append((labels, quantiles, totals.latency_s, totals.timed))
        if totals.last_frame_age_s is not None:
            last.append((labels, round(now - totals.last_frame_age_s, 3)))

    def each(name: str, kind: Kind, text: str, value: Callable[[StreamStatus], float]) -> str:
        return family(name, kind, text, [(labels, float(value(status))) for labels, status in labelled])

    of = "onlooker_stream_"
    yield family(f"{of}state", "gauge", "1 for the state that it is in.", states)
    yield family(f"{of}fps", "gauge", "Pictures a second, received and tracked.", fps)
    yield each(f"{of}received_frames_total", "counter", "Pictures received.", lambda one: one.totals.received)
    yield each(f"{of}tracked_frames_total", "counter", "Pictures tracked.", lambda one: one.totals.tracked)
    yield family(f"{of}drops_total", "counter", "Pictures that were lost, by stage.", drops)
    yield family(f"{of}skipped_total", "counter", "Pictures that nobody wanted tracked, by reason.", skipped)
    yield summary(f"{of}latency_seconds", "Last packet of a picture to its tracks.", latency)
    yield each(f"{of}reconnects_total", "counter", "Connections after the first.", lambda one: one.totals.reconnects)
    yield family(f"{of}last_frame_timestamp_seconds", "gauge", "When the last picture came.", last)
    yield each(f"{of}policies", "gauge", "How many things give way; the API says which.", lambda one: len(one.policy))
    yield each(f"{of}viewers", "gauge", "WHEP viewers.", lambda one: one.viewers)


def _sinks(states: Iterable[SinkState]) -> Iterable[str]:
    labelled = [({"sink": state.name, "kind": state.sink.kind}, state) for state in states]
    ends = [
        ({**labels, "end": end}, float(count))
        for labels, state in labelled
        for end, count in (
            ("delivered", state.delivered), ("dead", state.dead), ("repeated", state.repeated), ("hushed", state.hushed)
        )
    ]  # fmt: skip
    waiting = [(labels, float(len(state.queue) + state.sending)) for labels, state in labelled]
    held = [(labels, float(len(state.held))) for labels, state in labelled]
    up = [(labels, float(state.fault is None)) for labels, state in labelled]
    yield family("onlooker_sink_deliveries_total", "counter", "Alerts, by what became of them.", ends)
    yield family("onlooker_sink_waiting", "gauge", "Alerts that wait to be delivered.", waiting)
    yield family("onlooker_sink_held", "gauge", "Alerts that wait for the end of quiet hours.", held)
    yield family("onlooker_sink_up", "gauge", "0 while it cannot be delivered to.", up)


def _process() -> Iterable[str]:
    """As Prometheus' own client libraries name them. What this system does not tell is left out."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    yield family("process_cpu_seconds_total", "counter", "Processor time used.", [({}, cpu_s)])
    resident = resident_bytes()
    if resident is not None:
        yield _one("process_resident_memory_bytes", "Memory in use.", resident)
        yield _one("process_open_fds", "Open file descriptors.", len(os.listdir("/proc/self/fd")))


def _one(name: str, text: str, value: float) -> str:
    return family(name, "gauge", text, [({}, float(value))])
