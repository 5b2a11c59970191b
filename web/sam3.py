"""SAM 3 as `onlooker doctor` and `onlooker models` see it: what is there, without torch and without a network."""

from __future__ import annotations

from dataclasses import dataclass

from stream.config import EngineConfig
from stream.models.sam3 import REPOSITORY, Found, NoSam3, Sam3WeightsMissing, check_packages, is_repository
from stream.models.sam3_hub import find, here
from stream.models.sam3_memory import ITEM_BYTES, SIDES, need, precision
from web.cards import NoAnswer, cards

PURPOSE = "following what you name, click or frame, on a GPU"


@dataclass(frozen=True, slots=True)
class Row:
    """SAM 3 in the list of models. `where` is its folder, or what to do."""

    state: str
    size_bytes: int
    source: str
    where: str


def row(config: EngineConfig) -> Row:
    """What of the weights is on this machine."""
    source = config.sam3 or REPOSITORY
    found = _found(source)
    if isinstance(found, Found):
        return Row("ready", found.size_bytes, source, str(found.folder))
    return Row(
        "missing" if isinstance(found, Sam3WeightsMissing) else "unusable", 0, source, f"{found.message} {found.action}"
    )


def weights(config: EngineConfig) -> tuple[bool, str, str]:
    """Whether they are there or can come, in words, and what to do."""
    source = config.sam3 or REPOSITORY
    found = _found(source)
    if isinstance(found, Found):
        return True, f"{source}: {found.size_bytes / 1e9:.1f} GB, whole, in {found.folder}", ""
    return False, found.message, found.action


def comes(config: EngineConfig) -> bool:
    """Whether missing weights are downloaded at the first start."""
    return is_repository(config.sam3 or REPOSITORY)


def taken(config: EngineConfig) -> bool:
    """Whether it runs: it is asked for, or nothing is and the released weights and a card are here."""
    if config.asks_for_sam3 or config.name != "auto":
        return config.asks_for_sam3
    try:
        check_packages()
        return here(REPOSITORY) is not None and bool(cards())
    except (NoSam3, NoAnswer):
        return False


def card(config: EngineConfig, cameras: int) -> tuple[bool, str, str]:
    """Whether the first GPU takes the model and the pictures of so many cameras, in words, and what to do."""
    try:
        there = cards()
    except NoAnswer:
        return False, "nvidia-smi fails, so the GPU cannot be judged.", "Check the driver."
    if not there:
        return False, "SAM 3 needs an NVIDIA GPU; there is none here.", "Use --engine light, which needs none."
    first = there[0]
    name = precision(first.capability)
    needed = need(config.sam3_side, ITEM_BYTES[name])
    room = f"{first.free_bytes / 1e9:.1f} GB free, {needed.total_bytes() / 1e9:.1f} GB needed"
    words = f"{name} at {config.sam3_side} px on {first.name}: {room}"
    fits = needed.room(first.free_bytes, cameras)
    if fits is not None:
        return True, f"{words}, for {fits.words} (computed)", ""
    smaller = [side for side in SIDES if need(side, ITEM_BYTES[name]).total_bytes() <= first.free_bytes]
    action = f"--sam3-side {smaller[0]} would fit." if smaller else "End what uses the card, or use a larger one."
    return False, words, action


def _found(source: str) -> Found | NoSam3:
    try:
        check_packages()
        return find(source)
    except NoSam3 as error:
        return error
