"""A self-signed certificate for binds beyond loopback: browsers give no camera to a page without TLS."""

from __future__ import annotations

import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream.errors import BadInput
from web.auth import write_private

VALID_DAYS = 397
"""The longest that browsers accept."""
RENEW_DAYS = 30


def own_addresses() -> list[str]:
    """This machine's addresses, without loopback and link-local ones."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_link_local):
                found.append(text)
    return found


def own_names() -> list[str]:
    host = socket.gethostname()
    return list(dict.fromkeys(["localhost", host.lower(), f"{host.split('.')[0].lower()}.local"]))


def ensure_certificate(folder: Path, names: list[str], addresses: list[str]) -> tuple[Path, Path]:
    """`(certificate, key)` in `folder`, made anew when absent, when it runs out within 30 days, or when a name or
    address is missing from it."""
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    if key_path.exists() and certificate_path.exists() and _covers(certificate_path, names, addresses):
        return certificate_path, key_path
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, names, addresses)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key_path, key_pem.decode())
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM).decode())
    return certificate_path, key_path


def fingerprint(path: Path) -> str:
    """SHA-256 of the certificate in `path` as browsers show it. Raises `BadInput`."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"The certificate {path} cannot be read: {error}.", action="Correct server.tls_cert.") from error
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _self_signed(key: ec.EllipticCurvePrivateKey, names: list[str], addresses: list[str]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Onlooker")])
    now = datetime.now(UTC)
    general_names: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    general_names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName(general_names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _covers(path: Path, names: list[str], addresses: list[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    if certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=RENEW_DAYS):
        return False
    held_addresses = {str(address) for address in held.get_values_for_type(x509.IPAddress)}
    wanted_addresses = {str(ipaddress.ip_address(address)) for address in addresses}
    return set(names) <= set(held.get_values_for_type(x509.DNSName)) and wanted_addresses <= held_addresses
