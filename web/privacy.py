"""What a stream hides, between the API and the stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.types import Region, RegionKind
from stream.errors import BadInput, NotFound
from stream.privacy.settings import MOST_CLASSES, MOST_CORNERS, MOST_ZONES, Privacy, Style, Zone, make_privacy
from web.protocol.parts import Unit

Corners = Annotated[list[tuple[Unit, Unit]], Field(min_length=3, max_length=MOST_CORNERS)]


class PrivacyBody(BaseModel):
    """What is hidden before any picture leaves: things of `classes` (`person`, or `person: head` for the upper part of
    each), and `zones`, each the id of a zone of the stream or corners in [0, 1]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=MOST_CLASSES)] = []
    zones: Annotated[list[Annotated[str, Field(max_length=64)] | Corners], Field(max_length=MOST_ZONES)] = []
    style: Literal["pixelate", "blur", "fill"] = "pixelate"


def to_privacy(body: PrivacyBody, regions: Sequence[Region] = ()) -> Privacy | None:
    """None where it names nothing. Raises `BadInput` or `NotFound`."""
    return make_privacy(body.classes, [_zone(zone, regions) for zone in body.zones], Style(body.style))


def privacy_body(privacy: Privacy | None) -> dict[str, Any] | None:
    if privacy is None:
        return None
    zones = [zone.region_id or [list(point) for point in zone.points] for zone in privacy.zones]
    return {"classes": list(privacy.classes), "zones": zones, "style": privacy.style.value}


def _zone(zone: str | Iterable[tuple[float, float]], regions: Sequence[Region]) -> Zone:
    if not isinstance(zone, str):
        return Zone(tuple((float(x), float(y)) for x, y in zone))
    region = next((region for region in regions if region.id == zone), None)
    if region is None:
        raise NotFound("There is no such region.", code="unknown_region")
    if region.kind is not RegionKind.ZONE:
        raise BadInput("A line has no inside that could be hidden.", action="Draw a zone.")
    return Zone(tuple((float(x), float(y)) for x, y in region.points), region.id)
