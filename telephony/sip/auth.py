"""Digest authentication (RFC 7616, RFC 8760)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """For whom we answer a 401 or 407. `realms`: those it is for; empty: any."""

    username: str
    password: str = field(repr=False)
    realms: tuple[str, ...] = ()
