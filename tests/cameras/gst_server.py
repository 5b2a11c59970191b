"""An RTSP server on GStreamer, run by the system's Python: serves packed clips in a loop, each picture at its time.

    python3 gst_server.py SPECIFICATION.json

Prints its port once it listens. `tests.cameras.rtsp` starts it and says what the specification holds.
"""

import json
import struct
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

PAYLOADS = {
    "H264": ("video/x-h264,stream-format=byte-stream,alignment=au", "h264parse ! rtph264pay config-interval=-1"),
    "HEVC": ("video/x-h265,stream-format=byte-stream,alignment=au", "h265parse ! rtph265pay config-interval=-1"),
    "AAC": ("audio/mpeg,mpegversion=4,stream-format=adts", "aacparse ! rtpmp4gpay"),
}
TONE = "audiotestsrc is-live=true volume=0.1 ! audio/x-raw,rate=8000,channels=1"
PCMA = f"{TONE} ! alawenc ! queue ! rtppcmapay name=pay1 pt=8"
RECORD = struct.Struct("<qqI")


def read_packed(path):
    """`(pts, dts, data)` in nanoseconds, in decoding order."""
    with open(path, "rb") as file:
        packed = file.read()
    at, units = 0, []
    while at < len(packed):
        pts, dts, size = RECORD.unpack_from(packed, at)
        at += RECORD.size
        units.append((pts, dts, packed[at : at + size]))
        at += size
    return units


class Feeder(threading.Thread):
    """Pushes a clip into an `appsrc`, again and again, until its media ends."""

    def __init__(self, source, units, length):
        super().__init__(daemon=True)
        self.source, self.units, self.length = source, units, length
        self.stopped = threading.Event()

    def run(self):
        started, pass_start = time.monotonic(), 0
        offset = None
        while not self.stopped.is_set():
            for pts, dts, data in self.units:
                due = started + (pass_start + dts) / 1e9
                if self.stopped.wait(max(0.0, due - time.monotonic())):
                    return
                if offset is None:
                    now = self.source.get_current_running_time()
                    offset = 0 if now == Gst.CLOCK_TIME_NONE else now
                buffer = Gst.Buffer.new_wrapped(data)
                buffer.pts, buffer.dts = offset + pass_start + pts, offset + pass_start + dts
                if self.source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
            pass_start += self.length


def configure(_factory, media, mount):
    feeders = []
    for name in ("video", "audio"):
        source = media.get_element().get_by_name(name)
        if source is not None and name in mount:
            feeders.append(Feeder(source, read_packed(mount[name]["path"]), mount[name]["length"]))
    for feeder in feeders:
        feeder.start()
    media.connect("unprepared", lambda *_: [feeder.stopped.set() for feeder in feeders])


def branch(name, codec, number):
    caps, payload = PAYLOADS[codec]
    source = f"appsrc name={name} is-live=true format=time caps={caps}"
    return f"{source} ! queue ! {payload} name=pay{number} pt={96 + number}"


def factory_of(mount):
    branches = [branch("video", mount["video"]["codec"], 0)]
    if "audio" in mount:
        branches.append(branch("audio", "AAC", 1))
    elif mount.get("pcma"):
        branches.append(PCMA)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {' '.join(branches)} )")
    factory.set_shared(not mount.get("pcma"))  # a second client would end the tone of the first
    factory.connect("media-configure", configure, mount)
    return factory


def protect(server, factories, wanted):
    """By a login, by TLS, or both."""
    from gi.repository import GstRtsp

    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if wanted.get("certificate"):
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(wanted["certificate"], wanted["key"]))
    if not wanted.get("user"):
        auth.set_default_token(token)
    elif wanted["digest"]:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(wanted["user"], wanted["password"], token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(wanted["user"], wanted["password"]), token)
    server.set_auth(auth)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(wanted["port"]))
    factories = {path: factory_of(mount) for path, mount in wanted["mounts"].items()}
    if wanted.get("user") or wanted.get("certificate"):
        protect(server, factories.values(), wanted)
    for path, factory in factories.items():
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        sys.exit("cannot listen")
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


main()
