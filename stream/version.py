"""Which Onlooker this is; read from the disk once."""

from __future__ import annotations

import importlib.metadata

VERSION = importlib.metadata.version("onlooker")
