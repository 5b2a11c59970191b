"""Which hosts a source may be read from. A name is resolved once; the connection then goes to the checked address."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from stream.errors import BadInput, SourceError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE: tuple[IpNetwork, ...] = tuple(
    ipaddress.ip_network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Loopback, link-local and the addresses at which clouds tell machines their secrets are not among them."""

NEVER: tuple[IpNetwork, ...] = (ipaddress.ip_network("fd00:ec2::/32"),)
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points. `path` holds the query; `username` and `password` come decoded and are not in `shown`."""

    scheme: str
    host: str
    port: int
    path: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """For people: without credentials and query, which may hold secrets too."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"

    @property
    def authority(self) -> str:
        """Host, and port where it is not the usual one."""
        return _bracketed(self.host) + ("" if self.port == PORTS.get(self.scheme) else f":{self.port}")

    @property
    def url(self) -> str:
        """With the query, without credentials."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def at(self, address: str) -> str:
        """The same at the address that its host was resolved to."""
        return f"{self.scheme}://{_bracketed(address)}:{self.port}{self.path}"


def target_of(url: str, schemes: Iterable[str]) -> Target:
    """`url` taken apart. Raises `BadInput`, whose words do not repeat the URL."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput("The address cannot be read.", action="Give one like rtsp://192.168.1.20/stream.") from None
    allowed = tuple(schemes)
    if parts.scheme not in allowed or not host:
        raise BadInput(f"The address must begin with {_either(allowed)} and name a host.", action="Correct it.")
    if any(ord(letter) <= 32 for letter in url.strip()):
        raise BadInput("The address has blanks in it.", action="Write a blank as %20.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path, username, password)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """`hosts` are names (`camera.lan`, `*.lan`), addresses and networks (`192.168.1.0/24`) that may be reached; empty
    means the private ranges. With `any_host` everything may, as where the operator names the address."""

    hosts: tuple[str, ...] = ()
    any_host: bool = False

    def resolve(self, host: str, port: int) -> str:
        """The address to connect to. Raises `SourceError` where there is none, or one of them may not be reached."""
        found = _addresses(host, port)
        if not self.any_host and not self._named(host):
            for address in found:
                if not self._allows(address):
                    raise SourceError(
                        f"{host} may not be reached from here.",
                        action="Add it to sources.allow_hosts in onlooker.toml, or name the feed there.",
                        code="host_not_allowed",
                    )
        return str(found[0])

    def _named(self, host: str) -> bool:
        """Whether the operator allowed this very name, wherever it leads."""
        name = host.lower().rstrip(".")
        for pattern in (allowed.lower() for allowed in self.hosts):
            if name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:])):
                return True
        return False

    def _allows(self, address: IpAddress) -> bool:
        networks = [network for host in self.hosts if (network := _network(host)) is not None]
        if self.hosts:
            return any(address in network for network in networks)
        return any(address in network for network in PRIVATE) and not any(address in network for network in NEVER)


def _network(text: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _addresses(host: str, port: int) -> list[IpAddress]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceError(
            f"There is no host {host}.",
            action="Check the name, or give the camera's address.",
            code="source_unreachable",
        ) from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return [_plain(address) for address in dict.fromkeys(addresses)]


def _plain(address: IpAddress) -> IpAddress:
    """An IPv4 address that is written as an IPv6 one, as itself."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _either(schemes: tuple[str, ...]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
