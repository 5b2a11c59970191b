"""The `onlooker` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stream.config import Config

app = typer.Typer(
    name="onlooker",
    help="Real-time video analytics: tracked masks on the exact frame of a live camera.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The models: list them, or fetch those that are missing.", invoke_without_command=True)
app.add_typer(models_app, name="models")


class EngineName(StrEnum):
    AUTO = "auto"
    LIGHT = "light"
    SAM3 = "sam3"


class Sam3Side(StrEnum):
    FULL = "1008"
    MIDDLE = "672"
    SMALL = "504"


Host = Annotated[str | None, typer.Option(help="Address to listen on; off loopback it needs the token and gets TLS.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.")]
Engine = Annotated[EngineName | None, typer.Option("--engine", help="The engine that tracks.")]
Sam3 = Annotated[
    str | None,
    typer.Option("--sam3", help="SAM 3's weights: facebook/sam3 of the hub, a folder, or Meta's sam3.pt."),
]
Side = Annotated[
    Sam3Side | None, typer.Option("--sam3-side", help="Pixels of SAM 3's input; smaller is faster and coarser.")
]
Compile = Annotated[
    bool | None,
    typer.Option("--sam3-compile/--no-sam3-compile", help="Compile SAM 3 at start: minutes once, then faster."),
]
ModelsDir = Annotated[Path | None, typer.Option(help="A folder of models, prepared or to be filled.")]
Vlm = Annotated[
    str | None,
    typer.Option(
        "--vlm",
        help="Address of a language model server, http://host:port/v1; or “gemma”, to start one on the GPU here.",
    ),
]
Voice = Annotated[
    str | None,
    typer.Option(
        "--voice",
        help="What turns speech into words: a speech model's name or folder, the address of a server with OpenAI's "
        "transcriptions, http://host:port/v1, or “vlm”, where the language model hears.",
    ),
]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")]


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    sam3: Sam3 = None,
    sam3_side: Side = None,
    sam3_compile: Compile = None,
    models_dir: ModelsDir = None,
    vlm: Vlm = None,
    voice: Voice = None,
    open_page: Open = False,
) -> None:
    """Serve the page and the API; streams come from the page, WHIP and onlooker.toml."""
    config = _config(host, port, models_dir, vlm, voice, _engine(engine, sam3, sam3_side, sam3_compile))
    from web.run import serve as run

    run(config, open_page=open_page)


@app.command()
def demo(
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    sam3: Sam3 = None,
    sam3_side: Side = None,
    sam3_compile: Compile = None,
    models_dir: ModelsDir = None,
    vlm: Vlm = None,
    voice: Voice = None,
    open_page: Open = False,
) -> None:
    """The same with a clip as camera, already tracked; models that are missing are fetched beside it."""
    config = _config(host, port, models_dir, vlm, voice, _engine(engine, sam3, sam3_side, sam3_compile))
    from web.run import demo as run

    run(config, any_port=port is None, open_page=open_page)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    host: Host = None,
    port: Port = None,
    engine: Engine = None,
    sam3: Sam3 = None,
    sam3_side: Side = None,
    sam3_compile: Compile = None,
    models_dir: ModelsDir = None,
    vlm: Vlm = None,
    voice: Voice = None,
) -> None:
    """Check this machine and say what to do about what is missing."""
    from web.doctor import examine, report

    findings = examine(_config(host, port, models_dir, vlm, voice, _engine(engine, sam3, sam3_side, sam3_compile)))
    report(findings, as_json=as_json)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


@app.command()
def vlm(
    model: Annotated[str, typer.Option(help="A folder, or a repository of the hub.")] = "google/gemma-4-E4B-it",
    host: Annotated[str, typer.Option(help="Address to listen on; off loopback clients need the token.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8100,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16 or float32.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    ends_with_stdin: Annotated[bool, typer.Option("--ends-with-stdin", hidden=True)] = False,
) -> None:
    """Serve Gemma 4 as a language model server with OpenAI's API."""
    from web.gemma import serve_gemma

    config = _config()
    serve_gemma(config, model, host=host, port=port, device=device, dtype=dtype, ends_with_stdin=ends_with_stdin)


