"""The one way out to addresses that tenants name: what is refused, and that nothing arrives where it must not. Over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import dns.asyncresolver
import dns.nameserver
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from saas import outbound
from saas.outbound import OutboundFailed, check_url, is_public, request
from saas.settings import InvalidSettings, Settings
from tests.name_server import NameServer

FAR = Settings(base_domain="crm.example.com", secret_key="k" * 40)  # not a developer's machine
NEAR = replace(FAR, base_domain="localhost")


@dataclass
class Listener:
    """Counts who comes, and answers each with the next of `answers`, or a plain 200."""

    port: int = 0
    visits: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.visits.append(await reader.readuntil(b"\r\n\r\n"))
            if self.silent:
                await reader.read()
            writer.write(self.answers.pop(0) if self.answers else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening(Listener()) as found:
        yield found


@contextlib.asynccontextmanager
async def listening(found: Listener, certificate: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    server = await asyncio.start_server(found.serve, "127.0.0.1", found.port, ssl=certificate)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


def allowed(listener: Listener, host: str = "127.0.0.1", settings: Settings = FAR) -> Settings:
    return replace(settings, outbound_allow=frozenset({(host, listener.port)}))


# Each leads, or once led somewhere, to what only we can reach. {port} is where somebody really listens.
TRICKY = [
    "http://127.0.0.1:{port}/", "http://127.0.0.1.:{port}/", "http://127.1:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0x7f.1:{port}/", "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/", "http://127.0.0.1:{port}/?https://example.com", "http://127.255.255.254:{port}/", "http://0.0.0.0:{port}/", "http://0:{port}/", "http://localhost:{port}/",
    "http://LOCALHOST:{port}/", "http://localhost.:{port}/", "http://[::1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::7f00:1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/", "http://[fe80::1]:{port}/", "http://[fe80::1%25lo]:{port}/", "http://[fc00::1]:{port}/", "http://[fd00:ec2::254]/latest/meta-data/", "http://[fec0::1]/",
    "http://[ff02::1]/", "http://[100::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[5f00::1]/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://100.64.0.1/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/", "http://198.18.0.1/", "http://192.0.2.1/", "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/",
    "http://user@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/", "http://:@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@example.com/",
    "http://①②⑦.0.0.1:{port}/", "http://１２７.0.0.1:{port}/", "http://127。0。0。1:{port}/", "http://loc\u200balhost:{port}/", "http://127.0.0.1:{port}/\r\nx: y", "http://127.0.0.1:{port}/ a", " http://127.0.0.1:{port}/",
    "http://127.0.0.1%2eexample.com:{port}/", "http://127.0.0.1%00.example.com:{port}/",
    "gopher://127.0.0.1:{port}/_x", "file:///etc/passwd", "ftp://127.0.0.1:{port}/", "unix:///run/docker.sock", "//127.0.0.1:{port}/", "127.0.0.1:{port}", "http:///", "http://", "", "javascript:alert(1)",
    "http://example.com:22/", "http://example.com:25/", "http://example.com:0/", "http://example.com:99999/", "http://example.com:-1/", "http://" + "a" * 3000 + ".example/",
]  # fmt: skip


@pytest.mark.parametrize("address", TRICKY)
async def test_nothing_arrives_where_only_we_can_reach(address, listener, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", address.format(port=listener.port), settings=NEAR)
    assert caught.value.reason in ("address", "scheme", "port", "private", "name"), caught.value.reason
    assert not listener.visits


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1", "2400:cb00::1"])
def test_the_public_internet_is_public(address):
    assert is_public(address)


def test_only_https_where_it_is_not_a_developers_machine():
    assert str(check_url("https://idp.example.org/x?y=1", FAR)) == "https://idp.example.org/x?y=1"
    with pytest.raises(OutboundFailed, match="https"):
        check_url("http://idp.example.org/", FAR)
    assert check_url("http://idp.example.org/", NEAR).host == "idp.example.org"
    assert check_url("https://bücher.example/", FAR).raw_host == b"xn--bcher-kva.example"


async def test_what_the_operator_allows_is_asked_and_nothing_beside_it(listener):
    answer = await request("POST", f"http://127.0.0.1:{listener.port}/hook", settings=allowed(listener), headers={"x-a": "b"}, content=b"{}")
    assert answer.status == 200 and answer.content == b"ok" and answer.is_good
    assert listener.visits[0].startswith(b"POST /hook HTTP/1.1\r\n") and b"x-a: b" in listener.visits[0] and b"accept-encoding: identity" in listener.visits[0]
    with pytest.raises(OutboundFailed, match="private"):
        await request("GET", f"http://localhost:{listener.port}/", settings=replace(allowed(listener), base_domain="localhost"))
    with pytest.raises(OutboundFailed, match="private"):
        await request("GET", "http://127.0.0.1:80/", settings=replace(allowed(listener), base_domain="localhost"))


async def test_a_name_that_answers_differently_a_moment_later_changes_nothing(listener):
    """DNS rebinding: the first answer is public, later ones are ours."""
    asked = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) > 1 else ["127.0.0.1"]

    with pytest.raises(OutboundFailed) as caught:
        await request("GET", f"http://evil.example:{listener.port}/", settings=NEAR, resolver=rebinding)
    assert caught.value.reason == "private" and asked == ["evil.example"] and not listener.visits

    async def mixed(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    with pytest.raises(OutboundFailed) as caught:
        await request("GET", f"http://evil.example:{listener.port}/", settings=NEAR, resolver=mixed)
    assert caught.value.reason == "private" and not listener.visits


async def test_the_connection_goes_to_the_address_that_was_checked(listener, monkeypatch):
    """One resolution: the name is unknown to the machine, so whoever looked it up again would fail."""
    monkeypatch.setattr(outbound, "is_public", lambda address: address == "127.0.0.1")  # as if this address were out there

    async def once(host: str, port: int) -> list[str]:
        assert not listener.visits
        return ["127.0.0.1"]

    answer = await request("GET", f"http://nowhere.invalid:{listener.port}/", settings=NEAR, resolver=once)
    assert answer.status == 200 and f"host: nowhere.invalid:{listener.port}".encode() in listener.visits[0].lower()


async def test_redirects_are_refused_or_checked_anew(listener):
    settings = allowed(listener)
    inside = b"HTTP/1.1 302 Found\r\nlocation: http://localhost:%d/secret\r\ncontent-length: 0\r\n\r\n" % listener.port
    for redirects, reason in ((0, "redirect"), (2, "private")):
        listener.answers, listener.visits = [inside], []
        with pytest.raises(OutboundFailed) as caught:
            await request("GET", f"http://127.0.0.1:{listener.port}/", settings=replace(settings, base_domain="localhost"), redirects=redirects)
        assert caught.value.reason == reason and len(listener.visits) == 1
    listener.answers, listener.visits = [b"HTTP/1.1 301 Moved\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"], []
    answer = await request("GET", f"http://127.0.0.1:{listener.port}/", settings=settings, redirects=1, headers={"authorization": "Bearer x"})
    assert answer.content == b"ok" and b"GET /other " in listener.visits[1] and b"authorization" in listener.visits[1]
    listener.answers, listener.visits = [b"HTTP/1.1 307 Moved\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"], []
    with pytest.raises(OutboundFailed, match="led on"):
        await request("POST", f"http://127.0.0.1:{listener.port}/", settings=settings, redirects=3, content=b"x")


async def test_secrets_stay_behind_when_a_redirect_leads_to_another_host(listener):
    async with listening(Listener()) as other:
        settings = replace(FAR, outbound_allow=frozenset({("127.0.0.1", listener.port), ("127.0.0.1", other.port)}))
        listener.answers = [b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % other.port]
        await request("GET", f"http://127.0.0.1:{listener.port}/", settings=settings, redirects=1, headers={"Authorization": "Bearer x", "x-kept": "1"})
        assert b"authorization" not in other.visits[0].lower() and b"x-kept" in other.visits[0]


async def test_sizes_and_times_are_limited(listener):
    settings, url = allowed(listener), f"http://127.0.0.1:{listener.port}/"
    listener.answers = [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000]  # no length said
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", url, settings=settings, max_bytes=4000)
    assert caught.value.reason == "too_large" and caught.value.for_good
    listener.answers = [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx"]
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", url, settings=settings)
    assert caught.value.reason == "protocol"
    listener.answers = [b"SSH-2.0-OpenSSH\r\n\r\n"]
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", url, settings=settings)
    assert caught.value.reason == "protocol"
    listener.silent = True
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", url, settings=settings, timeout_seconds=0.2)
    assert caught.value.reason == "timeout" and not caught.value.for_good


async def test_a_header_cannot_be_smuggled(listener):
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", f"http://127.0.0.1:{listener.port}/", settings=allowed(listener), headers={"x-a": "b\r\nx-evil: 1"})
    assert caught.value.reason == "protocol" and not listener.visits


async def test_nobody_listens_or_no_such_name(listener):
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(OutboundFailed) as caught:
        await request("GET", "https://nowhere.invalid/", settings=FAR, resolver=nowhere)
    assert caught.value.reason == "name"
    async with listening(Listener()) as gone:
        settings = allowed(gone)
    with pytest.raises(OutboundFailed) as caught:
        await request("GET", f"http://127.0.0.1:{gone.port}/", settings=settings)
    assert caught.value.reason == "unreachable"


async def test_certificates_are_checked_for_the_name_that_was_asked(tmp_path):
    right, server = _certificate(tmp_path, "idp.example.org")

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with listening(Listener(), server) as found:
        settings = replace(FAR, outbound_allow=frozenset({("idp.example.org", found.port), ("other.example.org", found.port)}))
        answer = await request("GET", f"https://idp.example.org:{found.port}/", settings=settings, resolver=here, trusted=right)
        assert answer.content == b"ok"
        for host, trusted in (("other.example.org", right), ("idp.example.org", None)):
            with pytest.raises(OutboundFailed) as caught:
                await request("GET", f"https://{host}:{found.port}/", settings=settings, resolver=here, trusted=trusted)
            assert caught.value.reason == "tls"
        assert len(found.visits) == 1


def test_the_operators_list_is_read_and_checked(tmp_path):
    environ = {"SAAS_OUTBOUND_ALLOW": "idp.corp:8443, [::1]:80,127.0.0.1:9000", "SAAS_DATA_DIR": str(tmp_path)}
    assert Settings.from_env(environ).outbound_allow == {("idp.corp", 8443), ("::1", 80), ("127.0.0.1", 9000)}
    for wrong in ("idp.corp", "http://idp.corp:80", "idp.corp:80/x", "u@idp:80", "idp:99999"):
        with pytest.raises(InvalidSettings, match="SAAS_OUTBOUND_ALLOW"):
            Settings.from_env(environ | {"SAAS_OUTBOUND_ALLOW": wrong})


def _certificate(directory, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's trust and a server's certificate for one name."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    (directory / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return ssl.create_default_context(cafile=str(directory / "cert.pem")), server


async def test_names_that_nobody_answers_keep_no_other_name_waiting(monkeypatch, tmp_path):
    """However many look-ups hang: no thread of the loop is taken, and other names are found meanwhile."""
    loop = asyncio.get_running_loop()
    quiet_way, quiet = await loop.create_datagram_endpoint(lambda: NameServer(silent=True), local_addr=("127.0.0.1", 0))
    way, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    server.records = {("good.example", "A"): ["192.0.2.7"], ("good.example", "AAAA"): ["2001:db8::7"], ("four.example", "A"): ["192.0.2.8"]}
    monkeypatch.setattr(loop, "getaddrinfo", None)
    asked: list[object] = [quiet_way] * 40 + [way] * 3

    def servers() -> dns.asyncresolver.Resolver:
        found = dns.asyncresolver.Resolver(configure=False)
        found.nameservers = [dns.nameserver.Do53Nameserver(*asked.pop(0).get_extra_info("sockname"))]
        return found

    monkeypatch.setattr(outbound, "_name_servers", servers)
    hanging = [asyncio.create_task(outbound.resolve(f"slow{number}.example", 443)) for number in range(40)]
    for _ in range(500):
        if len(quiet.asked) >= 40:
            break
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(outbound.resolve("good.example", 443), 5) == ["192.0.2.7", "2001:db8::7"]
    assert await outbound.resolve("four.example", 443) == ["192.0.2.8"] and await outbound.resolve("none.example", 443) == []
    for one in hanging:
        one.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    quiet_way.close()
    way.close()


async def test_names_of_the_machine_itself_are_read_from_its_file(monkeypatch, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.1.2.3\tIdp.Corp.example idp # ours\nfd00::3 idp.corp.example\n\n")
    monkeypatch.setattr(outbound, "HOSTS_FILE", hosts)
    assert await outbound.resolve("idp.corp.example.", 443) == ["10.1.2.3", "fd00::3"] and await outbound.resolve("IDP", 443) == ["10.1.2.3"]
    assert await outbound.resolve("localhost", 80) == ["127.0.0.1"] and await outbound.resolve("a.localhost", 80) == ["127.0.0.1", "::1"]
    assert await outbound.resolve("0x7f.1", 80) == ["127.0.0.1"] and await outbound.resolve("::1", 80) == ["::1"]
