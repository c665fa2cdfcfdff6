"""The one way out for HTTP requests to addresses that tenants name (webhooks, identity providers): nothing else may ask them.

A tenant must not reach through us what only we can reach. So the name is resolved here, every address it has is checked, and the
connection goes to the very address that was checked: a name that answers differently a moment later changes nothing. Redirects are
refused, or checked anew one by one; sizes and times are limited; proxies of the environment are not used. Operators open single
places of their own network by SAAS_OUTBOUND_ALLOW.

Never call this inside a transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import dns.asyncresolver
import dns.exception
import dns.resolver
import httpcore2
import httpx2

from saas.errors import UpstreamFailed
from saas.i18n import LazyString, lazy
from saas.log import get_logger
from saas.observe.seen import outside
from saas.settings import Settings

log = get_logger(__name__)
MAX_BYTES, TIMEOUT_SECONDS, CONNECT_SECONDS = 1_000_000, 10.0, 5.0
RESOLVE_SECONDS = 6.0
HOSTS_FILE = Path(r"C:\Windows\System32\drivers\etc\hosts") if os.name == "nt" else Path("/etc/hosts")
MAX_URL = 2000
_ODD = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_LOW_PORTS = (80, 443)  # others below 1024 speak something else than HTTP
_REDIRECTS = (301, 302, 303, 307, 308)
_SECRET_HEADERS = ("authorization", "cookie")

# IANA's registries of special addresses, written out: what a library calls global has changed between versions.
_REFUSED_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",  # the last: a cloud's own services
    )
)  # fmt: skip
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")  # all that is given out; loopback, private, mapped, NAT64 (64:ff9b::/96) and multicast lie outside
_REFUSED_6 = tuple(ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))  # Teredo, 6to4, examples …

REASONS: Mapping[str, LazyString] = {
    "address": lazy("This is not an address that can be asked. It must begin with https:// and hold no user name, password or spaces."),
    "scheme": lazy("Only https:// addresses are asked."),
    "port": lazy("Web addresses with this port are not asked."),
    "name": lazy("There is no server of this name."),
    "private": lazy("This address leads into a private network, which is not asked."),
    "unreachable": lazy("The server could not be reached."),
    "tls": lazy("The server's certificate could not be checked."),
    "timeout": lazy("The server took too long to answer."),
    "redirect": lazy("The server led on to another address, which is not followed."),
    "too_large": lazy("The server's answer is too large."),
    "protocol": lazy("The server's answer is not HTTP as it should be."),
}


class OutboundFailed(UpstreamFailed):
    """No answer, and `reason` (a key of REASONS) says why; `for_good`: asking again is no use."""

    code = "outbound_failed"

    def __init__(self, *, reason: str = "unreachable") -> None:
        super().__init__(REASONS[reason], reason=reason)
        self.reason = reason

    @property
    def for_good(self) -> bool:
        return self.reason in ("address", "scheme", "port", "private", "redirect", "too_large")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever its status. Names of headers are in small letters; the last one of a name counts."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


Resolver = Callable[[str, int], Any]  # host, port -> awaitable list of address texts


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, as the machine sees them: by its hosts file, else by its name servers. Also reads forms like `0x7f.1`
    and `2130706433`, which are numbers. Without threads: the loop has few of them, and a name whose servers are silent must not take
    them from everybody. Errors: OSError, ValueError."""
    with contextlib.suppress(socket.gaierror):
        numbers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_NUMERICHOST)  # asks nobody
        return list(dict.fromkeys(str(entry[4][0]) for entry in numbers))
    name = host.lower().removesuffix(".")
    if (known := _hosts_file().get(name)) is not None:
        return known
    if name == "localhost" or name.endswith(".localhost"):
        return ["127.0.0.1", "::1"]
    try:
        resolver = _name_servers()
    except dns.exception.DNSException as error:
        raise OSError(str(error)) from error
    resolver.lifetime, resolver.timeout = RESOLVE_SECONDS, RESOLVE_SECONDS / 2
    answers = await asyncio.gather(*(_records(resolver, host, kind) for kind in ("A", "AAAA")), return_exceptions=True)
    found = [address for answer in answers if isinstance(answer, list) for address in answer]
    failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    if failed is not None and not found:
        raise OSError(str(failed)) from failed
    return found


def _name_servers() -> dns.asyncresolver.Resolver:
    """Read anew each time: they change when the machine changes networks."""
    return dns.asyncresolver.Resolver()


async def _records(resolver: dns.asyncresolver.Resolver, host: str, kind: str) -> list[str]:
    try:
        return [str(record.address) for record in await resolver.resolve(host, kind, search=not host.endswith("."))]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []


