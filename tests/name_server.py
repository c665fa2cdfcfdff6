"""A real name server for tests: UDP on loopback, with the records a test puts into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """`records`: (name, type) -> values, as in a zone file. `broken`: names that are answered with SERVFAIL. `silent`: says nothing."""

    port: int = 0
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        values = self.records.get((name, kind), [])
        alias = self.records.get((name, "CNAME"), [])
        if name in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif values:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *(f'"{v}"' if kind == "TXT" else v for v in values)))
        elif alias and kind != "CNAME":
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", *alias))
        elif not any(known == name for known, _kind in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)

    def prove(self, name: str, token: str) -> None:
        """As the owner of a domain does who wants it to be proved."""
        self.records[f"_saas-challenge.{name}", "TXT"] = ["v=spf1 -all", f"saas-domain-verification={token}"]


@asynccontextmanager
async def name_server(database: Any) -> AsyncIterator[NameServer]:
    """The installation asks it, and nobody else, meanwhile."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    server.port = transport.get_extra_info("sockname")[1]
    before, database.settings = database.settings, replace(database.settings, dns_servers=(("127.0.0.1", server.port),))
    try:
        yield server
    finally:
        database.settings = replace(database.settings, dns_servers=before.dns_servers)
        transport.close()
