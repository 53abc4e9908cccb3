"""The public web alone: for addresses that strangers name, so that they never choose whom inside a network we ask."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

MAX_REDIRECTS = 5
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where it wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if wrapped is not None:
            return wrapped.is_global
    return ip.is_global and not ip.is_multicast


class NotPublicError(requests.RequestException):
    """An address, or one that it sends on to, is not of the public internet."""


REFUSED = (NotPublicError, requests.exceptions.InvalidSchema, requests.TooManyRedirects)
"""What says that an address is none that may be asked, rather than that it does not answer."""


class _PublicOnly(HTTPAdapter):
    """Asks a host only if every address of its name is public; requests calls it for each redirection anew.

    A name that changes its addresses between this look and the connection would meet TLS, which wants its certificate.
    """

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        super().__init__()
        self.allowed = allowed

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        parts = urlsplit(str(request.url))
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise requests.ConnectionError(f"{parts.hostname} has no address") from error
        if not all(self.allowed(str(place[0])) for *_, place in found):
            raise NotPublicError(f"{parts.hostname} is not of the public internet")
        return super().send(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)


def session(scheme: str = "https", allowed: Callable[[str], bool] = is_public) -> requests.Session:
    """A session that asks public hosts by https alone: no proxy, no .netrc, few redirections.

    Args:
        scheme: the only one that is spoken; another one, in a redirection too, is refused.
        allowed: which IP addresses may be asked.
    """
    made = requests.Session()
    made.trust_env = False
    made.max_redirects = MAX_REDIRECTS
    made.adapters.clear()
    made.mount(f"{scheme}://", _PublicOnly(allowed))
    return made
