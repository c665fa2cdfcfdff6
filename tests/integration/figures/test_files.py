"""Uploads: bounded, looked into, kept once; opened only by who may read the field of their record."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from saas.errors import AppError, InvalidInput, NotFound, PayloadTooLarge
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.files import clean_name, open_file, open_thumbnail, store, store_upload, tidy
from saas.runtime.filetypes import sniff

PDF = b"%PDF-1.7\n%test\n"


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        yield part


def png(width: int = 300, height: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


async def body(download) -> bytes:
    return b"".join([part async for part in download.chunks()])


async def test_an_upload_is_its_makers_until_a_record_has_it(company):
    lab = await company()
    ann, bob, admin = await lab.ctx("ann"), await lab.ctx("bob"), await lab.ctx("admin")
    info = await store_upload(ann, "deal", "papers", "offer.pdf", parts(PDF[:5], PDF[5:]))
    assert await body(await open_file(ann, info.id)) == PDF
    for other in (bob, admin):
        with pytest.raises(NotFound):
            await open_file(other, info.id)
    deal = await lab.make("deal", "ann", name="A", papers=[str(info.id)])
    assert (await open_file(admin, info.id)).info.name == "offer.pdf"
    with pytest.raises(NotFound):
        await open_file(bob, info.id)  # bob may not read ann's deals
    await execute(ann, ops.Update(entity="deal", id=deal, values={"papers": None}))
    with pytest.raises(NotFound):
        await open_file(ann, info.id)  # taken out of the record


async def test_another_tenant_finds_nothing(company):
    one, two = await company(), await company()
    info = await store(await one.ctx("admin"), "a.txt", parts(b"hello"))
    with pytest.raises(NotFound):
        await open_file(await two.ctx("admin"), info.id)


async def test_a_hidden_field_hides_its_files(company):
    lab = await company()
    admin, lim = await lab.ctx("admin"), await lab.ctx("lim")
    info = await store_upload(admin, "deal", "secrets", "s.txt", parts(b"secret"))
    await lab.make("deal", "admin", name="A", secrets=[str(info.id)])
    assert await body(await open_file(admin, info.id)) == b"secret"
    with pytest.raises(NotFound):
        await open_file(lim, info.id)
    with pytest.raises(NotFound):
        await store_upload(lim, "deal", "secrets", "s.txt", parts(b"x"))


@pytest.mark.parametrize(
    ("name", "data"),
    [("virus.exe", b"MZ\x00"), ("offer.pdf", b"<html>"), ("offer.pdf", b"plain text"), ("page.html", b"<html>"), ("empty.pdf", b"")],
)
async def test_what_the_field_does_not_accept_is_refused(company, name, data):
    lab = await company()
    with pytest.raises(InvalidInput) as refused:
        await store_upload(await lab.ctx("admin"), "deal", "papers", name, parts(data))
    assert refused.value.problems[0].field == "papers"


async def test_too_large_stops_early(company, settings):
    lab = await company()
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100_000

    with pytest.raises(PayloadTooLarge):
        await store_upload(await lab.ctx("admin"), "deal", "papers", "big.txt", endless())
    assert taken < 20
    assert not list((settings.data_dir / "files" / str(lab.tenant_id)).glob("upload-*"))


@pytest.mark.parametrize("data", [b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", b"  <!DOCTYPE html><p>", b"\xef\xbb\xbf<html>", b"x <script>alert(1)</script>"])
async def test_markup_is_never_shown_in_place(company, data):
    lab = await company()
    admin = await lab.ctx("admin")
    for name in ("picture.svg", "picture.png", "page.html", "notes.txt"):
        download = await open_file(admin, (await store(admin, name, parts(data))).id)
        assert not download.inline and download.content_type == "application/octet-stream"
        assert download.headers["Content-Disposition"].startswith("attachment") and download.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "clean"),
    [("../../etc/passwd", "passwd"), ("C:\\Users\\me\\offer.pdf", "offer.pdf"), ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie x.pdf"), ("报价单.pdf", "报价单.pdf"),
     ("...", "file"), ("", "file"), ("gpj.\u202eexe.pdf", "gpj.exe.pdf"), ("x" * 400 + ".pdf", "x" * 146 + ".pdf")],
)  # fmt: skip
def test_names_are_only_names(name, clean):
    assert clean_name(name) == clean


async def test_equal_contents_are_kept_once_and_go_when_nobody_has_them(company, settings):
    lab = await company()
    admin = await lab.ctx("admin")
    first, second = await store(admin, "a.txt", parts(b"same")), await store(admin, "b.txt", parts(b"same"))
    assert first.id != second.id and first.sha256 == second.sha256
    folder = settings.data_dir / "files" / str(lab.tenant_id)
    assert len([p for p in folder.rglob("*") if p.is_file()]) == 1
    assert await tidy(admin) == 0
    await lab.fetch("UPDATE file SET created_at = now() - interval '3 days' WHERE tenant_id = $1 RETURNING 1")
    await lab.fetch("UPDATE file SET deleted_at = now() WHERE tenant_id = $1 AND id = $2 RETURNING 1", first.id)
    stored = "SELECT coalesce(sum(amount), 0)::int AS total FROM usage_delta WHERE tenant_id = $1 AND meter = 'storage'"
    before = (await lab.fetch(stored))[0]["total"]
    assert await tidy(admin) == 2
    assert (await lab.fetch(stored))[0]["total"] == before - len(b"same")  # the deleted one was taken off when it was deleted
    with pytest.raises(NotFound):
        await open_file(admin, first.id)


async def test_thumbnails_are_small_and_bounded(company, monkeypatch):
    lab = await company()
    admin = await lab.ctx("admin")
    picture = await store_upload(admin, "deal", "photo", "p.png", parts(png()))
    small = await open_thumbnail(admin, picture.id, 100)
    with Image.open(small.path) as image:
        assert image.format == "WEBP" and max(image.size) == 160
    with pytest.raises(NotFound):
        await open_thumbnail(await lab.ctx("bob"), picture.id)
    text = await store(admin, "a.txt", parts(b"text"))
    with pytest.raises(NotFound):
        await open_thumbnail(admin, text.id)
    monkeypatch.setattr("saas.runtime.files.MAX_PIXELS", 1000)
    huge = await store(admin, "h.png", parts(png(100, 90)))
    with pytest.raises(NotFound):
        await open_thumbnail(admin, huge.id)
    broken = await store(admin, "b.png", parts(png()[:60]))
    with pytest.raises(NotFound):
        await open_thumbnail(admin, broken.id)


def test_sniffing_looks_at_the_first_bytes(tmp_path):
    path = tmp_path / "x"
    for data, found in [(png(2, 2), "image/png"), (PDF, "application/pdf"), (b"hello", "text/plain"), ("中文".encode("gb18030"), "text/plain"), (b"\x00\x01\x02", "application/octet-stream"), (b"PK\x03\x04broken", "application/octet-stream")]:
        path.write_bytes(data)
        assert sniff(path, "x") == found


async def test_a_file_of_somebody_else_cannot_be_put_into_a_record(company):
    lab = await company()
    info = await store_upload(await lab.ctx("ann"), "deal", "papers", "o.txt", parts(b"mine"))
    with pytest.raises(AppError):
        await lab.make("deal", "bob", name="B", papers=[str(info.id)])
