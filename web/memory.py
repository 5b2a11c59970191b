"""What the process has in memory, as the system says."""

from __future__ import annotations

import resource
from pathlib import Path

STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """At present; None where the system does not say."""
    return int(STATM.read_text().split()[1]) * resource.getpagesize() if STATM.exists() else None
