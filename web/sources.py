"""Which source a feed has, and which of them a client may open. Files only below the folders that the operator allowed,
hosts by `sources.allow_hosts`; the operator's own feeds may be anywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from stream.config import SourcesConfig
from stream.errors import BadInput, SourceError
from stream.feed_config import CAMERAS, NEEDED, FeedConfig
from stream.sources import demo, http, rtsp
from stream.sources.addresses import AddressPolicy, target_of
from stream.sources.base import Source
from stream.sources.camera import Camera, CameraSource
from stream.sources.device import DeviceCamera
from stream.sources.file import FileSource
from stream.sources.folder import FolderSource
from stream.sources.http import HttpCamera
from stream.sources.rtsp import RtspCamera
from stream.sources.trust import Trust
from web.api.feed_shapes import NewSource
from web.secret_files import password_in, read_secret

SCHEMES = {"rtsp": rtsp.SCHEMES, "http": http.SCHEMES, "mjpeg": http.SCHEMES}
DEVICE = re.compile(r"/dev/video\d{1,3}")
ANYWHERE = AddressPolicy(any_host=True)


def client_policy(sources: SourcesConfig) -> AddressPolicy:
    """What the API and the page may reach."""
    return AddressPolicy(sources.allow_hosts)


def feed_of(wanted: NewSource, stream_id: str, sources: SourcesConfig) -> FeedConfig:
    """What a client asks for, with its path found in an allowed folder. Raises `BadInput` or `SourceError`."""
    needed = NEEDED.get(wanted.kind)
    if needed is not None and not getattr(wanted, needed):
        raise BadInput(f"A source of kind {wanted.kind} needs `{needed}`.", action=f"Give its {needed}.")
    if wanted.kind == "v4l2" and not DEVICE.fullmatch(wanted.device or ""):
        raise BadInput("A camera of the server is /dev/video and a number.", action="Give one like /dev/video0.")
    values = wanted.model_dump(exclude_none=True)
    if wanted.url is not None and wanted.kind in SCHEMES:
        target = target_of(wanted.url, SCHEMES[wanted.kind])
        values["url"] = target.url
        if target.username is not None and wanted.username is None:
            values |= {"username": target.username, "password": SecretStr(target.password or "")}
    if wanted.kind in ("file", "folder"):
        values["path"] = allowed_path(wanted.path or "", sources.allow_roots, folder=wanted.kind == "folder")
    return FeedConfig(id=stream_id, **{key: value for key, value in values.items() if value is not None})


def source_of(feed: FeedConfig, policy: AddressPolicy) -> Source:
    """Raises `BadInput` for an address or a password file that cannot be read."""
    if feed.kind in CAMERAS:
        return CameraSource(camera_of(feed, policy))
    if feed.kind == "demo":
        return demo.demo_source()
    assert feed.path is not None
    if feed.kind == "folder":
        return FolderSource(feed.path, loop=feed.loop)
    return FileSource(feed.path, loop=feed.loop)


def camera_of(feed: FeedConfig, policy: AddressPolicy) -> Camera:
    """Raises `BadInput`."""
    if feed.kind == "v4l2":
        return DeviceCamera(feed.device or "")
    assert feed.url is not None
    username, password, trust = feed.username, password_of(feed), trust_of(feed)
    if feed.kind == "rtsp":
        return RtspCamera.of(
            feed.url, policy, username=username, password=password, trust=trust, transport=feed.transport
        )
    return HttpCamera.of(feed.url, policy, username=username, password=password, trust=trust, kind=feed.kind)


async def check(source: Source) -> None:
    """Look at a file, and whether the host of a camera may be reached. A camera may be off now. Raises
    `OnlookerError`."""
    if isinstance(source, FileSource):
        await source.check()
    elif isinstance(source, CameraSource):
        try:
            await asyncio.to_thread(source.camera.check)
        except SourceError as error:
            if error.code == "host_not_allowed":
                raise


def password_of(feed: FeedConfig) -> str | None:
    """Raises `BadInput` for a file that cannot be read or is empty."""
    if feed.password_file is None:
        return feed.password.get_secret_value() if feed.password is not None else None
    return read_secret(feed.password_file, f"password of feed “{feed.id}”", "feeds.password_file", password_in)


def trust_of(feed: FeedConfig) -> Trust:
    """Raises `BadInput` for a file that cannot be read."""
    trust = Trust(feed.verify_tls, feed.ca_file)
    if feed.ca_file is not None:
        try:
            trust.context()
        except OSError:
            raise BadInput(
                f"There are no certificates for feed “{feed.id}” in {feed.ca_file}.", action="Correct feeds.ca_file."
            ) from None
    return trust


def allowed_path(path: str, allow_roots: Sequence[Path], *, folder: bool = False) -> Path:
    """`path` with links followed, if it is a file (or a folder) below an allowed folder; the answer does not tell
    whether there are others elsewhere. A relative path is looked for in each folder."""
    if not allow_roots:
        message = "No folder of this server may be opened."
        raise SourceError(message, action="Add the folder to sources.allow_roots in onlooker.toml.")
    if "\x00" not in path:
        for root in allow_roots:
            try:
                base = root.resolve(strict=True)
                found = (base / path).resolve(strict=True)
            except (OSError, RuntimeError):
                continue
            if found.is_relative_to(base) and (found.is_dir() if folder else found.is_file()):
                return found
    what = "folder" if folder else "file"
    raise SourceError(f"There is no such {what} in the allowed folders.", action="Check the path, or allow its folder.")
