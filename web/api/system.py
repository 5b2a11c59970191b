"""The session cookie, models and jobs, configuration, health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from agent.exposition import CONTENT_TYPE
from stream.config import public_config
from stream.models.voice import VoiceStore
from web.api.shapes import Health, JobInfo, JobStarted, ModelInfo, Page, Token
from web.auth import cookie_header, session_cookie
from web.health import checks, is_ready
from web.metrics import metrics_text
from web.models import SPEECH, fetch_for_speech, fetch_into_engine, model_list
from web.state import StateDep
from web.wire import Json

router = APIRouter(tags=["Server"])
UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"model": Health}}


@router.post("/v1/session", status_code=204)
async def open_session(body: Token, request: Request, state: StateDep) -> Response:
    """Trade the token for a cookie."""
    response = Response(status_code=204)
    if state.auth.required:
        state.auth.check_token(body.token, request.client.host if request.client else "")
        response.headers["set-cookie"] = cookie_header(state.auth.sessions.open())
    return response


@router.delete("/v1/session", status_code=204)
async def close_session(request: Request, state: StateDep) -> Response:
    """Revoke this browser's session."""
    value = session_cookie(request.headers.get("cookie"))
    if value is not None:
        state.auth.sessions.close(value)
    response = Response(status_code=204)
    response.headers["set-cookie"] = cookie_header("", 0)
    return response


@router.get("/v1/models", response_model=Page[ModelInfo])
async def list_models(state: StateDep) -> Json:
    return {"items": model_list(state.store), "next": None}


@router.post("/v1/models/{name}/fetch", status_code=202, response_model=JobStarted)
async def fetch_model(name: str, state: StateDep) -> Json:
    """Fetch a model that is missing, or `all` that the engine needs, or `voice`; it is taken up when it is there."""
    if name in SPEECH:
        done = state.voice.service.try_again
        return {"job": fetch_for_speech(state.jobs, VoiceStore(state.store.root), name, done).id}
    return {"job": fetch_into_engine(state.jobs, state.hub, state.store, name).id}


@router.get("/v1/jobs/{job_id}", response_model=JobInfo, response_model_exclude_none=True)
async def get_job(job_id: str, state: StateDep) -> dict[str, Any]:
    return state.jobs.get(job_id).body()


@router.get("/v1/config")
async def show_config(state: StateDep) -> Json:
    """What the server was started with, without secrets."""
    return public_config(state.config)


@router.head("/health", include_in_schema=False)
@router.get("/health", response_model=Health, response_model_exclude_none=True, responses=UNAVAILABLE)
async def health(request: Request, response: Response, state: StateDep) -> Json:
    """Whether all works, and what to do about what does not. 503 while it is of no use to send anybody here; a camera
    that is off, or a model that is missing, makes it degraded and leaves it 200."""
    state.model_server.doubt()
    found = checks(state)
    status = "ok" if all(check["ok"] for check in found) else "degraded"
    if not is_ready(state):
        status, response.status_code = "unavailable", 503
    response.headers["cache-control"] = "no-store"
    known = request.scope["state"].get("known", False)
    return {"status": status, "checks": found} if known else {"status": status}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", response_model=Health, response_model_exclude_none=True, responses=UNAVAILABLE)
async def ready(response: Response, state: StateDep) -> Json:
    """For a load balancer: 200 while requests are of use here, else 503."""
    response.status_code = 200 if is_ready(state) else 503
    response.headers["cache-control"] = "no-store"
    return {"status": "ok" if is_ready(state) else "unavailable"}


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", response_model=Health, response_model_exclude_none=True)
async def live(response: Response) -> Json:
    """For whoever starts it again when it hangs: an answer says that it does not."""
    response.headers["cache-control"] = "no-store"
    return {"status": "ok"}


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
async def metrics(state: StateDep) -> Response:
    """Prometheus text."""
    return Response(metrics_text(state), media_type=CONTENT_TYPE)
