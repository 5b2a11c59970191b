"""What cameras of the network have in common: an address that is checked, a login, and certificates."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.sources.addresses import AddressPolicy, Target
from stream.sources.trust import USUAL, Trust


@dataclass(frozen=True, slots=True)
class NetworkCamera:
    """`target` may hold a login; `username` and `password` come first."""

    target: Target
    policy: AddressPolicy
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    trust: Trust = USUAL

    @property
    def shown(self) -> str:
        return self.target.shown

    @property
    def where(self) -> str:
        return self.target.host

    @property
    def login(self) -> tuple[str, str] | None:
        """User name and password; None where none were given."""
        username = self.username or self.target.username
        return (username, self.password or self.target.password or "") if username else None

    @property
    def gives_login(self) -> bool:
        return self.login is not None

    def check(self) -> None:
        self.policy.resolve(self.target.host, self.target.port)
