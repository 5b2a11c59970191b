"""Things to speak up about, while a stream is watched."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace

from agent.conditions import compile_condition
from agent.perceive import matches
from agent.types import Event, Region, Rule, Severity, Watch
from stream.errors import BadInput, LimitReached, NotFound

MOST_WATCHES = 32
MAX_CONDITION_CHARS = 200


class WatchBook:
    """The watches of one stream. Event loop only."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}

    def all(self) -> list[Watch]:
        return list(self._watches.values())

    def get(self, watch_id: str) -> Watch:
        """Raises `NotFound`."""
        try:
            return self._watches[watch_id]
        except KeyError:
            raise NotFound("There is no such watch.", code="unknown_watch") from None

    def add(
        self, condition: str, regions: Iterable[Region], *, cooldown_s: float, severity: Severity, enabled: bool = True
    ) -> Watch:
        """Raises `BadInput` for an empty or too long condition, `LimitReached` for one too many."""
        condition = _checked(condition)
        if len(self._watches) >= MOST_WATCHES:
            raise LimitReached(f"At most {MOST_WATCHES} watches on a stream.", action="Remove one first.")
        compiled = compile_condition(condition, regions)
        watch = Watch(
            uuid.uuid4().hex, condition, compiled.rules, compiled.verify, cooldown_s, severity, enabled, compiled.note
        )
        self._watches[watch.id] = watch
        return watch

    def restore(self, watch: Watch, regions: Iterable[Region]) -> Watch:
        """Take back a watch as the user had it; what it compiles to is found again from its words."""
        compiled = compile_condition(watch.condition, regions)
        watch = replace(watch, rules=compiled.rules, verify=compiled.verify, note=compiled.note)
        self._watches[watch.id] = watch
        return watch

    def change(
        self,
        watch_id: str,
        regions: Iterable[Region],
        *,
        condition: str | None = None,
        cooldown_s: float | None = None,
        severity: Severity | None = None,
        enabled: bool | None = None,
    ) -> Watch:
        """What is None stays. Raises `NotFound` or `BadInput`."""
        watch = self.get(watch_id)
        if condition is not None:
            compiled = compile_condition(condition := _checked(condition), regions)
            watch = replace(
                watch, condition=condition, rules=compiled.rules, verify=compiled.verify, note=compiled.note
            )
        watch = replace(
            watch,
            cooldown_s=watch.cooldown_s if cooldown_s is None else cooldown_s,
            severity=severity or watch.severity,
            enabled=watch.enabled if enabled is None else enabled,
        )
        self._watches[watch_id] = watch
        return watch

    def remove(self, watch_id: str) -> Watch:
        """Raises `NotFound`."""
        watch = self.get(watch_id)
        del self._watches[watch_id]
        return watch

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What perception must look for."""
        return tuple(dict.fromkeys(rule for watch in self._watches.values() if watch.enabled for rule in watch.rules))

    def proposed_by(self, event: Event) -> list[Watch]:
        """The watches that an event may be what they wait for."""
        return [w for w in self._watches.values() if w.enabled and any(matches(rule, event) for rule in w.rules)]


def _checked(condition: str) -> str:
    condition = " ".join(condition.split())
    if not condition:
        raise BadInput("There is nothing to watch for.", code="empty_text", action="Say what to watch for.")
    if len(condition) > MAX_CONDITION_CHARS:
        raise BadInput(
            f"A watch has at most {MAX_CONDITION_CHARS} characters.", code="too_long", action="Say it shorter."
        )
    return condition
