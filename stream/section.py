"""What all sections of the configuration are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str | Path) else value


UserPath = Annotated[Path, BeforeValidator(_expanded)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
