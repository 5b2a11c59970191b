"""A slot hands over the newest value only, from any thread, and counts what it let go."""

from __future__ import annotations

import threading
import weakref

from stream.slot import LatestSlot


class Value:
    pass


def test_the_newest_value_wins_and_the_others_are_counted_and_freed() -> None:
    slot: LatestSlot[Value] = LatestSlot()
    first = Value()
    gone = weakref.ref(first)
    slot.put(first)
    del first
    last = Value()
    slot.put(last)
    assert gone() is None
    assert (slot.puts, slot.drops) == (2, 1)
    assert slot.take() is last
    assert slot.take() is None
    assert not slot.full


def test_every_put_wakes_the_reader_and_no_value_is_seen_twice() -> None:
    woken = threading.Event()
    slot: LatestSlot[int] = LatestSlot(woken.set)
    seen: list[int] = []

    def read() -> None:
        while not seen or seen[-1] != 999:
            woken.wait(5)
            woken.clear()
            value = slot.take()
            if value is not None:
                seen.append(value)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(1000):
        slot.put(i)
    reader.join(10)
    assert not reader.is_alive()
    assert seen == sorted(set(seen))
    assert len(seen) + slot.drops == slot.puts == 1000
