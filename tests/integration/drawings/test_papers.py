"""Documents: what is printed is what its reader may read; texts are never programs; a copy is kept by an automation."""

from __future__ import annotations

import io
import re
import zlib
from uuid import UUID

from PIL import Image

from saas.i18n import use_locale
from saas.metadata.parse import problems_of
from saas.runtime import documents, execute, files
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.documents import typesetting
from saas.runtime.previews import foreseen
from tests.acceptance.api import Person, refused
from tests.drawing_bundle import drawing_bundle
from tests.factories import PASSWORD
from tests.integration.drawings.test_drawn_records import designer


def png() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (60, 30), "navy").save(made, "PNG")
    return made.getvalue()


def pages(pdf: bytes) -> int:
    """How many pages a PDF has, whether or not its objects are packed."""
    unpacked = b"".join(_unpacked(part) for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S))
    return max(len(re.findall(rb"/Type\s*/Page\b", pdf)), len(re.findall(rb"/Type\s*/Page\b", unpacked)))


def _unpacked(part: bytes) -> bytes:
    try:
        return zlib.decompress(part)
    except zlib.error:
        return b""


async def test_a_document_is_what_its_reader_may_read(atelier, http):
    ctx = await atelier.ctx("worker")
    project = await atelier.make("project", name="Dam *one*", due="2026-03-01", budget="1200")
    for number in range(60):
        await atelier.make("step", project=str(project), name=f"Step {number} #panic()", plan_from="2026-01-01", plan_to="2026-01-09", cost="10.50")
    sheet = await documents.sheet_of(ctx, documents.document_called(ctx, ctx.config.entity("project"), "order"), project)
    assert sheet.title == "Order: Dam *one*" and sheet.subtitle == "" and sheet.signatures[1] == "The client" and sheet.parts[2].text.startswith("Payable by Mar 1, 2026.")
    table = sheet.parts[1]
    assert len(table.rows) == 60 and "630.00" in table.totals[-1] and [h.num for h in table.heads] == [False, False, False, False, True]
    paper = await typesetting.pdf(sheet)
    assert paper.startswith(b"%PDF-") and pages(paper) >= 2

    reader = await atelier.ctx("reader")  # who may not see when a step was to be ready
    seen = await documents.sheet_of(reader, documents.document_called(reader, reader.config.entity("project"), "order"), project)
    assert [h.label for h in seen.parts[1].heads] == ["Name", "Plan_From", "Who", "Cost"]
    assert {d.key for d in documents.documents_of(reader, reader.config.entity("project"))} == {"order"}

    boss = await Person(http, f"{atelier.slug}.localhost", language="en").sign_in(f"admin@{atelier.slug}.example", PASSWORD)
    assert [d["key"] for d in (await boss.get(f"/records/project/{project}/documents"))["data"]] == ["order"]  # the receipt is for what is finished
    got = await boss.send("GET", f"/records/project/{project}/documents/order")
    assert got.status_code == 200 and got.headers["content-type"] == "application/pdf" and got.content.startswith(b"%PDF-")
    refused(await boss.send("GET", f"/records/project/{project}/documents/receipt"), 404)
    await boss.change("project", str(project), finished="2026-02-02")
    assert (await boss.send("GET", f"/records/project/{project}/documents/receipt")).status_code == 200
    desk = await designer(atelier, http)
    page = (await desk.get(f"/r/project/{project}/documents/order")).text
    assert "Order: Dam *one*" in page and "630.00" in page and "data-print" in page and page.count("<tr>") == 62 and f"/r/project/{project}/documents/order/pdf" in page
    assert f"/r/project/{project}/documents/order" in (await desk.get(f"/r/project/{project}")).text
    pdf = await desk.get(f"/r/project/{project}/documents/order/pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    listed = (await desk.get("/r/project/print?q=Dam")).text
    assert "Dam *one*" in listed and "1 record" in listed and "Bridge" not in listed
    assert (await desk.get("/r/project/print/pdf?q=Dam")).content.startswith(b"%PDF-")
    contact = await atelier.make("contact", name="Gao", project=str(project))
    card = (await desk.get(f"/r/contact/{contact}/documents/card")).text
    assert "Works for" in card and "Dam *one*" in card


async def test_a_document_speaks_one_language(atelier):
    """Whatever the language of whoever caused it: its own words follow the labels."""
    project = await atelier.make("project", name="Nothing done")
    ctx = (await atelier.system()).replace(locale="en")
    with use_locale("zh_CN"):
        sheet = await documents.sheet_of(ctx, documents.document_called(ctx, ctx.config.entity("project"), "order"), project)
    assert sheet.parts[1].label == "What is done" and sheet.parts[1].note == "Nothing here yet."


async def test_a_list_on_paper_is_an_export(atelier, http):
    """Reading is enough for one record; many leave with the right to export, within its scope, and stand in the audit log."""
    foreign, own = await atelier.make("project", name="Paper one"), await atelier.make("project", name="Paper two", owner=str(atelier.people["guide"]))
    reader, guide = await designer(atelier, http), await designer(atelier, http)
    await reader.sign_in(f"reader@{atelier.slug}.example", PASSWORD)
    await guide.sign_in(f"guide@{atelier.slug}.example", PASSWORD)
    for path in ("/r/project/print", "/r/project/print/pdf"):
        assert (await reader.get(path)).status_code == 403, path
    assert "/r/project/print" not in (await reader.get("/r/project")).text
    assert (await reader.get(f"/r/project/{foreign}/documents/order/pdf")).content.startswith(b"%PDF-")
    before = len(await atelier.fetch("SELECT 1 FROM audit_event WHERE tenant_id = $1 AND kind = 'records.exported'"))
    listed = (await guide.get("/r/project/print?q=Paper")).text
    assert "Paper two" in listed and "Paper one" not in listed and "/r/project/print?q=Paper" in (await guide.get("/r/project?q=Paper")).text
    assert (await guide.get(f"/r/project/{own}")).status_code == (await guide.get(f"/r/project/{foreign}")).status_code == 200
    assert len(await atelier.fetch("SELECT 1 FROM audit_event WHERE tenant_id = $1 AND kind = 'records.exported'")) == before + 1


async def test_what_is_only_foretold_leaves_no_file(atelier):
    project = await atelier.make("project", name="Foretold", finished="2026-02-02")
    ctx = await atelier.ctx("worker")

    def kept() -> int:
        return sum(1 for path in files._root(atelier.tenant_id).rglob("*") if path.is_file())

    before = kept()
    change = await foreseen(ctx, ops.Transition(entity="project", id=project, key="succeed"))
    assert kept() == before, change.effects
    assert (await atelier.get("project", project)).state == "open"
    await execute(ctx, ops.Transition(entity="project", id=project, key="succeed"))
    assert kept() == before + 1


async def test_a_copy_is_kept_with_the_record(atelier, http):
    project = str(await atelier.make("project", name="Kept", finished="2026-02-02"))
    boss = await Person(http, f"{atelier.slug}.localhost", language="en").sign_in(f"admin@{atelier.slug}.example", PASSWORD)
    await boss.move("project", project, "succeed")
    await boss.move("project", project, "reopen")
    await boss.move("project", project, "succeed")
    record = await boss.get(f"/records/project/{project}")
    held = record["values"]["papers"]
    assert len(held) == 2  # the field holds several: the earlier one stays
    opened = await files.open_file(await system_context(atelier.tenant_id), UUID(held[0]))
    assert opened.info.content_type == "application/pdf" and opened.info.name.startswith("Order ") and opened.path.read_bytes().startswith(b"%PDF-")


async def test_pictures_that_are_broken_do_not_spoil_the_page(atelier, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png())
    bad.write_bytes(b"\x89PNG broken")
    part = documents.Part("images", pictures=tuple(documents.Picture("1", p.name, p, "image/png") for p in (good, bad)))
    odd = documents.Part("fields", lines=(documents.Line("a", "1"), documents.Line("wide", "2", True), documents.Line("b", "3"), documents.Line("wide", "4", True)))
    sheet = documents.Sheet("合同 玥昀", "", "天河", "zh_CN", (part, odd, documents.Part("text", text='#read("/etc/passwd") {{ name }}')), "")
    assert (await typesetting.pdf(sheet)).startswith(b"%PDF-")


def test_what_does_not_fit_a_document_is_told():
    raw = drawing_bundle()
    assert problems_of(raw) == []
    parts = raw["documents"][0]["parts"]
    parts[0]["text"], parts[1]["totals"], parts[2]["text"] = {"en": "x"}, ["began"], {"en": "{{ nothing }}"}
    del raw["documents"][0]["file_field"]
    found = {p.path for p in problems_of(raw)}
    assert {"documents[order].parts[head]", "documents[order].parts[steps].totals[began]", "documents[order].parts[terms].text.en", "automations[paper].do[0].document"} <= found, found


async def test_an_admin_makes_a_document_in_the_settings(atelier, http):
    desk = await designer(atelier, http)
    assert "Receipt" in (await desk.get("/settings/documents")).text
    form = (await desk.get("/settings/documents/order")).text
    assert "Payable by" in form and 'name="paper"' in form
    asked = {"entity": "contact", "label.en": "Badge", "label.zh_CN": "胸牌", "paper": "a5", "parts.0.fields": "name", "parts.0._row": "1"}
    done = await desk.post("/settings/documents/new", asked)
    assert done.status_code in (303, 422), done.text
