"""`privacy` of one of `[[feeds]]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stream.errors import BadInput
from stream.privacy.settings import Privacy, Style, Zone, make_privacy
from stream.section import Section


class PrivacyConfig(Section):
    """What is hidden before any picture of the feed leaves: `classes`, such as `person` or `person: head`, and `zones`,
    each a list of corners in [0, 1]."""

    classes: tuple[str, ...] = ()
    zones: tuple[tuple[tuple[float, float], ...], ...] = ()
    style: Annotated[Style, Field()] = Style.PIXELATE

    @model_validator(mode="after")
    def _usable(self) -> PrivacyConfig:
        try:
            self.settings()
        except BadInput as error:
            raise ValueError(error.message) from error
        return self

    def settings(self) -> Privacy | None:
        """None where nothing is hidden."""
        return make_privacy(self.classes, [Zone(zone) for zone in self.zones], self.style)
