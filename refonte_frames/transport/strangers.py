"""Hosts that are not the service's: which URLs and addresses may be asked for something at all. Pure; no key here.

A task's attachment is a URL that somebody wrote. Asked from inside a network it may mean a neighbour of ours: the
metadata service of a cloud, a router, a database. So the name is resolved first, every address it stands for has to
be a public one, and the connection goes to the very address that was looked at.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Refused", "Target", "is_public", "target_of"]

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MOST_SHOWN: Final = 200
_ODD: Final = frozenset(["\x7f", *map(chr, range(0xD800, 0xE000))])
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
#: Private addresses of IPv6's first years, which Python takes for global ones.
_SITE_LOCAL: Final = ipaddress.ip_network("fec0::/10")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """We do not ask there; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads.

    Attributes
    ----------
    scheme, host, port
        As usual; the host in the form that goes on the wire.
    path : str
        Path and query, percent-encoded.
    is_allowed : bool
        The caller named this host: plain http and addresses that are not public are right for it.
    """

    scheme: str
    host: str
    port: int
    path: str
    is_allowed: bool

    @property
    def shown(self) -> str:
        """The URL without its query, which may hold a signature, for sentences."""
        text = f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"
        return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, allow_hosts: Collection[str] = (), base: Target | None = None) -> Target:
    """Check a URL.

    Parameters
    ----------
    url : str
        What somebody wrote.
    allow_hosts : collection of str
        Hosts, as ``name`` or ``name:port``, that may be asked by plain http and at addresses that are not public.
    base : Target, optional
        What the URL is relative to: where a redirect came from.

    Raises
    ------
    Refused
        It is no https URL, or has a form that programs read differently.

    Examples
    --------
    >>> target_of("https://images.example.org/ä b.jpg?size=9").path
    '/%C3%A4%20b.jpg?size=9'
    >>> target_of("http://images.example.org/a.jpg")
    Traceback (most recent call last):
    refonte_frames.transport.strangers.Refused: http is not asked, https only; allow_hosts=['images.example.org'] ...
    """
    if "\\" in url or any(character <= " " or character in _ODD for character in url.replace(" ", "+")):
        raise Refused("the URL holds backslashes or control characters, or half a character")
    try:
        parts = urlsplit(url if base is None else urljoin(f"{base.scheme}://{base.authority}{base.path}", url))
        port = parts.port
    except ValueError:
        raise Refused("it is no URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Refused(_scheme_reason(parts))
    if not parts.hostname:
        raise Refused("the URL names no host")
    if parts.username is not None or parts.password is not None:
        raise Refused("the URL holds a user or password")
    host = _ascii(parts.hostname)
    port = port or _DEFAULT_PORTS[parts.scheme]
    is_allowed = _is_named(host, port, allow_hosts)
    if parts.scheme == "http" and not is_allowed:
        raise Refused(f"http is not asked, https only; allow_hosts=[{host!r}] would allow it for this host")
    query = f"?{_quoted(parts.query)}" if parts.query else ""
    return Target(parts.scheme, host, port, (_quoted(parts.path) or "/") + query, is_allowed)


def _scheme_reason(parts: SplitResult) -> str:
    if not parts.scheme:
        return "it is no URL"
    hint = "; read the tasks with include_attachment_url=True" if parts.scheme.endswith("data") else ""
    return f"{parts.scheme}:// is not asked, https only{hint}"


def _ascii(hostname: str) -> str:
    """Write a name as DNS has it; an address stays as it is."""
    if ":" in hostname:
        return hostname.partition("%")[0]
    try:
        return hostname.encode("idna").decode() if not hostname.isascii() else hostname.lower()
    except UnicodeError:
        raise Refused(f"{hostname!r} is no name of a host") from None


def _is_named(host: str, port: int, allow_hosts: Collection[str]) -> bool:
    named = {_ascii(name) if not name.isascii() and ":" not in name else name.lower() for name in allow_hosts}
    return host in named or f"{host}:{port}" in named or f"[{host}]:{port}" in named


def _quoted(text: str) -> str:
    return quote(text, safe="/%:=&?~+!$,;'@()*[]-._|")


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public internet, also in the disguises that IPv6 has for those of IPv4.

    Examples
    --------
    >>> [is_public(text) for text in ("93.184.216.34", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1")]
    [True, False, False, False]
    """
    return all(
        one.is_global and not (one.is_multicast or one.is_reserved or one.is_unspecified or one in _SITE_LOCAL)
        for one in _meant(ipaddress.ip_address(address.partition("%")[0]))
    )


def _meant(address: _Address) -> Iterator[_Address]:
    """List the address that a connection would end at; more than one where that depends on the network."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
