"""Rules of zones and lines: what raises an alert. Pure: the same code runs live and over what was recorded."""

from __future__ import annotations

from agent.rules.firing import Firing
from agent.rules.running import RegionRules

__all__ = ["Firing", "RegionRules"]