@models_app.callback()
def models(context: typer.Context, models_dir: ModelsDir = None, sam3: Sam3 = None) -> None:
    """List the models and where they are."""
    context.obj = models_dir
    if context.invoked_subcommand is None:
        from web.run import show_models

        show_models(_config(models_dir=models_dir, engine={"sam3": sam3}))


@models_app.command()
def fetch(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="“sam3”, “voice” or a speech model; by default what the light engine needs.")
    ] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Download what is missing, verify and convert it."""
    from web.run import fetch_models

    fetch_models(_config(models_dir=models_dir or context.obj), name)


@app.command()
def bench(
    streams: Annotated[str, typer.Option(help="How many cameras at once; several numbers are measured in turn.")] = "1",
    objects: Annotated[str, typer.Option(help="How many objects each camera follows; several in turn.")] = "1,5",
    size: Annotated[
        str, typer.Option(help="360p, 480p, 720p, 1080p, WIDTHxHEIGHT, or “clip”; several in turn.")
    ] = "720p",
    fps: Annotated[float, typer.Option(min=1, max=120, help="Pictures a second of each camera.")] = 30.0,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each combination is measured.")] = 10.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before that, once the objects are followed.")] = 3.0,
    file: Annotated[Path | None, typer.Option(help="A video to play; by default the demo clip.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Keep the result in this file.")] = None,
    draw: Annotated[
        bool, typer.Option("--draw", help="Have Chromium show the first camera, which costs as well.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Measure nothing: show two kept results side by side.", metavar="A.json B.json"),
    ] = None,
    engine: Engine = None,
    sam3: Sam3 = None,
    sam3_side: Side = None,
    sam3_compile: Compile = None,
    models_dir: ModelsDir = None,
) -> None:
    """Measure how long every stage takes on this machine, from the packet to the client."""
    from web.bench import command

    if compare is not None:
        command.compare(*compare)
        return
    command.bench(
        _config(models_dir=models_dir, engine=_engine(engine, sam3, sam3_side, sam3_compile)),
        streams=streams, objects=objects, sizes=size, fps=fps, seconds=seconds, warm_up_s=warm_up, file=file,
        output=output, draw=draw,
    )  # fmt: skip


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("onlooker"))


def main() -> None:
    """The entry point: errors are a line and what to do, Ctrl-C is no error."""
    from stream.errors import OnlookerError

    try:
        app()
    except OnlookerError as error:
        typer.echo(f"onlooker: {error.message}\n  {error.action}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _engine(name: EngineName | None, sam3: str | None, side: Sam3Side | None, compiled: bool | None) -> dict[str, Any]:
    """The table `engine` of the configuration, without the folder of models."""
    return {
        "name": name.value if name else None,
        "sam3": sam3,
        "sam3_side": int(side) if side else None,
        "sam3_compile": compiled,
    }


def _config(
    host: str | None = None,
    port: int | None = None,
    models_dir: Path | None = None,
    vlm: str | None = None,
    voice: str | None = None,
    engine: dict[str, Any] | None = None,
) -> Config:
    from stream.config import load_config

    given: dict[str, dict[str, Any]] = {
        "server": {"host": host, "port": port},
        "vlm": {"url": vlm},
        "voice": _voice(voice),
        "engine": {**(engine or {}), "models_dir": models_dir},
    }
    tables = {name: {key: value for key, value in table.items() if value is not None} for name, table in given.items()}
    return load_config({name: table for name, table in tables.items() if table})


def _voice(given: str | None) -> dict[str, str]:
    if given is None:
        return {}
    return {"url" if given == "vlm" or "://" in given else "model": given}


if __name__ == "__main__":
    main()
