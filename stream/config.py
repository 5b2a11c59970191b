"""The configuration: command line over `ONLOOKER_*` over `onlooker.toml` over defaults, checked once at start."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream.errors import BadInput
from stream.feed_config import FeedConfig
from stream.section import Section, UserPath
from stream.sink_config import SINK_KINDS, SinkConfig

ENV_PREFIX = "ONLOOKER_"
ENV_DELIMITER = "__"
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
PLACES = ("ONLOOKER_CONFIG", "ONLOOKER_CACHE_DIR", "ONLOOKER_DATA_DIR")
"""Environment variables that say where things are, beside the keys of the configuration."""


def _counted(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class ServerConfig(Section):
    host: str = "localhost"
    """`localhost` binds 127.0.0.1 and ::1; any other address needs the token and gets TLS."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    tls_cert: UserPath | None = None
    tls_key: UserPath | None = None
    token_file: UserPath | None = None
    allowed_hosts: tuple[str, ...] = ()
    """Names under which the server is reached, beside its own."""
    allowed_origins: tuple[str, ...] = ()
    """Other pages that may call it, as `https://name:port`."""
    public_url: Annotated[str | None, Field(pattern=r"^https?://[^/@\s]+(/[^\s]*)?$")] = None
    """Where people reach the page, for links in what is sent; by default under this machine's name."""

    @model_validator(mode="after")
    def _whole_certificate(self) -> ServerConfig:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("a certificate (tls_cert) needs its key (tls_key), and a key its certificate")
        return self

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK_HOSTS


class IceServer(Section):
    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class WebRtcSection(Section):
    ice_servers: tuple[IceServer, ...] = ()
    addresses: tuple[str, ...] = ()
    """Addresses to offer instead of the machine's own (NAT, containers)."""
    max_sessions: Annotated[int, Field(ge=1, le=1024)] = 16
    """Publishers at once, and microphones."""
    max_viewers: Annotated[int, Field(ge=1, le=1024)] = 64
    """Each picture of a grid of cameras is one."""


class EngineConfig(Section):
    name: Literal["auto", "light", "sam3"] = "auto"
    models_dir: UserPath | None = None
    sam3: Annotated[str, Field(min_length=1)] | None = None
    """SAM 3's weights: a repository of the hub, a folder, or Meta's `sam3.pt`. Naming them asks for the sam3 engine
    where `name` is `auto`."""
    sam3_side: Annotated[Literal[1008, 672, 504], BeforeValidator(_counted)] = 1008
    """Pixels of its input; smaller is faster and coarser."""
    sam3_lower_sides: Literal["later", "start", "never"] = "later"
    """When the smaller sides are made ready, to which it gives way while the machine cannot keep up: at the first time,
    which then takes a second or two, or at the start. With `never` it keeps to `sam3_side`."""
    sam3_compile: bool = False
    """Compile it at start: minutes once, then faster steps."""
    decoder: Literal["auto", "software"] = "auto"
    """Video is decoded on the GPU where the engine runs on one, or always on the processor."""

    @property
    def asks_for_sam3(self) -> bool:
        """By its name, or by naming its weights."""
        return self.name == "sam3" or (self.name == "auto" and self.sam3 is not None)


class VlmConfig(Section):
    """A server that speaks OpenAI's chat completions. Without one the agent answers from the tracks alone."""

    url: str | None = None
    """Or `gemma`: one is started beside, on the GPU of this machine."""
    model: str | None = None
    """The first that the server lists, if none is named. With `gemma` a folder, or a repository of the hub."""
    api_key_file: UserPath | None = None
    describe: bool = True
    """Describe each object once by itself."""


class VoiceConfig(Section):
    """What turns speech into words."""

    model: str | None = None
    """Of faster-whisper: `whisper-base`, `whisper-tiny.en`, a folder, a package, or a name on the hub; the best that
    has been fetched, if none is named. With `url` the name that the server has for it."""
    url: str | None = None
    """A server with OpenAI's `/v1/audio/transcriptions` instead; or `vlm`, where the language model hears."""
    api_key_file: UserPath | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    language: Annotated[str | None, Field(pattern="^[a-z]{2,3}$")] = None
    """Such as `de`; detected, if none is given here or by the page."""


class StoreConfig(Section):
    """Where events, answers and their pictures are kept, and how much of them."""

    url: str | None = None
    """`postgresql://user@host/database` or `sqlite:////path/to/file.db`; by default a file in the data directory."""
    max_age_days: Annotated[float, Field(gt=0, le=36500)] = 30
    max_mb: Annotated[int, Field(ge=16)] = 2048


class ClipsConfig(Section):
    """The seconds of video around alerts, in `clips/` of the data directory."""

    enabled: Literal["feeds", "all", "off"] = "feeds"
    """`feeds`: of streams that the server reads itself, and not of those that a browser or another publisher sends.
    Each stream may be chosen otherwise, with `feeds.clips` or on the page."""
    before_s: Annotated[float, Field(ge=0, le=60)] = 5
    after_s: Annotated[float, Field(ge=0, le=120)] = 10
    longest_s: Annotated[float, Field(ge=1, le=600)] = 60
    """Alerts that come soon after each other share a clip, up to this length."""
    max_age_days: Annotated[float, Field(gt=0, le=36500)] = 14
    max_gb: Annotated[float, Field(gt=0)] = 20
    min_free_mb: Annotated[int, Field(ge=0)] = 512
    """So much of the disk is left free."""


