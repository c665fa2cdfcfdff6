"""Tables out and in: rights hold in both directions, formulas stay texts, an import says what became of each row."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import python_calamine

from saas.db import tenant_transaction
from saas.errors import BadRequest, InvalidInput, NotFound, PayloadTooLarge, PermissionDenied
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.files import open_file, store
from saas.runtime.jobs import get_job
from saas.runtime.transfer import failed_rows, preview_import, start_export, start_import, stream_csv
from saas.runtime.transfer.exports import cells_of, export_columns, rows_of
from saas.runtime.transfer.lookups import Cells
from saas.runtime.transfer.sheets import csv_line, encoding_of, guess_delimiter, read_sheet, write_xlsx
from saas.runtime.worker import drain, run_now
from tests.factories import Lab, make_lab


async def exported(lab: Lab, who: str, **asked: Any) -> list[list[Any]]:
    ctx = await lab.ctx(who)
    job = await start_export(ctx, "deal", **asked)
    assert job.status == "done", job
    download = await open_file(ctx, UUID(job.result["file_id"]))
    if asked.get("format") == "csv":
        return list(csv.reader(io.StringIO(download.path.read_text("utf-8-sig"))))
    return python_calamine.CalamineWorkbook.from_path(str(download.path)).get_sheet_by_index(0).to_python()


async def upload(ctx: Any, data: bytes, name: str = "table.csv") -> UUID:
    async def parts() -> AsyncIterator[bytes]:
        yield data

    return (await store(ctx, name, parts())).id


@pytest_asyncio.fixture(scope="module")
async def rich_lab(database) -> Lab:
    return await make_lab(people=False)


async def deals(lab: Lab, who: str = "admin", **asked: Any) -> dict[str, ops.Record]:
    page = await execute(await lab.ctx(who), ops.List(entity="deal", limit=200, **asked))
    return {r.title: r for r in page.records}


# ---- out ---------------------------------------------------------------------------------------------------------------


async def test_an_export_holds_what_its_reader_may_take(company):
    lab = await company()
    await lab.make("deal", "ann", name="A1", kind="new", amount="12.50", cost="3", phone="+8613800138000", closed="2025-03-03")
    await lab.make("deal", "bob", name="B1", kind="old", amount="7")
    everything = await exported(lab, "admin", columns=["name", "kind", "amount", "cost", "closed"], sort=["name"])
    assert everything == [["Name", "Kind", "Amount", "Cost", "Closed"], ["A1", "New", 12.5, 3.0, date(2025, 3, 3)], ["B1", "Old", 7.0, "", ""]]
    assert [r[0] for r in await exported(lab, "ann", columns=["name"])] == ["Name", "A1"]
    whole = await exported(lab, "lim")
    assert "Cost" not in whole[0] and "Secrets" not in whole[0] and "13800138000" not in json.dumps(whole, default=str)
    assert any(cell == "****8000" for row in whole for cell in row)
    with pytest.raises(BadRequest):
        await start_export(await lab.ctx("lim"), "deal", columns=["cost"])
    with pytest.raises(BadRequest):
        await start_export(await lab.ctx("lim"), "deal", filter="cost > 1")
    with pytest.raises(PermissionDenied):
        await start_export(await lab.ctx("sid"), "deal")
    audit = await lab.fetch("SELECT kind FROM audit_event WHERE tenant_id = $1 AND kind = 'records.exported'")
    assert len(audit) == 3


async def test_a_view_gives_columns_and_filter(company):
    lab = await company()
    await lab.make("deal", "ann", name="A1", kind="new", amount="1")
    await lab.make("deal", "ann", name="A2", kind="old", amount="2")
    assert await exported(lab, "admin", view="news", format="csv") == [["Name", "Amount"], ["A1", "1.0"]]


async def test_csv_disarms_formulas_and_keeps_numbers(company):
    lab = await company()
    await lab.make("deal", "ann", name='=HYPERLINK("http://evil")', amount="-5", cost_note="@SUM(1)")
    rows = await exported(lab, "admin", columns=["name", "amount", "cost_note"], format="csv")
    assert rows[1] == ["'=HYPERLINK(\"http://evil\")", "-5.0", "'@SUM(1)"]
    sheet = await exported(lab, "admin", columns=["name"])
    assert sheet[1] == ['=HYPERLINK("http://evil")']


async def test_long_lists_stream_in_batches_and_as_a_job(company, monkeypatch):
    lab = await company()
    async with tenant_transaction(lab.tenant_id):
        ctx = await lab.ctx("ann")
        for i in range(520):
            await execute(ctx, ops.Create(entity="deal", values={"name": f"D{i:03}"}))
    monkeypatch.setattr("saas.runtime.transfer.exports.EXPORT_LIMIT", 200)
    parts = [p async for p in stream_csv(ctx, "deal", columns=["name"], sort=["name"])]
    assert len(parts) == 4 and b"".join(parts).count(b"\r\n") == 521
    job = await start_export(ctx, "deal", columns=["name"])
    assert job.status == "queued" and job.total == 520
    await drain()
    job = await get_job(ctx, job.id)
    assert (job.status, job.progress, job.result["rows"]) == ("done", 520, 520)
    with pytest.raises(NotFound):
        await open_file(await lab.ctx("admin"), UUID(job.result["file_id"]))
    with pytest.raises(NotFound):
        await get_job(await lab.ctx("bob"), job.id)


@pytest.mark.parametrize("who", ["admin", "blind"])
async def test_what_is_not_said_in_words_makes_the_same_cells(database, who):
    """Exports leave out the words of fields whose cells are made of the value; nothing may get lost by that."""
    lab = await make_lab()
    me, unit = str(lab.people["seller"]), str(lab.departments["north"])
    account = str(await lab.make("account", name="Rome", phone="+8613800138000", taxno="TAX-12345", budget="5", credit=3, grade="b"))
    full = {
        "name": "full", "note": "long", "rank": 4, "size": "1.5", "share": 12.5, "vip": False, "due": "2025-01-02", "met": "2025-01-02T03:04:05Z", "clock": "10:30",
        "phone": "+8613800138000", "mail": "t@x.example", "site": "https://x.example", "place": {"street": "A"}, "price": "3.50", "color": "red", "kinds": ["x", "z"],
        "tags": ["p"], "stars": 3, "score": 50, "helper": me, "crew": [me], "unit": unit, "account": account, "accounts": [account], "secret": "s", "effort": 5400, "done": 40,
        "paint": "#ff0000",
    }  # fmt: skip
    await lab.make("thing", **full)
    await lab.make("thing", name="empty")
    ctx = await lab.ctx(who)
    for key in ("thing", "account"):
        entity = ctx.config.entity(key)
        fields = await export_columns(ctx, entity)
        page = await execute(ctx, ops.List(entity=key, fields=[f.key for f in fields], sort=["name"], right="export"))
        expected = [[cells_of(ctx, f)(record) for f in fields] for record in page.records]
        assert [row async for batch in rows_of(ctx, entity, fields, sort=["name"]) for row in batch] == expected
        filled = {f.key for f, cell in zip(fields, expected[-1], strict=True) if cell is not None}
        assert key == "account" or filled >= {k for k in full if k in {f.key for f in fields}}


# ---- in ----------------------------------------------------------------------------------------------------------------

TABLE = """Name;Kind;Amount;Closed;Met;Customer;Owner;Tags;Vip;Nothing
One;New;1,234.50;03/31/2025;2025-03-31 14:00;Rome Ltd;ann;a, b;yes;x
Two;old;12;2025/4/1;;C-001;Ann;;;
;new;5;;;;;;;
Four;purple;5;;;;;;;
Five;;abc;;;;;;;
Six;;;31.4.2025;;;;;;
Seven;;;;;Nowhere;;;;
"""


async def import_table(lab: Lab, who: str, text: str, **raw: Any) -> Any:
    ctx = await lab.ctx(who)
    return await start_import(ctx, await upload(ctx, text.encode()), {"entity": "deal", **raw})


async def test_an_import_reads_what_people_write(company):
    lab = await company()
    rome = await lab.make("customer", name="Rome Ltd")
    job = await import_table(lab, "admin", TABLE)
    assert job.status == "done", job
    assert {k: job.result[k] for k in ("created", "updated", "skipped", "failed")} == {"created": 2, "updated": 0, "skipped": 0, "failed": 5}
    assert [(e["row"], e["field"]) for e in job.result["errors"]] == [(4, "name"), (5, "kind"), (6, "amount"), (7, "closed"), (8, "customer")]
    found = await deals(lab)
    assert set(found) == {"One", "Two"}
    one = found["One"].values
    assert (one["kind"], one["amount"]["amount"], one["closed"], one["customer"], one["tags"], one["vip"]) == ("new", "1234.50", "2025-03-31", str(rome), ["a", "b"], True)
    assert found["One"].owner == lab.people["ann"] == found["Two"].owner
    assert found["Two"].values["customer"] == str(rome) and found["Two"].values["closed"] == "2025-04-01"
    history = await execute(await lab.ctx("admin"), ops.History(entity="deal", id=found["One"].id))
    assert history[0].origin == "import"


async def test_met_is_in_the_tenants_zone(company):
    lab = await company()
    await import_table(lab, "admin", "Name,Met\nOne,2025-03-31 14:00\n")
    zone = (await lab.ctx("admin")).zone
    from datetime import datetime

    met = datetime.fromisoformat((await deals(lab))["One"].values["met"])
    assert met.astimezone(zone).replace(tzinfo=None) == datetime(2025, 3, 31, 14)


async def test_a_preview_says_the_same_and_keeps_nothing(company):
    lab = await company()
    await lab.make("customer", name="Rome Ltd")
    ctx = await lab.ctx("admin")
    seen = await preview_import(ctx, await upload(ctx, TABLE.encode()), {"entity": "deal"})
    json.dumps(seen)
    assert seen["total"] == 7 and seen["columns"][0]["field"] == "name" and seen["columns"][-1]["field"] is None
    assert [r["action"] for r in seen["rows"]] == ["created", "created", "failed", "failed", "failed", "failed", "failed"]
    assert seen["rows"][4]["problems"][0]["field"] == "amount"
    assert await deals(lab) == {}


async def test_failed_rows_come_back_with_their_reason(company, tmp_path):
    lab = await company()
    job = await import_table(lab, "admin", "Name,Amount\nGood,1\nBad,abc\n")
    path = tmp_path / "failed.xlsx"
    path.write_bytes(await failed_rows(await lab.ctx("admin"), job.id))
    sheet = read_sheet(path, "failed.xlsx")
    assert sheet.headers == ["Name", "Amount", "Row", "Reason"] and sheet.rows[0][:3] == ["Bad", "abc", 3] and "Amount" in sheet.rows[0][3]
    with pytest.raises(NotFound):
        await failed_rows(await lab.ctx("bob"), job.id)


async def test_duplicates_are_created_updated_or_skipped(company):
    lab = await company()
    await import_table(lab, "admin", "Name,Amount\nOne,1\n")
    text = "Name,Amount,Rank\nOne,,7\none ,9,\nNew,3,\nNew,4,\n"
    skipped = await import_table(lab, "admin", text, duplicates="skip", match="name")
    assert (skipped.result["created"], skipped.result["skipped"]) == (1, 3)
    updated = await import_table(lab, "admin", "Name,Amount,Rank\nOne,,7\nThird,1,\n", duplicates="update", match="name")
    assert (updated.result["created"], updated.result["updated"]) == (1, 1)
    one = (await deals(lab))["One"].values
    assert (one["rank"], one["amount"]["amount"]) == (7, "1.00")  # an empty cell leaves what is there
    with pytest.raises(BadRequest):
        await import_table(lab, "admin", "Name\nX\n", duplicates="update", match="amount")


async def test_rights_hold_on_the_way_in(company):
    lab = await company()
    with pytest.raises(PermissionDenied):
        await import_table(lab, "ann", "Name\nX\n")  # sellers may create, not import
    with pytest.raises(PermissionDenied):
        await import_table(lab, "sid", "Name\nX\n")
    with pytest.raises(BadRequest):
        await import_table(lab, "lim", "Name,Cost\nX,5\n", mapping={"0": "name", "1": "cost"})
    job = await import_table(lab, "lim", "Name,Cost,Phone\nX,5,1\n")
    assert job.result["created"] == 1  # hidden and masked columns are not taken
    assert (await deals(lab))["X"].values["cost"] is None
    ann = await lab.ctx("ann")
    file_id = await upload(await lab.ctx("admin"), b"Name\nX\n")
    with pytest.raises(NotFound):
        await preview_import(ann.replace(), file_id, {"entity": "customer"})


async def test_an_interrupted_import_goes_on_behind_its_last_batch(company, monkeypatch):
    lab = await company()
    ctx = await lab.ctx("admin")
    text = "Name\n" + "".join(f"D{i:03}\n" for i in range(620))
    job = await start_import(ctx, await upload(ctx, text.encode()), {"entity": "deal"})
    assert job.status == "queued"
    from saas.runtime.transfer import imports

    monkeypatch.setattr(imports, "BATCH", 50)
    real, calls = imports.Runner.batch, 0

    async def dies(self: Any, start: int, count: int) -> Any:
        nonlocal calls
        calls += 1
        found = await real(self, start, count)
        if calls == 5:
            raise RuntimeError("power cut in the middle of a batch")
        return found

    monkeypatch.setattr(imports.Runner, "batch", dies)
    stopped = await run_now(ctx, job.id)
    assert (stopped.status, stopped.progress, stopped.result["created"]) == ("queued", 200, 200)
    await lab.fetch("UPDATE job SET run_at = now() WHERE tenant_id = $1 RETURNING 1")
    await drain()
    done = await get_job(ctx, job.id)
    assert (done.status, done.result["created"], done.result["failed"]) == ("done", 620, 0)
    assert (await lab.fetch("SELECT count(*) FROM record WHERE tenant_id = $1"))[0][0] == 620


# ---- formats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_encodings_are_recognised(encoding, tmp_path):
    (tmp_path / "t.csv").write_bytes("名称,金额\n客户甲,12\n".encode(encoding))
    sheet = read_sheet(tmp_path / "t.csv", "t.csv")
    assert (sheet.headers, list(sheet.rows)) == (["名称", "金额"], [["客户甲", "12"]])


def test_western_text_is_not_taken_for_chinese(tmp_path):
    (tmp_path / "t.csv").write_bytes("Name;Straße;Größe\nMüller;Königsallee;é\n".encode("cp1252"))
    assert encoding_of(tmp_path / "t.csv") == "cp1252"
    assert read_sheet(tmp_path / "t.csv", "t.csv").headers == ["Name", "Straße", "Größe"]


@pytest.mark.parametrize(("text", "delimiter"), [("a,b\n1,2", ","), ("a;b\n1,5;2,5", ";"), ("a\tb\n1\t2", "\t"), ('"x, y";b\n"1, 2";3', ";"), ("only\none", ",")])
def test_delimiters_are_guessed(text, delimiter):
    assert guess_delimiter(text) == delimiter


def test_round_trip_through_our_own_files(tmp_path):
    path = tmp_path / "t.xlsx"
    write_xlsx(path, "A/B: [x]", ["N", "N"], [["=1+1", 2.5], [date(2025, 3, 3), None]])
    sheet = read_sheet(path, "t.xlsx")
    assert sheet.headers == ["N", "N (2)"] and list(sheet.rows) == [["=1+1", 2.5], [date(2025, 3, 3), None]]
    path = tmp_path / "t.csv"
    path.write_bytes(csv_line(["N", "M"]) + csv_line(["=1+1", "-5"]) + csv_line(["+86", "a\nb"]))
    assert read_sheet(path, "t.csv").rows[:] == [["=1+1", "-5"], ["+86", "a\nb"]]


def test_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "b.xlsx"
    write_xlsx(path, "x", ["A"], [["x" * 100]] * 10)
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    far = members["xl/worksheets/sheet1.xml"].replace(b'r="A3"', b'r="XFD1048576"')
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, far if name.endswith("sheet1.xml") else data)
    with pytest.raises(PayloadTooLarge):
        read_sheet(path, "b.xlsx")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("xl/media/zeros", b"\x00" * 3_000_000)
    monkeypatch.setattr("saas.runtime.transfer.xlsx.MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(PayloadTooLarge):
        read_sheet(path, "b.xlsx")


FAR = {
    "single quotes": ("<row r='1'><c r='A1'><v>1</v></c></row><row r='9000'><c r='XFD9000'><v>1</v></c></row>", "worksheets/sheet1.xml", {}),
    "another folder": ('<row r="1"><c r="A1"><v>1</v></c></row><row r="9000"><c r="XFD9000"><v>1</v></c></row>', "other/sheet1.data", {}),
    "only the row": ('<row r="1"><c r="XFD1"><v>1</v></c></row><row r="9000"><c><v>1</v></c></row>', "worksheets/sheet1.xml", {}),
    "no places": (f"<row>{'<c><v>1</v></c>' * 3000}</row>{'<row><c><v>1</v></c></row>' * 2000}", "worksheets/sheet1.xml", {}),
    "small letters": ('<row r="1"><c r="A1"><v>1</v></c></row><row r="9000"><c r = "xfd9000"><v>1</v></c></row>', "worksheets/sheet1.xml", {}),
    "a long tag": (f'<row r="1"><c r="A1"><v>1</v></c></row><row r="9000"><c {" " * 3_000_000} r="XFD9000"><v>1</v></c></row>', "worksheets/sheet1.xml", {}),
    "another format": ("", "worksheets/sheet1.xml", {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}),
}


@pytest.mark.parametrize("name", FAR)
def test_cells_far_apart_are_refused_however_they_are_written(tmp_path, name):
    """A few hundred bytes must not become gigabytes of empty cells."""
    rows, target, more = FAR[name]
    main, office = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    path = tmp_path / "far.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>')
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{office}/worksheet" Target="{target}"/></Relationships>')
        archive.writestr(f"xl/{target}", f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>')
        for part, text in more.items():
            archive.writestr(part, text)
    with pytest.raises((PayloadTooLarge, InvalidInput)):
        read_sheet(path, "far.xlsx")


def test_text_that_looks_like_a_place_is_text(tmp_path):
    path = tmp_path / "t.xlsx"
    write_xlsx(path, "x", ["A"], [['<c r="XFD1048576"> and r="XFD1048576"']])
    assert read_sheet(path, "t.xlsx").rows[:] == [['<c r="XFD1048576"> and r="XFD1048576"']]


async def test_long_cells_are_read_in_time(rich_lab):
    """Cells of many thousand characters in columns of dates, tags and links: a moment each, not minutes."""
    lab, long = rich_lab, 30_000
    started = time.monotonic()
    cells = Cells(await lab.ctx(), (await lab.ctx()).config.entity("thing"))
    for key, text in (("met", "T" * long), ("due", "1 " * (long // 2) + "x"), ("tags", "a" + " " * long + "b"), ("accounts", "a" + " " * long + "b"), ("phone", "1" + " " * long + "y"), ("mail", "a@" + "a." * long)):
        field = cells.entity.fields[key]
        await cells.prepare([field], [{key: text}])
        cells.value(field, text)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("data", [b"", b"\n\n", b"PK\x03\x04 no zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_what_is_no_table_is_said_to_be_none(tmp_path, data):
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        read_sheet(path, "x.csv")
