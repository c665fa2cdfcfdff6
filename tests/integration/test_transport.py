"""How answers travel: packed in what the client understands, unchanged ones not at all, files with a hash in their name for ever."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import brotli
import pytest
import pytest_asyncio

from saas.tenants import open_session
from saas.ui.assets import assets
from saas.ui.transport import Transport, best_encoding
from tests.factories import make_lab
from tests.integration.backfill.conftest import workshop


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    lab = await make_lab(workshop(), people=False)
    for number in range(30):
        await lab.make("customer", name=f"Customer {number}")
    return lab


@pytest_asyncio.fixture(scope="module")
async def ask(lab, http):
    """`await ask(path, **headers)`: the raw answer to a signed-in reader, not unpacked."""
    ctx = await lab.ctx("admin")
    web = (await open_session(lab.tenant_id, ctx.user_id, "web", "127.0.0.1", "test"))[0]
    api = (await open_session(lab.tenant_id, ctx.user_id, "api", "127.0.0.1", "test"))[0]

    async def ask(path: str, **headers: str) -> Any:
        who = {"authorization": f"Bearer {api}"} if path.startswith("/api/") else {"cookie": f"session={web}"}
        sent = {"host": f"{lab.slug}.localhost", "accept-encoding": "identity", **who, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with http.stream("GET", path, headers=sent) as answer:
            body = b"".join([chunk async for chunk in answer.aiter_raw()])
        answer.raw = body  # type: ignore[attr-defined]
        return answer

    return ask


# ---- packed --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("identity", ""), ("", ""), ("br;q=0, gzip;q=0.5", "gzip"), ("*", "br"), ("br;q=0, *", "gzip"), ("deflate", "")],
)
def test_the_best_encoding_that_is_not_refused(accept, encoding):
    assert best_encoding(accept) == encoding


@pytest.mark.parametrize("path", ["/r/customer", "/api/v1/records/customer", "/api/v1/openapi.json"])
@pytest.mark.parametrize(("accept", "unpack"), [("gzip, br", brotli.decompress), ("gzip", gzip.decompress)])
async def test_answers_are_packed(ask, path, accept, unpack):
    plain, packed = await ask(path), await ask(path, accept_encoding=accept)
    assert "content-encoding" not in plain.headers and "Accept-Encoding" in plain.headers["vary"] and "Accept-Encoding" in packed.headers["vary"]
    assert packed.headers["content-encoding"] == ("br" if "br" in accept else "gzip") and int(packed.headers["content-length"]) == len(packed.raw)
    assert len(packed.raw) < len(plain.raw) / 3
    assert unpack(packed.raw) == plain.raw


async def test_small_answers_are_not(ask):
    answer = await ask("/healthz", accept_encoding="br")
    assert "content-encoding" not in answer.headers and json.loads(answer.raw)["status"] == "ok"


async def test_a_stream_is_packed_as_it_goes():
    """Each part can be read when it has arrived, and events are never held back."""

    async def served(kind: bytes) -> tuple[list[bytes], dict[bytes, bytes]]:
        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), (b"content-length", b"8")]})
            await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
            await send({"type": "http.response.body", "body": b"two\n", "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await Transport(app)({"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"br")]}, None, send)  # type: ignore[arg-type]
        return [m["body"] for m in sent[1:]], dict(sent[0]["headers"])

    bodies, headers = await served(b"text/csv")
    reader = brotli.Decompressor()
    assert [reader.process(body) for body in bodies] == [b"one\n", b"two\n", b""] and reader.is_finished()
    assert headers[b"content-encoding"] == b"br" and b"content-length" not in headers
    for kind in (b"text/event-stream", b"application/zip"):
        bodies, headers = await served(kind)
        assert bodies == [b"one\n", b"two\n", b""] and b"content-encoding" not in headers


# ---- not at all ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/records/customer?count=capped", "/api/v1/openapi.json", "/api/v1/reports"])
async def test_a_program_that_has_the_answer_gets_none(ask, lab, path):
    first = await ask(path)
    tag = first.headers["etag"]
    assert tag.startswith('W/"') and first.status_code == 200
    for accept in ("identity", "br"):
        again = await ask(path, if_none_match=tag, accept_encoding=accept)
        assert (again.status_code, again.raw) == (304, b"")
        assert again.headers["etag"] == tag and "content-length" not in again.headers
    assert (await ask(path, if_none_match=f'"x", {tag}')).status_code == 304
    assert (await ask(path, if_none_match='W/"other"')).status_code == 200


async def test_what_changed_is_sent_again(ask, lab):
    path = "/api/v1/records/customer?sort=-created_at"
    tag = (await ask(path)).headers["etag"]
    await lab.make("customer", name="Newcomer")
    again = await ask(path, if_none_match=tag)
    assert again.status_code == 200 and again.headers["etag"] != tag and b"Newcomer" in again.raw


async def test_fragments_are_kept_by_the_browser_and_pages_are_not(ask):
    page = await ask("/r/customer")
    assert page.headers["cache-control"] == "no-store" and "etag" not in page.headers
    fragment = await ask("/r/customer", hx_request="true", hx_target="list")
    assert fragment.headers["cache-control"] == "private, no-cache" and "HX-Request" in fragment.headers["vary"] and "Cookie" in fragment.headers["vary"]
    again = await ask("/r/customer", hx_request="true", hx_target="list", if_none_match=fragment.headers["etag"])
    assert (again.status_code, again.raw) == (304, b"") and again.headers["cache-control"] == "private, no-cache"


async def test_refusals_and_one_record_have_no_tag_of_ours(ask, lab):
    assert "etag" not in (await ask("/api/v1/records/nothing")).headers
    record_id = await lab.make("customer", name="One")
    answer = await ask(f"/api/v1/records/customer/{record_id}")
    assert answer.headers["etag"] == f'"{json.loads(answer.raw)["version"]}"'  # the version, for If-Match


# ---- for ever ------------------------------------------------------------------------------------------------------------


async def test_files_with_a_hash_in_their_name_are_kept_for_ever(ask):
    for asset in assets().values():
        answer = await ask(asset.url, accept_encoding="br")
        assert answer.status_code == 200 and re.search(r"\.[0-9a-f]{12}\.", asset.url), asset.url
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        body = brotli.decompress(answer.raw) if answer.headers.get("content-encoding") == "br" else answer.raw
        assert body == asset.body
        assert answer.headers.get("content-encoding") == (None if asset.name.endswith((".woff2", ".webp")) else "br")


async def test_pages_name_no_file_without_a_hash(ask):
    page = (await ask("/r/customer")).raw.decode()
    found = re.findall(r'/static/[^"#]+', page)
    assert len(set(found)) >= 4 and set(found) <= {a.url for a in assets().values()}