def _hosts_file() -> dict[str, list[str]]:
    """Addresses by name. Small, and read anew each time, as everybody else does."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for line in HOSTS_FILE.read_text("utf-8", "replace").splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            for name in names:
                found.setdefault(name.lower().removesuffix("."), []).append(address)
    return found


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and to nobody's network in particular."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _REFUSED_4)
    return found.scope_id is None and found in _PUBLIC_6 and not any(found in network for network in _REFUSED_6)


def check_url(url: str, settings: Settings) -> httpx2.URL:
    """The address in the form in which it is asked. Says nothing of where its name leads: that is checked when it is asked.
    Errors: OutboundFailed."""
    if len(url) > MAX_URL or _ODD.search(url):
        raise OutboundFailed(reason="address")
    try:
        parsed = httpx2.URL(url)
        host, port = parsed.raw_host.decode("ascii"), parsed.port
    except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
        raise OutboundFailed(reason="address") from error
    if not host or "%" in host or parsed.userinfo or "@" in parsed.netloc.decode("latin-1"):
        raise OutboundFailed(reason="address")
    if parsed.scheme not in ("http", "https"):
        raise OutboundFailed(reason="scheme")
    if _is_allowed(settings, host, _port(parsed)):
        return parsed
    if parsed.scheme != "https" and not settings.is_local:
        raise OutboundFailed(reason="scheme")
    if port is not None and not (port in _LOW_PORTS or 1024 <= port <= 65535):
        raise OutboundFailed(reason="port")
    return parsed


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _is_allowed(settings: Settings, host: str, port: int) -> bool:
    return (host.lower().strip("[]").removesuffix("."), port) in settings.outbound_allow


async def request(
    method: str,
    url: str,
    *,
    settings: Settings,
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    redirects: int = 0,
    max_bytes: int = MAX_BYTES,
    timeout_seconds: float = TIMEOUT_SECONDS,
    resolver: Resolver = resolve,
    trusted: ssl.SSLContext | None = None,
) -> Answer:
    """Ask a tenant's address, within `timeout_seconds` altogether.

    At most `redirects` are followed, for GET only; secrets in headers stay behind when one leads to another host. `resolver` and
    `trusted` (certificates) are for tests. Errors: OutboundFailed.
    """
    seconds = timeout_seconds
    try:
        async with outside(), asyncio.timeout(seconds):
            for hop in range(redirects + 1):
                parsed = check_url(url, settings)
                answer = await _ask(method, parsed, settings, headers or {}, content, max_bytes, resolver, trusted)
                if answer.status not in _REDIRECTS:
                    return answer
                if hop == redirects or method != "GET" or not answer.headers.get("location"):
                    raise OutboundFailed(reason="redirect")
                url = urljoin(str(parsed), answer.headers["location"])
                if not _same_origin(parsed, url):
                    headers = {name: value for name, value in (headers or {}).items() if name.lower() not in _SECRET_HEADERS}
    except TimeoutError as error:
        raise OutboundFailed(reason="timeout") from error
    raise OutboundFailed(reason="redirect")


def _same_origin(one: httpx2.URL, other: str) -> bool:
    try:
        found = httpx2.URL(other)
    except httpx2.InvalidURL:
        return False
    return (found.scheme, found.raw_host, _port(found)) == (one.scheme, one.raw_host, _port(one))


async def _ask(
    method: str, url: httpx2.URL, settings: Settings, headers: Mapping[str, str], content: bytes, max_bytes: int, resolver: Resolver, trusted: ssl.SSLContext | None
) -> Answer:
    target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    # Nothing compressed: a small answer could become a large one.
    sent = [(b"accept-encoding", b"identity"), *((name.lower().encode("ascii"), value.encode("utf-8")) for name, value in headers.items())]
    limits = {"connect": CONNECT_SECONDS, "read": TIMEOUT_SECONDS, "write": TIMEOUT_SECONDS, "pool": TIMEOUT_SECONDS}
    backend = _CheckedBackend(settings, resolver)
    try:
        async with (
            httpcore2.AsyncConnectionPool(ssl_context=trusted or _certificates(), max_connections=1, max_keepalive_connections=0, network_backend=backend) as pool,
            pool.stream(method, target, headers=sent, content=content, extensions={"timeout": limits}) as response,
        ):
            taken = bytearray()
            async for part in response.aiter_stream():
                taken += part
                if len(taken) > max_bytes:
                    raise OutboundFailed(reason="too_large")
            found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if found.get("content-encoding", "identity").lower() != "identity":
                raise OutboundFailed(reason="protocol")
            return Answer(response.status, found, bytes(taken))
    except httpcore2.TimeoutException as error:
        raise OutboundFailed(reason="timeout") from error
    except httpcore2.NetworkError as error:
        raise OutboundFailed(reason="tls" if _is_about_certificates(error) else "unreachable") from error
    except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, UnicodeError, ValueError) as error:
        raise OutboundFailed(reason="protocol") from error


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Those the machine trusts; SSL_CERT_FILE names others, as everywhere."""
    return ssl.create_default_context()


# ruff: noqa: ASYNC109  the signatures are the library's
class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name, checks all its addresses, and connects to one of those checked."""

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self._settings, self._resolver, self._inner = settings, resolver, httpcore2.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._addresses(host, port)
        for last, address in ((address == addresses[-1], address) for address in addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if last:
                    raise
        raise OutboundFailed(reason="name")

    async def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None) -> httpcore2.AsyncNetworkStream:
        raise OutboundFailed(reason="address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        bare = host.strip("[]")
        try:
            found = await self._resolver(bare, port)
        except (OSError, UnicodeError, ValueError) as error:
            raise OutboundFailed(reason="name") from error
        if not found:
            raise OutboundFailed(reason="name")
        # One private address among several is enough to refuse: the name's owner chooses which one is answered first.
        if not _is_allowed(self._settings, bare, port) and not all(is_public(address) for address in found):
            log.warning("outbound.refused", reason="private", port=port)
            raise OutboundFailed(reason="private")
        return found
