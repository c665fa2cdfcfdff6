"""Asking DNS. Nothing else of a tenant's domain is ever asked: no page of it is fetched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.resolver

from saas.settings import Settings

LIFETIME_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`texts` of the challenge's TXT record; None when no name server could be asked, which says nothing about the record.
    `points_here`: whether the name leads to us, None when unknown."""

    texts: tuple[str, ...] | None
    points_here: bool | None = None


class Resolver(Protocol):
    async def ask(self, challenge: str, name: str, target: str) -> Answer:
        """What DNS says now of a challenge's record and of where a name leads."""
        ...


class DnsResolver:
    """The machine's name servers, or those of SAAS_DNS_SERVERS."""

    def __init__(self, settings: Settings) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not settings.dns_servers)
        if settings.dns_servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in settings.dns_servers]
        self._resolver.lifetime, self._resolver.timeout, self._resolver.cache = LIFETIME_SECONDS, LIFETIME_SECONDS / 2, None

    async def ask(self, challenge: str, name: str, target: str) -> Answer:
        texts, here = await asyncio.gather(self._texts(challenge), self._leads_to(name, target))
        return Answer(texts, here)

    async def _texts(self, name: str) -> tuple[str, ...] | None:
        try:
            found = await self._resolver.resolve(name + ".", "TXT", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.resolver.NoNameservers as error:  # they answered, but not with an answer: the domain's own servers are broken
            return () if "SERVFAIL" in str(error) else None
        except (dns.exception.DNSException, OSError, ValueError):
            return None
        return tuple(b"".join(record.strings).decode("utf-8", "replace")[:300] for record in found)[:50]

    async def _leads_to(self, name: str, target: str) -> bool | None:
        try:
            alias = await self._resolver.resolve(name + ".", "CNAME", search=False)
            if any(str(record.target).rstrip(".").lower() == target for record in alias):
                return True
        except (dns.exception.DNSException, OSError, ValueError):
            pass
        mine, theirs = await asyncio.gather(self._addresses(target), self._addresses(name))
        if theirs is None or mine is None:
            return None
        return bool(mine & theirs)

    async def _addresses(self, name: str) -> set[str] | None:
        found: set[str] = set()
        for kind in ("A", "AAAA"):
            try:
                found |= {str(record.address) for record in await self._resolver.resolve(name + ".", kind, search=False)}
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            except (dns.exception.DNSException, OSError, ValueError):
                return None
        return found
