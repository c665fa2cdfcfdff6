"""Archives that come from anybody: what is not whole, not ours or not safe is refused before anything is written; what fails later leaves
nothing; and nothing reaches another tenant."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from saas.db import current_database, system_transaction, tenant_transaction
from saas.errors import BadRequest, Conflict, InvalidDefinition, InvalidInput
from saas.metadata.store import content_hash
from saas.runtime import archive, execute
from saas.runtime import operations as ops
from saas.runtime.archive import reading
from tests.factories import Lab, make_lab
from tests.integration.archive.test_round_trip import fill, other_slug

pytestmark = pytest.mark.usefixtures("database")
Parts = dict[str, bytes]


@pytest.fixture(scope="module")
async def lab(database) -> Lab:
    lab = await make_lab()
    await fill(lab, 6)
    return lab


@pytest.fixture
async def whole(lab, tmp_path) -> Path:
    path = tmp_path / "whole.zip"
    await archive.write_archive(lab.tenant_id, path)
    return path


def changed(path: Path, change: Callable[[Parts, dict], None], *, mend: bool = True) -> Path:
    """The archive with other contents; `mend`: its manifest says so, as somebody who forges one would."""
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    change(parts, manifest)
    if mend:
        listed = {part["name"]: part for part in manifest["parts"]}
        for name, text in parts.items():
            if name in listed:
                listed[name].update(rows=text.count(b"\n"), bytes=len(text), sha256=hashlib.sha256(text).hexdigest())
        manifest["parts"] = [part for part in manifest["parts"] if part["name"] in parts]
        files = [text for name, text in parts.items() if name.startswith("files/")]
        manifest["files"].update(count=len(files), bytes=sum(map(len, files)))
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in parts.items():
            made.writestr(name, text)
        made.writestr("manifest.json", json.dumps(manifest))
    return target


def edit(name: str, change: Callable[[dict], None]) -> Callable[[Parts, dict], None]:
    def apply(parts: Parts, manifest: dict) -> None:
        rows = [json.loads(line) for line in parts[name].splitlines()]
        for row in rows:
            change(row)
        parts[name] = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)

    return apply


async def left_behind() -> tuple[int, list[str]]:
    """Tenants, and folders of files."""
    async with system_transaction("doctor") as conn:
        count = await conn.fetchval("SELECT count(*) FROM tenant")
    root = current_database().settings.data_dir / "files"
    return count, sorted(path.name for path in root.iterdir()) if root.exists() else []


async def refuse(path: Path, error: type[Exception] = BadRequest, **options: str) -> Exception:
    before = await left_behind()
    with pytest.raises(error) as caught:
        await archive.restore_archive(path, slug=options.pop("slug", other_slug()), **options)
    assert await left_behind() == before, "nothing is left"
    return caught.value


def add(name: str, text: bytes = b"x") -> Callable[[Parts, dict], None]:
    return lambda parts, manifest: parts.__setitem__(name, text)


def drop(name: str) -> Callable[[Parts, dict], None]:
    return lambda parts, manifest: parts.pop(name)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "files/../../x", "tables/../x.jsonl", "records/Thing.jsonl", "files/abc", "tables/session.jsonl/x", "C:\\x", "files/" + "a" * 63 + "/"])
async def test_names_that_lead_elsewhere(whole, name):
    await refuse(changed(whole, add(name)))


@pytest.mark.parametrize(
    "change",
    [
        drop("tables/entity.jsonl"), drop("records/thing.jsonl"), lambda parts, manifest: manifest["parts"].append({"name": "tables/gone.jsonl", "rows": 0, "bytes": 0, "sha256": ""}),
        lambda parts, manifest: manifest.update(format=2), lambda parts, manifest: manifest.update(product="other"), lambda parts, manifest: manifest.pop("tenant"),
        lambda parts, manifest: manifest["files"].update(count=99), lambda parts, manifest: manifest["tenant"].update(time_zone="Nowhere/At_All"),
        lambda parts, manifest: manifest["tenant"].update(brand={"color": "red;}</style>"}), lambda parts, manifest: manifest["tenant"].update(locale="xx"),
    ],
)  # fmt: skip
async def test_frames_that_do_not_hold(whole, change):
    await refuse(changed(whole, change, mend=False))


@pytest.mark.parametrize("name", ["tables/app_user.jsonl", "records/thing.jsonl", "tables/record_event.jsonl"])
async def test_every_part_is_compared_with_its_checksum(whole, name):
    def change(parts: Parts, manifest: dict) -> None:
        before, parts[name] = parts[name], parts[name].replace(b'"20', b'"19')  # another century: rows as whole and as long as before
        assert parts[name] != before

    await refuse(changed(whole, change, mend=False))


async def test_files_are_compared_with_their_names(whole):
    def change(parts: Parts, manifest: dict) -> None:
        name = next(n for n in parts if n.startswith("files/"))
        parts[name] = bytes(len(parts[name]))

    await refuse(changed(whole, change))


async def test_not_archives(tmp_path, whole):
    for content in (b"", b"PK\x03\x04", b"not a zip at all", whole.read_bytes()[:-200], whole.read_bytes()[: len(whole.read_bytes()) // 2]):
        path = tmp_path / "no.zip"
        path.write_bytes(content)
        await refuse(path)


async def test_what_unpacks_to_too_much(whole, monkeypatch):
    def bomb(parts: Parts, manifest: dict) -> None:
        parts["tables/audit_event.jsonl"] += b" " * 50_000_000 + b"\n"

    await refuse(changed(whole, bomb))
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    await refuse(whole)
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MAX_LINE", 100)
    await refuse(whole)
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MAX_ENTRIES", 3)
    await refuse(whole)


async def test_sizes_that_lie(whole):
    """The directory of the zip says less than what is in the part."""
    content = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as source:
        entry = source.getinfo("tables/record_event.jsonl")
    at = content.rindex(b"tables/record_event.jsonl") - 46  # in the central directory
    content[at + 24 : at + 28] = (entry.file_size // 2).to_bytes(4, "little")
    path = whole.with_name("lies.zip")
    path.write_bytes(content)
    await refuse(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tables/app_user.jsonl", lambda row: row.update(tenant_id="00000000-0000-0000-0000-000000000001")), ("tables/app_user.jsonl", lambda row: row.update(id="no id")),
        ("tables/app_user.jsonl", lambda row: row.update(password_hash="x")), ("records/thing.jsonl", lambda row: row.update(tenant_id="x")),
        ("records/thing.jsonl", lambda row: row["values"].update(unheard=1)), ("records/thing.jsonl", lambda row: row["values"].update(rank="many")),
        ("records/thing.jsonl", lambda row: row["values"].update(helper="nobody")), ("records/thing.jsonl", lambda row: row.pop("id")), ("records/thing.jsonl", lambda row: row.pop("doc")),
        ("records/thing.jsonl", lambda row: row.update(doc=[])), ("tables/record_event.jsonl", lambda row: row.update(entity="unheard")), ("tables/record_event.jsonl", lambda row: row.update(entity_id=1)),
        ("tables/entity.jsonl", lambda row: row["places"][0].update(storage="doc", place="t1")), ("tables/entity.jsonl", lambda row: row["places"][0].update(place="owner_id")),
        ("tables/entity.jsonl", lambda row: row.update(key="x'; DROP TABLE record; --")), ("tables/stage_history.jsonl", lambda row: row.update(stage=None)),
        ("tables/app_user.jsonl", lambda row: row.update(status="owner")), ("tables/app_user.jsonl", lambda row: row.update(email="same@x.example")),
        ("tables/app_user.jsonl", lambda row: row.update(name="nul \x00")), ("tables/config_revision.jsonl", lambda row: row.pop("number")),
        ("records/thing.jsonl", lambda row: row.update(created_at="yesterday-ish")), ("records/thing.jsonl", lambda row: row.update(version="1; DROP TABLE record")),
    ],
)  # fmt: skip
async def test_rows_that_cannot_be(whole, name, change):
    """Also those that only the database refuses, after much has been written: nothing of it stays."""
    await refuse(changed(whole, edit(name, change)))


async def test_a_configuration_that_is_none(whole):
    await refuse(changed(whole, edit("tables/config_revision.jsonl", lambda row: row["bundle"].update(entities=[{"key": "x"}]))), InvalidDefinition)
    await refuse(changed(whole, lambda parts, manifest: manifest["tenant"].update(config_revision=77)))


async def test_addresses(whole, lab):
    await refuse(whole, Conflict, slug=lab.slug)
    await refuse(whole, InvalidInput, slug="www")
    await refuse(whole, InvalidInput, slug="No_Address")


async def test_a_forged_hash_changes_nobody_else(whole, lab):
    """Compiled configurations are shared by their hash: what an archive says of it is not believed."""
    ctx = await lab.ctx("admin")
    honest = ctx.config.hash

    def forge(row: dict) -> None:
        row["bundle"]["entities"][0]["label"]["en"] = "Forged"
        row["hash"] = honest

    made = await archive.restore_archive(changed(whole, edit("tables/config_revision.jsonl", forge)), slug=other_slug())
    copied = Lab(made.tenant_id, made.slug)
    rows = await copied.fetch("SELECT hash, bundle FROM config_revision WHERE tenant_id = $1")
    assert all(row["hash"] == content_hash(json.loads(row["bundle"])) != honest for row in rows)
    assert (await copied.system()).config.entity("thing").defn.label["en"] == "Forged"
    assert (await lab.system()).config.entity("thing").defn.label["en"] == "Thing"


async def test_what_follows_from_records_is_made_anew(whole, lab):
    """Sums over children are not believed, nor are there tokens or unique values to believe."""
    real = (await execute(await lab.system(), ops.List(entity="account", limit=100))).records
    forged = changed(whole, edit("records/account.jsonl", lambda row: row["values"].update(line_count=77, branch_sum=5)))
    made = await archive.restore_archive(forged, slug=other_slug())
    found = (await execute(await Lab(made.tenant_id, made.slug).system(), ops.List(entity="account", limit=100))).records
    assert [(r.title, r.values["line_count"], r.values["line_sum"], r.values["branch_sum"]) for r in found] == [(r.title, r.values["line_count"], r.values["line_sum"], r.values["branch_sum"]) for r in real]
    assert {r.values["line_count"] for r in real} == {0, 3}


async def test_nothing_reaches_another_tenant(whole, lab):
    """An archive full of another tenant's ids: they become the new tenant's own, and the other has what it had."""
    victim = await make_lab()
    record = await victim.make("account", name="Of the victim")
    thing = await victim.make("thing", name="Theirs", account=str(record))
    tables = ("record", "record_event", "app_user", "file", "audit_event", "saved_view", "notification", "unique_value", "search_token", "record_link")

    async def state() -> list[object]:
        return [[dict(row) for row in await victim.fetch(f"SELECT * FROM {table} t WHERE tenant_id = $1 ORDER BY to_jsonb(t)::text")] for table in tables]  # noqa: S608

    before = await state()

    def steal(parts: Parts, manifest: dict) -> None:
        rows = [json.loads(line) for line in parts["records/thing.jsonl"].splitlines()]
        rows[0]["id"], rows[1]["values"]["account"], rows[1]["owner_id"] = str(thing), str(record), str(victim.people["admin"])
        parts["records/thing.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    made = await archive.restore_archive(changed(whole, steal), slug=other_slug())
    assert await state() == before
    copied = Lab(made.tenant_id, made.slug)
    found = await execute(await copied.system(), ops.List(entity="thing", limit=100))
    assert "Theirs" not in [r.title for r in found.records] and "Of the victim" not in json.dumps([r.display for r in found.records], default=str)
    own = {str(row[0]) for row in await copied.fetch("SELECT id FROM record WHERE tenant_id = $1")}
    assert str(thing) not in own and str(record) not in own
    async with tenant_transaction(victim.tenant_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM record WHERE tenant_id = $1", made.tenant_id) == 0


async def test_hashes_of_passwords_made_elsewhere(whole, lab, tmp_path):
    """One that would take a gigabyte to check is not taken; the person gets a new password."""
    path = tmp_path / "with.zip"
    await archive.write_archive(lab.tenant_id, path, with_passwords=True)
    greedy = "$argon2id$v=19$m=1048576,t=20,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    made = await archive.restore_archive(changed(path, edit("tables/app_user.jsonl", lambda row: row.update(password_hash=greedy))), slug=other_slug())
    rows = await Lab(made.tenant_id, made.slug).fetch("SELECT DISTINCT password_hash FROM app_user WHERE tenant_id = $1")
    assert [row[0] for row in rows] == [""]


async def test_an_archive_is_not_made_while_records_are_rewritten(lab, tmp_path):
    other = await make_lab(people=False)
    async with tenant_transaction(other.tenant_id) as conn:
        await conn.execute("INSERT INTO job (tenant_id, id, kind, status) VALUES ($1, gen_random_uuid(), 'backfill', 'paused')", other.tenant_id)
    with pytest.raises(Conflict):
        await archive.write_archive(other.tenant_id, tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []
