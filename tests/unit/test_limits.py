"""Rates and flow control on given clocks."""

from __future__ import annotations

from web.limits import FlowControl, TokenBucket


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(rate=50, burst=100, now_s=0)
    assert sum(bucket.take(0.0) for _ in range(200)) == 100
    assert sum(bucket.take(1.0) for _ in range(200)) == 50
    assert sum(bucket.take(100.0) for _ in range(200)) == 100


def test_without_acknowledgement_nothing_is_held_back() -> None:
    flow = FlowControl()
    for seq in range(20):
        assert flow.due_in(0.0) == 0
        flow.sent(seq, 0.0)


def test_four_updates_in_flight_then_one_for_each_acknowledged() -> None:
    flow = FlowControl()
    flow.set(masks=None, max_fps=None, ack=True)
    for seq in (1, 2, 3, 4):
        assert flow.due_in(0.0) == 0
        flow.sent(seq, 0.0)
    assert flow.due_in(0.0) is None
    assert not flow.acknowledge(0)
    assert flow.acknowledge(2)
    assert not flow.acknowledge(2)
    for seq in (5, 6):
        assert flow.due_in(0.0) == 0
        flow.sent(seq, 0.0)
    assert flow.due_in(0.0) is None


def test_a_rate_holds_back_until_the_next_is_due() -> None:
    flow = FlowControl()
    flow.set(masks=False, max_fps=10, ack=None)
    assert not flow.masks
    sent_s = []
    for tick in range(1000):
        now_s = tick / 250
        if flow.due_in(now_s) == 0:
            flow.sent(tick, now_s)
            sent_s.append(now_s)
    assert 38 <= len(sent_s) <= 42
    assert flow.due_in(sent_s[-1]) != 0


def test_a_camera_at_the_chosen_rate_loses_nothing() -> None:
    flow = FlowControl()
    flow.set(masks=None, max_fps=30, ack=None)
    jitter_s = (0.0, 0.003, -0.001, 0.008, -0.008)
    for index in range(300):
        now_s = index / 30 + jitter_s[index % 5]
        wait_s = flow.due_in(now_s)
        assert wait_s is not None
        assert wait_s < 0.017
        flow.sent(index, now_s + wait_s)
