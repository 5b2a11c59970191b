"""FFmpeg's WHIP muxer as a publisher of numbered pictures: python -m tests.ffmpeg_publisher URL FOLDER SECONDS

A process of its own, since PyAV holds the interpreter while FFmpeg waits for the server's answer.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.barcode import picture


def certificate(folder: Path) -> dict[str, str]:
    """FFmpeg's DTLS needs a P-256 certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    pem = serialization.Encoding.PEM

    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(key.private_bytes(pem, plain, serialization.NoEncryption()))
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def publish(url: str, folder: Path, seconds: int) -> None:
    """Send 30 numbered pictures a second."""
    with av.open(url, "w", format="whip", options=certificate(folder)) as out:
        encoder = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "30", "bf": "0"}
        video = out.add_stream("libx264", rate=30, options=encoder)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        started_s = time.monotonic()
        for number in range(30 * seconds):
            frame = av.VideoFrame.from_ndarray(picture(number, 320, 240), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            out.mux(video.encode(frame))
            time.sleep(max(0.0, started_s + (number + 1) / 30 - time.monotonic()))
        out.mux(video.encode(None))


if __name__ == "__main__":
    publish(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
