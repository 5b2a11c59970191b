"""How much of a card's memory SAM 3 needs, computed before anything is loaded.

Weights and state are exact. What a step takes beside them is an estimate from the sizes of the largest arrays that
are alive together, on the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass

PARAMETERS = 859_922_360
"""Of the released model."""
OBJECTS = 64
"""How many objects there is state for, all streams together."""
PICTURES = 4
"""How many cameras' pictures one step takes at most."""
SIDES = (1008, 672, 504)
"""Sides of the model's square input, in pixels. The first is what it was trained at."""
GROUPS = (1, 2, 4, 8, 16, 32)
"""Numbers of objects that are computed together; others are padded to the next, more go in several groups."""
LEAST_TOGETHER = 4
"""Objects that must fit before it is worth starting."""
OVERHEAD_BYTES = 800_000_000
"""The CUDA context, the libraries' workspaces and what the allocator cannot use."""

_PATCH = 14
_MEMORIES = 10  # frames of one object: 4 conditioning, 6 recent
_POINTERS = 20  # 4 conditioning, 15 recent and the present frame's
_WIDTH, _MEMORY_WIDTH = 256, 64
_MEMORY_BYTES = 2  # memories are kept in bfloat16 whatever the model computes in
_QUERIES = 200


def precision(capability: tuple[int, int]) -> str:
    """What the model computes in on a card of this CUDA compute capability: the narrowest numbers that are fast
    there, bfloat16 before float16, which cannot hold as large values."""
    if capability >= (8, 0):
        return "bfloat16"
    return "float16" if capability >= (7, 0) else "float32"


ITEM_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, slots=True)
class Room:
    """What fits: objects that are followed at a time, all streams together, and pictures in one step."""

    objects: int
    pictures: int

    @property
    def words(self) -> str:
        one = "one camera" if self.pictures == 1 else f"{self.pictures} cameras"
        return f"{self.objects} objects at a time, and pictures of {one} in one step"


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on the card."""

    weights_bytes: int
    state_bytes: int
    picture_bytes: int
    """One picture through the backbone and one concept through the detector. Those of other cameras come beside it."""
    object_bytes: int
    """Each object that is computed together with others."""

    def total_bytes(self, together: int = LEAST_TOGETHER, pictures: int = 1) -> int:
        """For groups of `together` objects, and steps of so many pictures."""
        fixed = self.weights_bytes + self.state_bytes + OVERHEAD_BYTES
        return fixed + pictures * self.picture_bytes + together * self.object_bytes

    def room(self, free_bytes: int, cameras: int = 1) -> Room | None:
        """What fits into `free_bytes` where so many cameras are expected, None where nothing does.

        Pictures of as many cameras as fit go together, the others take turns; of more than are expected where that
        costs no objects.
        """
        expected = max(1, min(cameras, PICTURES))
        fitting = [count for count in range(1, expected + 1) if self.total_bytes(pictures=count) <= free_bytes]
        if not fitting:
            return None
        objects = self._objects(free_bytes, fitting[-1])
        pictures = max(count for count in range(fitting[-1], PICTURES + 1)
                       if count == fitting[-1] or self._objects(free_bytes, count) == objects)  # fmt: skip
        return Room(objects, pictures)

    def _objects(self, free_bytes: int, pictures: int) -> int:
        """All that there is state for where the largest group fits, else the largest group that does."""
        fitting = [group for group in GROUPS if self.total_bytes(group, pictures) <= free_bytes]
        return OBJECTS if fitting and fitting[-1] == GROUPS[-1] else max(fitting, default=0)


def need(side: int, item_bytes: int, *, parameters: int = PARAMETERS, objects: int = OBJECTS) -> Need:
    """For a model of the released shape at `side` pixels, computing with numbers of `item_bytes`."""
    return Need(
        weights_bytes=parameters * item_bytes,
        state_bytes=state_bytes(side, item_bytes, objects),
        picture_bytes=item_bytes * _picture_values(_tokens(side)),
        object_bytes=item_bytes * _object_values(_tokens(side)),
    )


def state_bytes(side: int, item_bytes: int, objects: int = OBJECTS) -> int:
    """The fixed-capacity state, with the one row more that padding is written to."""
    tokens = _tokens(side)
    memories = _MEMORIES * tokens * _MEMORY_WIDTH * _MEMORY_BYTES
    return (objects + 1) * (memories + (_POINTERS * _WIDTH + 16 * tokens) * item_bytes)


def _tokens(side: int) -> int:
    return (side // _PATCH) ** 2


def _picture_values(tokens: int) -> int:
    backbone = tokens * (2 * 4736 + 6 * 1024)
    pyramids = 3 * tokens * (16 + 4 + 1) * _WIDTH
    masks = 16 * tokens * (_QUERIES + 3 * _WIDTH)
    attention = tokens * (2048 + 8 * _WIDTH + 2 * 8 * (_QUERIES + 1))
    return backbone + pyramids + masks + attention


def _object_values(tokens: int) -> int:
    remembered = _MEMORIES * tokens + _POINTERS * _WIDTH // _MEMORY_WIDTH
    # Memory and its positions, keys and values, and the keys' rotation in 32 bits.
    attention = remembered * (2 * _MEMORY_WIDTH + 2 * _WIDTH + 4 * _WIDTH) + tokens * (2048 + 6 * _WIDTH)
    decoder = 3 * 16 * tokens * 32
    encoder = tokens * (4 * 256 + 2 * 4 * _WIDTH)
    return attention + decoder + encoder
