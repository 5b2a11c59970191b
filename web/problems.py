"""Every error of the HTTP API as `application/problem+json`: the protocol's `Error` and the status."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.errors import BadInput, NotFound, OnlookerError
from web.wire import error_body

RETRY_AFTER_S = 5
MINUTE_S = 60

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


class Internal(OnlookerError):
    code = "internal_error"
    status = 500
    retryable = True
    default_action = "Try again; if it stays, read the server's log."


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem_response(error: OnlookerError) -> Response:
    headers = {}
    if error.status in (429, 503) and error.retryable:
        headers["retry-after"] = str(MINUTE_S if error.status == 429 else RETRY_AFTER_S)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return ProblemResponse({"status": error.status, **error_body(error)}, status_code=error.status, headers=headers)


def install(app: FastAPI) -> None:
    """Make `app` answer every error in this form."""
    app.add_exception_handler(OnlookerError, _onlooker_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)


async def _onlooker_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OnlookerError)
    return problem_response(error)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"] if part != "body")
    message = f"{place}: {fault['msg']}" if place else str(fault["msg"])
    return problem_response(BadInput(message, action="Correct the request; /docs describes it."))


async def _http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        problem: OnlookerError = NotFound("There is nothing at this address.", code="not_found")
        problem.action = "See /docs for the addresses."
    else:
        code = _HTTP_CODES.get(error.status_code, "bad_message")
        problem = BadInput(f"{error.detail}.".replace("..", "."), code=code, action="See /docs for what is possible.")
    problem.status = error.status_code
    response = problem_response(problem)
    response.headers.update(error.headers or {})
    return response
