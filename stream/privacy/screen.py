"""What stands between one stream and everybody who sees it: open, or with everything that is private hidden."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from stream.engines.base import Finder, Finding
from stream.errors import EngineError
from stream.privacy.concealer import Concealer, Shown, StepResult
from stream.privacy.settings import Privacy, Zone, target_of
from stream.relay import PacketRelay
from stream.scheduler import Scheduler
from stream.types import BoxXyxyPx, Codec, EncodedFrame, Frame

LOOK_S = 10.0
"""The longest wait for a look that is made on the engine's thread."""


class Screen:
    """Event loop only, but for `offer`. While it is open, pictures and packets pass as they are. While something is
    hidden, packets end here and what leaves comes from the `Concealer`. A change takes effect at once, in both
    directions: no picture from before it leaves after it.

    `post` hands work to the loop; `deliver` takes the engine's results, with the picture that belongs to each where it
    may be seen. `forgetters` are called with each change, and let go of every picture that they hold.
    """

    def __init__(
        self,
        name: str,
        relay: PacketRelay,
        scheduler: Scheduler,
        post: Callable[[Callable[[], None]], None],
        deliver: Callable[[StepResult | None, Frame | None], None],
    ) -> None:
        self.forgetters: list[Callable[[], None]] = []
        self._name = name
        self._relay = relay
        self._scheduler = scheduler
        self._post = post
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._concealer: Concealer | None = None
        self._since_s = float("-inf")

    @property
    def privacy(self) -> Privacy | None:
        return self._concealer.privacy if self._concealer is not None else None

    @property
    def codec(self) -> Codec | None:
        """What leaves, where that is not what comes in."""
        return "H264" if self._concealer is not None else None

    @property
    def words(self) -> str | None:
        """For viewers: what is hidden, or why everything is."""
        if self._concealer is None:
            return None
        problem = self._concealer.problem
        return f"everything. {problem.message} {problem.action}" if problem else self._concealer.privacy.words

    async def check(self, privacy: Privacy) -> None:
        """Raises `UnknownWord` or `BadInput` for what this engine cannot look for."""
        concepts = [target_of(each).concept for each in privacy.classes]
        if concepts:
            # What is only missing will come; until then everything is hidden.
            with contextlib.suppress(EngineError):
                await asyncio.to_thread(self._finder, concepts)

    def set(self, privacy: Privacy | None) -> None:
        """From now on hide this; None for nothing."""
        if privacy == self.privacy:
            return
        before = self._concealer
        self._since_s = time.monotonic()
        self._concealer = None
        if privacy is not None:
            self._concealer = Concealer(
                f"privacy-{self._name}", privacy, self._finder, self._look, self._from_concealer
            )
        if before is not None:
            before.close(wait=False)
        self._relay.restart()
        for forget in self.forgetters:
            forget()

    def follow(self, zone: Zone) -> None:
        """A region has another shape: zones that follow it have it too."""
        now = self.privacy
        if now is not None and any(each.region_id == zone.region_id for each in now.zones):
            zones = tuple(zone if each.region_id == zone.region_id else each for each in now.zones)
            self.set(Privacy(now.classes, zones, now.style))

    def pass_on(self, encoded: EncodedFrame) -> None:
        """A compressed picture as the source sent it."""
        if self._concealer is None and encoded.received_s >= self._since_s:
            self._relay.push(encoded)

    def offer(self, frame: Frame | None, result: StepResult | None) -> None:
        """A decoded frame with what the engine made of it, None where it was not stepped. Any thread."""
        concealer = self._concealer
        if concealer is not None and frame is not None:
            concealer.offer(frame, result)
        else:
            self._post(lambda: self._deliver(result, self._open_for(frame)))

    def request_keyframe(self) -> None:
        if self._concealer is not None:
            self._concealer.want_keyframe()

    async def close(self) -> None:
        concealer = self._concealer
        if concealer is not None:
            await asyncio.to_thread(concealer.close, wait=True)

    def _open_for(self, frame: Frame | None) -> Frame | None:
        """The frame itself, if it may be seen as it is."""
        may = self._concealer is None and frame is not None and frame.received_s >= self._since_s
        return frame if may else None

    def _from_concealer(self, concealer: Concealer, shown: Shown) -> None:
        self._post(lambda: self._take(concealer, shown))

    def _take(self, concealer: Concealer, shown: Shown) -> None:
        """Let out what a concealer made, unless another setting holds meanwhile."""
        holds = concealer is self._concealer
        for encoded in shown.encoded if holds else ():
            self._relay.push(encoded)
        self._deliver(shown.result, shown.frame if holds else None)

    # --- looking

    def _finder(self, concepts: Sequence[str]) -> Finder:
        """Any thread. Raises `OnlookerError`."""
        engine = self._scheduler.engine
        if not isinstance(engine, Finding):
            raise EngineError(
                f"The {engine.name} engine cannot look at every picture.", action="Hide zones, or use another engine."
            )
        return engine.finder(concepts)

    def _look(self, finder: Finder, frame: Frame) -> Sequence[Sequence[BoxXyxyPx]]:
        if not finder.on_engine:
            return finder.find(frame)
        made = asyncio.run_coroutine_threadsafe(self._scheduler.run(lambda: finder.find(frame)), self._loop)
        try:
            return made.result(LOOK_S)
        except TimeoutError:
            raise EngineError("The engine did not look at the picture in time.") from None