class SourcesConfig(Section):
    allow_roots: tuple[UserPath, ...] = ()
    """Folders whose files a client may open."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts whose cameras a client may open: names (`cam.lan`, `*.lan`), addresses, networks (`192.168.0.0/16`). By
    default the private ranges. A feed that is named here, in the file, may be anywhere."""
    max_pixels: Annotated[int, Field(ge=64 * 64)] = 4096 * 2304
    max_streams: Annotated[int, Field(ge=1, le=1024)] = 16


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER
    )

    server: ServerConfig = ServerConfig()
    webrtc: WebRtcSection = WebRtcSection()
    engine: EngineConfig = EngineConfig()
    vlm: VlmConfig = VlmConfig()
    voice: VoiceConfig = VoiceConfig()
    sources: SourcesConfig = SourcesConfig()
    store: StoreConfig = StoreConfig()
    clips: ClipsConfig = ClipsConfig()
    feeds: tuple[FeedConfig, ...] = ()
    sinks: tuple[SinkConfig, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _TomlSource(settings_cls)


class _TomlSource(PydanticBaseSettingsSource):
    """`onlooker.toml`, where it is or where `ONLOOKER_CONFIG` says."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # `__call__` gives all values at once

    def __call__(self) -> dict[str, Any]:
        path = config_path()
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if "ONLOOKER_CONFIG" in os.environ:
                raise _wrong(f"{path} does not exist.", "Correct ONLOOKER_CONFIG.") from None
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong(f"{path} cannot be read: {error}.", "Correct the file.") from error
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _wrong(f"{path} is not TOML: {error}.", "Correct the file.") from error


def config_path() -> Path:
    """Where `onlooker.toml` is looked for."""
    named = os.environ.get("ONLOOKER_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("onlooker", appauthor=False) / "onlooker.toml"


def data_dir() -> Path:
    """Where the token, sessions and certificates are kept; `ONLOOKER_DATA_DIR` overrides it."""
    named = os.environ.get("ONLOOKER_DATA_DIR")
    return Path(named) if named else platformdirs.user_data_path("onlooker", appauthor=False)


def load_config(overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration with `overrides` (as nested tables) on top. Raises `BadInput` that names the wrong key."""
    _check_environment()
    try:
        return Config(**dict(overrides or {}))
    except ValidationError as error:
        raise _explained(error) from error


def known_keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Every key, dotted."""
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from known_keys(section, f"{prefix}{name}.")
        else:
            yield prefix + name


def _check_environment() -> None:
    known = {ENV_PREFIX + key.replace(".", ENV_DELIMITER).upper() for key in known_keys()} | set(PLACES)
    sections = {ENV_PREFIX + name.upper() for name in Config.model_fields}
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name not in known | sections:
            raise _wrong(f"{name} is not a setting.", _nearest(name, known))


def _explained(error: ValidationError) -> BadInput:
    fault = error.errors(include_url=False, include_input=False)[0]
    parts = [str(part) for part in fault["loc"] if not isinstance(part, int)]
    if parts[:1] == ["sinks"] and parts[1:2] and parts[1] in SINK_KINDS:
        del parts[1]  # the kind, which is no key
    key = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        listed = {f"feeds.{name}" for name in FeedConfig.model_fields}
        listed |= {f"sinks.{name}" for kind in SINK_KINDS.values() for name in kind.model_fields}
        return _wrong(f"{key} is not a setting.", _nearest(key, set(known_keys()) | listed))
    if fault["type"] == "union_tag_invalid":
        return _wrong(f"{key}.kind is none that there is.", f"It is one of {', '.join(SINK_KINDS)}.")
    return _wrong(f"{key}: {fault['msg']}.", f"Correct {key} in {config_path()}, the environment or the command.")


def _nearest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else "Remove it."


def _wrong(message: str, action: str) -> BadInput:
    return BadInput(message, action=action)


def public_config(config: Config) -> dict[str, Any]:
    """`config` as JSON without secrets."""
    values = config.model_dump(mode="json")
    for server in values["webrtc"]["ice_servers"]:
        for secret in ("username", "credential"):
            if server[secret] is not None:
                server[secret] = "(set)"
    for feed in values["feeds"]:
        if feed["url"] is not None:
            feed["url"] = _host_of(feed["url"])
    for sink in values["sinks"]:
        if "url" in sink:
            sink["url"] = _host_of(sink["url"])
        if sink.get("username") is not None:
            sink["username"] = "(set)"
    if values["store"]["url"] is not None:
        values["store"]["url"] = _host_of(values["store"]["url"])
    return values


def _host_of(url: str) -> str:
    """`url` without path and query, and without the host too where there are credentials: any may be a secret."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://(set)" if "@" in rest else f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
