"""What is computed once and used again: the features of pictures, and the keys and values of the system's turn."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ImageKey = tuple[str, int]
"""The sha256 of a picture's bytes, and the tokens it may take."""

IMAGE_BYTES = 512 * 1024 * 1024
PREFIXES = 4
MIN_PREFIX = 16
"""Copying the keys of fewer tokens costs as much as computing them."""


@dataclass(frozen=True, slots=True)
class Features:
    """A picture as the language model takes it: [tokens, hidden], on the model's device."""

    values: torch.Tensor

    @property
    def tokens(self) -> int:
        return int(self.values.shape[0])


class ImageCache:
    """Features by picture and budget, the least recently used dropped beyond `max_bytes`. Any thread."""

    def __init__(self, max_bytes: int = IMAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[ImageKey, Features] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def known(self, keys: set[ImageKey]) -> Mapping[ImageKey, Features]:
        """Those of `keys` that are kept."""
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: ImageKey, features: Features) -> None:
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += features.values.nbytes - (old.values.nbytes if old is not None else 0)
            self._kept[key] = features
            while self._bytes > self._max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.values.nbytes

    @property
    def nbytes(self) -> int:
        return self._bytes


class PrefixCache:
    """Keys and values by the ids they belong to. The worker's thread only.

    Generating writes into a cache, so each use gets a copy.
    """

    def __init__(self, max_entries: int = PREFIXES) -> None:
        self._max_entries = max_entries
        self._kept: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def wants(self, ids: tuple[int, ...]) -> bool:
        return self._max_entries > 0 and len(ids) >= MIN_PREFIX

    def copy(self, ids: tuple[int, ...]) -> Any | None:
        if ids not in self._kept:
            return None
        self._kept.move_to_end(ids)
        return copy.deepcopy(self._kept[ids])

    def keep(self, ids: tuple[int, ...], cache: Any) -> None:
        self._kept[ids] = copy.deepcopy(cache)
        while len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)
