"""What `onlooker bench` does: arguments to cases, progress, tables, a file."""

from __future__ import annotations

import itertools
import logging
import re
from pathlib import Path

from rich.console import Console

from stream.config import Config
from stream.errors import BadInput
from stream.sources.demo import CLIP
from web.bench.clip import encode, size_of
from web.bench.result import Json, case_table, compared, machine, read, summary, title, write

SIZES = {"360p": (640, 360), "480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
console = Console(emoji=False)


def bench(
    config: Config, *, streams: str, objects: str, sizes: str, fps: float, seconds: float, warm_up_s: float,
    file: Path | None, output: Path | None, draw: bool = False,
) -> None:  # fmt: skip
    """Measure all combinations, print a table for each, and keep all of it in `output`. Raises `OnlookerError`."""
    from web.bench.run import Case, measure  # the whole server, which comparing does without

    logging.basicConfig(level=logging.ERROR)
    path = file or CLIP
    counts = list(itertools.product(_numbers("streams", streams, 1), _numbers("objects", objects, 0)))
    wanted = [_size(name, path) for name in sizes.split(",")]
    with console.status("Preparing the clip …"):
        clips = [encode(path, width, height, fps) for width, height in wanted]
    cases = [Case(many, things, clip) for clip in clips for many, things in counts]
    with console.status("Starting …") as status:

        def told(case: Json) -> None:
            console.print(title(case), style="bold", highlight=False)
            console.print(case_table(case), summary(case), "", sep="\n", highlight=False, soft_wrap=True)
            status.update("Measuring …")

        found = measure(config, cases, seconds=seconds, warm_up_s=warm_up_s, told=told, draw=draw)
    where = machine()
    engine, gpu = found["engine"], where["gpu"]
    card = f", {gpu['name']}" if gpu else ""
    console.print(
        f"{engine['name']} on {engine['device']}; {where['cpu']}, {where['cores']} cores{card}", highlight=False
    )
    drawn = "; draw: from there to the screen, with what the page holds back" if draw else ""
    console.print(f"Milliseconds. receive: after it was due; total: from then to the client{drawn}.", style="dim")
    if output is not None:
        write(output, {"machine": where, **found})
        console.print(f"Kept in {output}", highlight=False, soft_wrap=True)


def compare(before: Path, after: Path) -> None:
    """Two results side by side. Raises `BadInput`."""
    old, new = read(before), read(after)
    tables = compared(old, new)
    for name, found in (("A", old), ("B", new)):
        where = found["machine"]
        card = f", {where['gpu']['name']}" if where["gpu"] else ""
        console.print(
            f"{name}: {found['engine']['name']}, {where['cpu']}, {where['cores']} cores{card}, {where['date']}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    for table in tables:
        console.print("", table)
    if not tables:
        both = [sorted(title(case) for case in found["cases"]) for found in (old, new)]
        raise BadInput(
            f"The two have no case in common: {'; '.join(both[0])} – and {'; '.join(both[1])}.",
            action="Measure both with the same --streams, --objects, --size and --fps.",
        )


def _numbers(name: str, text: str, least: int) -> list[int]:
    parts = text.split(",")
    if not all(re.fullmatch(r"\d{1,3}", part.strip()) for part in parts) or min(map(int, parts)) < least:
        raise BadInput(f"--{name} is “{text}”.", action=f"Give numbers from {least} on: --{name} 1,4")
    return [int(part) for part in parts]


def _size(name: str, path: Path) -> tuple[int, int]:
    name = name.strip()
    if name == "clip":
        width, height = size_of(path)
        return width // 2 * 2, height // 2 * 2
    if name in SIZES:
        return SIZES[name]
    found = re.fullmatch(r"(\d{2,4})[x×](\d{2,4})", name)
    if found is None or int(found[1]) % 2 or int(found[2]) % 2:
        raise BadInput(
            f"--size is “{name}”.", action=f"Give {', '.join(SIZES)}, WIDTHxHEIGHT in even numbers, or “clip”."
        )
    return int(found[1]), int(found[2])
