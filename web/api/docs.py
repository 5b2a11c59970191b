"""`/docs`: the API as one plain page, made from the OpenAPI document on the server.

The usual viewers are loaded from elsewhere and need inline scripts, which the content policy forbids; this one works
without a network.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse

from web.api.shapes import Problem
from web.protocol import CLIENT_MESSAGE, SERVER_MESSAGE
from web.protocol.parts import SUBPROTOCOL

DESCRIPTION = (
    "Real-time video analytics: publish by WHIP, watch by WHEP, prompt and read tracks here or by the websocket "
    f"`/v1/streams/{{id}}/live` (subprotocol `{SUBPROTOCOL}`). Coordinates are in [0, 1] of the picture."
)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What was wrong and what to do", "model": Problem},
    "5XX": {"description": "What failed and what to do", "model": Problem},
}
router = APIRouter(include_in_schema=False)

_CSS = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .25rem 0 } code, pre { font-size: .875rem }
pre { overflow: auto; padding: .75rem; border: 1px solid; border-radius: .5rem }
"""


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(_page(request.app.openapi()))


@router.get("/docs/style.css", response_class=Response)
async def style() -> Response:
    return Response(_CSS, media_type="text/css")


def _page(document: dict[str, Any]) -> str:
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        "<title>Onlooker API</title><link rel=stylesheet href=/docs/style.css>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        "<p><a href=/openapi.json>openapi.json</a></p><h2>HTTP</h2>",
    ]
    for path, operations in document["paths"].items():
        parts += [_operation(method, path, operation) for method, operation in operations.items()]
    parts.append("<h2>Websocket</h2>")
    for title, adapter in (("Server to client", SERVER_MESSAGE), ("Client to server", CLIENT_MESSAGE)):
        parts.append(_details(title, adapter.json_schema()))
    parts.append("<h2>Shapes</h2>")
    parts += [_details(name, shape) for name, shape in document["components"]["schemas"].items()]
    return "".join(parts) + "</html>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    summary = f"<code>{escape(method.upper())} {escape(path)}</code> {escape(operation.get('description', ''))}"
    shown = {key: operation[key] for key in ("parameters", "requestBody", "responses") if key in operation}
    return f"<details><summary>{summary}</summary><pre>{escape(json.dumps(shown, indent=1))}</pre></details>"


def _details(title: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=1))
    return f"<details><summary><code>{escape(title)}</code></summary><pre>{text}</pre></details>"
