"""The service over HTTP: OpenAI's chat completions, the model list, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent.exposition import CONTENT_TYPE
from agent.vlm.service.faults import Failed, TooLarge, UnknownModel, error_body, refuse
from agent.vlm.service.meter import Meter
from agent.vlm.service.model import Gemma
from agent.vlm.service.request import IMAGE_TOKENS, ChatRequest, read_request
from agent.vlm.service.wire import Answer, model_list
from agent.vlm.service.worker import Done, Event, Job, Worker
from stream.errors import BadInput, OnlookerError, Unauthorized

MAX_BODY_BYTES = 48 * 1024 * 1024
BODY_S = 30.0
RETRY_AFTER_S = 2
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

_CLOSED = 499
"""What servers write down for a client that went away; nobody reads it."""


class Service:
    """One model for many clients. Event loop only."""

    def __init__(self, gemma: Gemma, *, reuse: bool = True) -> None:
        self.gemma = gemma
        self.meter = Meter()
        self.worker = Worker(gemma, self.meter, reuse=reuse)
        self.started = int(time.time())
        self._preparing = ThreadPoolExecutor(1, "prepare")

    def start(self) -> None:
        self.worker.start()

    def stop(self) -> None:
        self.worker.stop()
        self._preparing.shutdown(cancel_futures=True)

    async def complete(self, http: Request) -> Response:
        """An answer, whole or in pieces. Raises `OnlookerError`."""
        self.worker.take()
        submitted = False
        try:
            loop = asyncio.get_running_loop()
            request = await loop.run_in_executor(self._preparing, read_request, await _body(http))
            self._check_model(request)
            prompt, grammar = await loop.run_in_executor(self._preparing, self.worker.prepare, request)
            events: asyncio.Queue[Event] = asyncio.Queue()

            def deliver(event: Event) -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                    loop.call_soon_threadsafe(events.put_nowait, event)

            job = Job(request, prompt, grammar, deliver)
            self.worker.submit(job)
            submitted = True
        finally:
            if not submitted:
                self.worker.give_back()
                self.meter.add("requests_total", outcome="refused")
        return await self._answer(http, job, events)

    async def _answer(self, http: Request, job: Job, events: asyncio.Queue[Event]) -> Response:
        answer = Answer(self.gemma.name)
        watch = asyncio.create_task(self._watch(http, job, events))
        handed_on = False
        try:
            first = await events.get()  # before the status is sent: until then an error can be one
            if isinstance(first, OnlookerError):
                raise first
            if job.request.stream:
                handed_on = True
                stream = self._stream(answer, job, first, events, watch)
                return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})
            text: list[str] = []
            event: Event = first
            while isinstance(event, str):
                text.append(event)
                event = await events.get()
            if isinstance(event, OnlookerError):
                raise event
            return JSONResponse(answer.whole("".join(text), event))
        finally:
            if not handed_on:
                self._let_go(job, watch)

    async def _stream(
        self, answer: Answer, job: Job, event: Event, events: asyncio.Queue[Event], watch: asyncio.Task[None]
    ) -> AsyncIterator[bytes]:
        try:
            yield answer.first()
            while isinstance(event, str):
                yield answer.piece(event)
                event = await events.get()
            if isinstance(event, Done):
                yield answer.last(event, usage=job.request.usage)
            else:
                yield answer.broken(event)
        finally:
            self._let_go(job, watch)

    async def _watch(self, http: Request, job: Job, events: asyncio.Queue[Event]) -> None:
        """A client that goes away frees the model at once."""
        while (await http.receive())["type"] != "http.disconnect":
            pass
        self.worker.cancel(job)
        events.put_nowait(_gone())

    def _let_go(self, job: Job, watch: asyncio.Task[None]) -> None:
        watch.cancel()
        self.worker.cancel(job)

    def _check_model(self, request: ChatRequest) -> None:
        if request.model not in (None, "", self.gemma.name):
            raise UnknownModel(f"There is no model “{request.model}” here.", action=f"Use {self.gemma.name}.")

    def models(self) -> dict[str, object]:
        details = {
            "max_model_len": self.gemma.context,
            "modalities": ["text", "image", *(["audio"] if self.gemma.hears else [])],
            "image_tokens": list(IMAGE_TOKENS),
            "constrained": ["json_schema", "tool_choice=required"],
        }
        return model_list(self.gemma.name, self.started, details)

    def health(self) -> tuple[dict[str, object], int]:
        alive = self.worker.alive
        gauges = self.worker.gauges()
        body: dict[str, object] = {
            "status": "ok" if alive else "failed",
            "model": self.gemma.name,
            "device": str(self.gemma.device),
            "dtype": str(self.gemma.dtype).removeprefix("torch."),
            "running": int(gauges["running"]),
            "waiting": int(gauges["waiting"]),
        }
        return body, 200 if alive else 503


def create_app(service: Service, *, token: str | None = None, on_started: Callable[[], None] | None = None) -> FastAPI:
    """With a `token` all but `/health` needs it; without one only this machine's own names are answered."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        if on_started is not None:
            on_started()
        try:
            yield
        finally:
            await asyncio.to_thread(service.stop)

    async def guard(http: Request) -> None:
        _admit(http, token)

    guarded = [Depends(guard)]
    app = FastAPI(lifespan=lifespan, dependencies=guarded, docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/v1/chat/completions")
    async def complete(http: Request) -> Response:
        try:
            return await service.complete(http)
        except ClientDisconnect:
            return Response(status_code=_CLOSED)

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return service.models()

    @app.get("/health")
    async def health() -> Response:
        body, status = service.health()
        return JSONResponse(body, status)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.meter.text(**service.worker.gauges()), media_type=CONTENT_TYPE)

    app.add_exception_handler(OnlookerError, _refused)
    app.add_exception_handler(HTTPException, _nothing_here)
    app.add_exception_handler(Exception, _failed)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, OnlookerError)
    return _error(error)


async def _failed(_: Request, error: Exception) -> Response:
    return _error(Failed("The service failed."))  # uvicorn logs what it was


async def _nothing_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = refuse(f"{error.detail}.", action="See /v1/models and /v1/chat/completions.", code="not_found")
    refusal.status = error.status_code
    return _error(refusal)


def _admit(http: Request, token: str | None) -> None:
    """Raises `Unauthorized`, or `BadInput` for what another site's page could send from a browser on this machine."""
    if http.url.path == "/health":
        return
    if token is not None:
        scheme, _, given = http.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise Unauthorized("This needs the token.", action="Give it as Authorization: Bearer.")
    elif http.headers.get("host", "").rsplit(":", 1)[0] not in LOOPBACK_NAMES:
        raise refuse("This host name is not answered.", action="Use localhost.", code="bad_host")
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if http.method == "POST" and kind != "application/json":
        error = BadInput("The content type must be application/json.", code="unsupported_media_type")
        error.status = 415
        raise error


async def _body(http: Request) -> bytes:
    """Raises `TooLarge`, and `BadInput` where it does not come."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in http.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise TooLarge(f"The request is larger than {MAX_BODY_BYTES >> 20} MiB.")
                parts.append(part)
    except TimeoutError as error:
        raise refuse("The request did not come to its end.") from error
    return b"".join(parts)


def _gone() -> OnlookerError:
    error = BadInput("The client went away.")
    error.status = _CLOSED
    return error


def _error(error: OnlookerError) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_S)} if error.retryable and error.status in (429, 503) else {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(error), error.status, headers)
