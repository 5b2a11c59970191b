"""The session cookie, models and jobs, configuration, health and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from agent.exposition import CONTENT_TYPE
from stream.config import public_config
from stream.models.voice import VoiceStore
from web.api.shapes import Health, JobInfo, JobStarted, ModelInfo, Page, Token
from web.auth import cookie_header, session_cookie
from web.health import checks
from web.metrics import metrics_text
from web.models import SPEECH, fetch_for_speech, fetch_into_engine, model_list
from web.state import StateDep
from web.wire import Json

router = APIRouter(tags=["Server"])


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


@router.get("/health", response_model=Health, response_model_exclude_none=True)
async def health(request: Request, state: StateDep) -> Json:
    """Whether all works, and what to do about what does not."""
    state.model_server.doubt()
    found = checks(state)
    status = "ok" if all(check["ok"] for check in found) else "degraded"
    known = request.scope["state"].get("known", False)
    return {"status": status, "checks": found} if known else {"status": status}


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
async def metrics(state: StateDep) -> Response:
    """Prometheus text."""
    return Response(metrics_text(state), media_type=CONTENT_TYPE)
