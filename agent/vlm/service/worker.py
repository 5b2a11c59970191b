"""The model's one thread and the queue before it: first come, first served, and never more than can be waited for."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.vlm.service.calls import Call
from agent.vlm.service.faults import Busy, Failed, Stopped, refuse
from agent.vlm.service.generate import Generator
from agent.vlm.service.grammar import Grammars
from agent.vlm.service.media import Picture
from agent.vlm.service.meter import Meter
from agent.vlm.service.model import Gemma
from agent.vlm.service.output import Output
from agent.vlm.service.prompt import Prompt, Prompter
from agent.vlm.service.request import ChatRequest
from agent.vlm.service.reuse import IMAGE_BYTES, PREFIXES, Features, ImageCache, ImageKey, PrefixCache
from stream.errors import OnlookerError

log = logging.getLogger(__name__)

MAX_REQUESTS = 9
"""One that runs and eight that wait."""
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an answer. `finish` is OpenAI's `stop`, `length` or `tool_calls`."""

    finish: str
    calls: tuple[Call, ...]
    prompt_tokens: int
    answer_tokens: int


Event = str | Done | OnlookerError
"""Text as it comes; then how it ended."""


@dataclass(slots=True, eq=False)
class Job:
    """One answer to make. `deliver` is called from the worker's thread."""

    request: ChatRequest
    prompt: Prompt
    grammar: str | None
    deliver: Callable[[Event], None]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Worker:
    """`take` a place, `prepare` the request, `submit` the job; the place is given back when the job ends."""

    def __init__(self, gemma: Gemma, meter: Meter, *, reuse: bool = True, max_requests: int = MAX_REQUESTS) -> None:
        self.gemma = gemma
        self._meter = meter
        self._images = ImageCache(IMAGE_BYTES if reuse else 0)
        self._generator = Generator(gemma, self._images, PrefixCache(PREFIXES if reuse else 0), meter)
        self._prompter = Prompter(gemma)
        self._grammars = Grammars(
            gemma.tokenizer, gemma.model.config.get_text_config().vocab_size, self._generator.ends
        )
        self._max_requests = max_requests
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
        self._places = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="gemma", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends what runs; what waits is told."""
        with self._changed:
            self._stopping = True
            waiting, self._jobs = list(self._jobs), deque()
            if self._running is not None:
                self._running.cancelled.set()
            self._changed.notify()
        for job in waiting:
            job.deliver(Stopped("The service is stopping."))
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def gauges(self) -> dict[str, float]:
        with self._changed:
            running = self._running is not None
            return {"running": running, "waiting": self._places - running, "kept_picture_bytes": self._images.nbytes}

    def take(self) -> None:
        """A place among those that wait. Raises `Busy` or `Stopped`."""
        with self._changed:
            if self._stopping or not self._thread.is_alive():
                raise Stopped("The model is not at work.")
            if self._places >= self._max_requests:
                raise Busy(f"{self._max_requests - 1} questions wait already.")
            self._places += 1

    def give_back(self) -> None:
        """The place of a request that is not submitted."""
        with self._changed:
            self._places -= 1

    def prepare(self, request: ChatRequest) -> tuple[Prompt, str | None]:
        """The prompt and the form of the answer. Any thread but one at a time. Raises `BadInput`."""
        grammar = None
        if request.choice == "required":
            grammar = self._grammars.call(request.tools)
        elif request.schema is not None:
            grammar = self._grammars.schema(request.schema)
        prompt = self._prompter.prompt(request, self._known(request))
        if len(prompt.ids) >= self.gemma.context:
            raise refuse(
                f"The question takes {len(prompt.ids)} tokens; {self.gemma.context} is the most there is room for.",
                action="Send less.",
                code="context_length_exceeded",
            )
        return prompt, grammar

    def submit(self, job: Job) -> None:
        with self._changed:
            if not self._stopping:
                self._jobs.append(job)
                self._changed.notify()
                return
        self.give_back()
        job.deliver(Stopped("The service is stopping."))

    def cancel(self, job: Job) -> None:
        """Nobody waits for `job` any more: it ends at its next token, or at once if it has not begun."""
        job.cancelled.set()
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
                self._places -= 1
                self._meter.add("requests_total", outcome="cancelled")

    def _known(self, request: ChatRequest) -> Mapping[ImageKey, Features]:
        parts: Sequence[object] = [part for turn in request.turns for part in turn.parts]
        return self._images.known({(p.sha256, request.image_tokens) for p in parts if isinstance(p, Picture)})

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                job = self._running = self._jobs.popleft()
            began = time.monotonic()
            try:
                event: Event = self._answer(job)
            except OnlookerError as error:
                event = error
            except Exception:
                log.exception("An answer failed.")
                event = Failed("The model failed.")
            self._meter.add("busy_seconds_total", time.monotonic() - began)
            self._meter.add("requests_total", outcome=_outcome(job, event))
            with self._changed:
                self._running = None
                self._places -= 1
            job.deliver(event)

    def _answer(self, job: Job) -> Done:
        began, request = time.monotonic(), job.request
        room = self.gemma.context - len(job.prompt.ids)
        sampling = replace(request.sampling, max_tokens=min(request.sampling.max_tokens, room))
        output = Output(self.gemma.tokenizer, stop=sampling.stop, tools=bool(request.tools))
        count = 0

        def on_token(token: int) -> None:
            nonlocal count
            count += 1
            if count == 1:
                self._meter.add("first_token_seconds_sum", time.monotonic() - began)
                self._meter.add("first_token_seconds_count")
            if text := output.feed(token):
                job.deliver(text)

        reason = self._generator.generate(
            job.prompt,
            sampling,
            constraint=self._grammars.constraint(job.grammar) if job.grammar is not None else None,
            on_token=on_token,
            ended=lambda: output.stopped or job.cancelled.is_set(),
        )
        if rest := output.end():
            job.deliver(rest)
        calls = output.calls()
        self._meter.add("prompt_tokens_total", len(job.prompt.ids))
        self._meter.add("answer_tokens_total", count)
        return Done("tool_calls" if calls else reason, calls, len(job.prompt.ids), count)


def _outcome(job: Job, event: Event) -> str:
    if job.cancelled.is_set():
        return "cancelled"
    return "ok" if isinstance(event, Done) else "failed"
