"""A language model server that says what a test tells it to, over the wire, in a process of its own.

    python -m tests.scripted_vlm

prints `{"url": …}` when it listens. It speaks OpenAI's chat completions as a stream, writes down every request, and
answers each with the next reply of its script, or with "I see it." when there is none. `POST /script` takes a list of
replies, `GET /requests` gives what was asked so far and when, with whether its client went away before the end.

A reply: {tokens: [str], every_s, first_s, status, retry_after, tool_calls: [{name, arguments}], cut: after n tokens,
garbage: bool, endless: bool, finish, reading: a regular expression}. What `reading` first finds in the text of the last
message stands in the tokens for `<1>`, `<2>` and so on, its groups: a model that names what it was told of.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

STOP_S = 10.0
MODEL = "scripted-vision"


class CutOff(Exception):
    """Ends a response in its middle, as a server that dies does."""


def make_app(owner: str, script: list[dict[str, Any]]) -> FastAPI:
    app = FastAPI()
    requests: list[dict[str, Any]] = []
    owned = [owner]

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": owned[0]}]}

    @app.put("/owner")
    async def own(request: Request) -> None:
        owned[0] = await request.json()

    @app.post("/script")
    async def set_script(replies: list[dict[str, Any]]) -> None:
        script[:] = replies

    @app.get("/requests")
    async def seen() -> list[dict[str, Any]]:
        return requests

    @app.delete("/requests")
    async def forget() -> None:
        requests.clear()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        unscripted: dict[str, Any] = {"tokens": ["I ", "see ", "it."]}
        reply = script.pop(0) if script else unscripted
        body = await request.json()
        if "reading" in reply:
            reply["tokens"] = [_filled(token, reply["reading"], body) for token in reply["tokens"]]
        entry = {"body": body, "gone": False, "sent": 0, "at_s": time.monotonic()}
        requests.append(entry)
        if (status := reply.get("status", 200)) != 200:
            headers = {"retry-after": str(reply["retry_after"])} if "retry_after" in reply else {}
            return JSONResponse({"error": {"message": "scripted"}}, status, headers)
        return StreamingResponse(_body(reply, entry), media_type="text/event-stream")

    return app


async def _body(reply: dict[str, Any], entry: dict[str, Any]) -> AsyncIterator[bytes]:
    try:
        await asyncio.sleep(reply.get("first_s", 0))
        if reply.get("garbage"):
            yield b"data: <html>not a completion</html>\n\n"
            return
        async for token in _tokens(reply):
            if entry["sent"] == reply.get("cut"):
                raise CutOff
            yield _chunk({"content": token})
            entry["sent"] += 1
            await asyncio.sleep(reply.get("every_s", 0))
        calls = [
            {"index": i, "id": f"call-{i}", "type": "function", "function": {**call}}
            for i, call in enumerate(reply.get("tool_calls", ()))
        ]
        if calls:
            yield _chunk({"tool_calls": calls})
        yield _chunk({}, reply.get("finish", "tool_calls" if calls else "stop"))
        yield b"data: [DONE]\n\n"
    except asyncio.CancelledError:
        entry["gone"] = True
        raise


def _filled(token: str, pattern: str, body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
    found = re.search(pattern, text)
    return re.sub(r"<(\d)>", lambda place: found[int(place[1])] if found else "", token)


async def _tokens(reply: dict[str, Any]) -> AsyncIterator[str]:
    for token in reply.get("tokens", ()):
        yield token
    while reply.get("endless"):
        yield "and so on "


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


class ScriptedVlm:
    """A running one. `url` is what goes into `--vlm`."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self._process = process
        self._root = url.removesuffix("/v1")

    def script(self, *replies: dict[str, Any]) -> None:
        httpx.post(f"{self._root}/script", json=list(replies)).raise_for_status()

    @property
    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self._root}/requests").raise_for_status().json()
        return found

    def kill(self) -> None:
        """As a machine that loses its power."""
        self._process.kill()
        self._process.wait(STOP_S)

    def freeze(self) -> None:
        """As a machine that has too much to do: connections are taken, and nothing comes."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def own(self, owner: str) -> None:
        """Be of another family from now on."""
        httpx.put(f"{self._root}/owner", json=owner).raise_for_status()

    def forget(self) -> None:
        httpx.delete(f"{self._root}/requests").raise_for_status()


@contextlib.contextmanager
def scripted_vlm(*replies: dict[str, Any], owner: str = "scripted", port: int = 0) -> Iterator[ScriptedVlm]:
    """One at `port`, or where there is room; `owner` is what its model list says, by which families are told. Who waits
    for it at `port` may ask before `script` can be called: it has `replies` from the first request on."""
    command = [sys.executable, "-m", "tests.scripted_vlm", "--owner", owner, "--port", str(port)]
    command += ["--script", json.dumps(replies)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield ScriptedVlm(json.loads(process.stdout.readline())["url"], process)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S)


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"http://127.0.0.1:{port}/v1"}), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--owner", default="scripted")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=json.loads, default=[])
    options = parser.parse_args()
    config = uvicorn.Config(
        make_app(options.owner, options.script), port=options.port, log_level="critical", timeout_graceful_shutdown=1
    )
    _Announcing(config).run()


if __name__ == "__main__":
    main()
