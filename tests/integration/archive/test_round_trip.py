"""Export, import, export: the same, whatever a tenant holds."""

from __future__ import annotations

import itertools
import json
import random
from datetime import timedelta
from pathlib import Path
from uuid import UUID as UUID_

import pytest

from saas.db import tenant_transaction
from saas.errors import NotAuthenticated, NotFound
from saas.metadata import slots
from saas.metadata.packs import sample
from saas.provision import provision_tenant
from saas.runtime import archive, execute, files, resuming
from saas.runtime import operations as ops
from saas.runtime.contexts import system_context
from saas.runtime.notifications import Notice, deliver
from saas.runtime.sample import Sample
from saas.runtime.sample_data import _people
from saas.tenants import authenticate, find_tenant, list_users, new_id
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, Lab, make_lab, rich_bundle
from tests.integration.archive.normal import UUID, manifest_of, normal, parts_of

pytestmark = pytest.mark.usefixtures("database")
_numbers = itertools.count(1)
SAMPLE = 80  # operations of the pack's sample data


def other_slug() -> str:
    import os

    return f"copy{os.getpid()}-{next(_numbers)}"


async def fill(lab: Lab, seed: int) -> None:
    """A life of a tenant: records of every field type, links, files, moves, deletions, views, messages, a field that came and went."""
    pick = random.Random(seed)
    accounts = [await lab.make("account", name=f"Account {seed}-{n} 华为", phone=f"1380000{seed % 10}{n:03}") for n in range(4)]
    ctx = await lab.ctx("admin")
    paper = await files.store_bytes(ctx, "paper.txt", f"paper of {seed}".encode() * 50)
    things = []
    for n in range(8):
        values = {
            "name": f"Thing {n}", "note": "a note\nwith “lines” and \u00e4", "rank": pick.choice([None, 0, -5, 2**40]), "size": pick.choice([None, 0.125, -3.5]), "share": 12.5, "vip": bool(n % 2),
            "due": "2026-03-01", "met": "2026-03-01T08:30:00Z", "clock": "09:15", "color": pick.choice(["red", None]), "kinds": ["x", "z"], "tags": ["alpha", "日本"],
            "helper": str(lab.people["seller"]), "crew": [str(lab.people["seller"]), str(lab.people["admin"])], "account": str(pick.choice(accounts)), "accounts": [str(a) for a in accounts[:2]],
            "price": {"amount": "12.50", "currency": "CNY"}, "secret": f"mentions {accounts[0]} in a text",
        }  # fmt: skip
        things.append(await lab.make("thing", **{k: v for k, v in values.items() if v is not None}, **({"papers": [str(paper.id)]} if n == 0 else {})))
    for n in range(3):
        await lab.make("line", name=f"Line {n}", account=str(accounts[0]), amount={"amount": f"{n + 1}.10", "currency": "CNY"}, qty=n + 0.5, date=f"2026-02-0{n + 1}")
    await lab.make("deal", name="Deal", account=str(accounts[1]), amount={"amount": "99.90", "currency": "CNY"})
    await execute(ctx, ops.Update(entity="thing", id=things[1], values={"account": str(accounts[3]), "helper": str(lab.people["admin"])}))
    await execute(ctx, ops.Delete(entity="thing", id=things[2]))
    async with tenant_transaction(lab.tenant_id) as conn:
        await deliver(conn, ctx, [lab.people["admin"]], Notice({"en": "Look", "zh_CN": "看"}, {"en": f"/r/thing/{things[0]}"}, "thing", things[0], "test"))
        await conn.execute(
            "INSERT INTO saved_view (tenant_id, id, entity_key, key, user_id, shared, definition, position) VALUES ($1, $2, 'thing', 'mine', $3, true, $4::jsonb, 1)",
            lab.tenant_id, new_id(), lab.people["seller"], json.dumps({"label": {"en": "Mine"}, "columns": ["name"], "filter": {"field": "account", "op": "in", "value": [str(accounts[0])]}}),
        )  # fmt: skip


async def without_field(lab: Lab, key: str) -> None:
    bundle = rich_bundle()
    thing = next(e for e in bundle["entities"] if e["key"] == "thing")
    thing["fields"] = [f for f in thing["fields"] if f["key"] != key]
    thing["search"] = [k for k in thing["search"] if k != key]
    await lab.publish(bundle)


def without_ids(shown: dict[str, str]) -> dict[str, str]:
    return {key: UUID.sub("#", str(text)) for key, text in shown.items()}


async def round_trip(tenant_id, tmp_path: Path):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    await archive.write_archive(tenant_id, one)
    made = await archive.restore_archive(one, slug=other_slug())
    await archive.write_archive(made.tenant_id, two)
    return one, two, made


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_rich_tenant_comes_back_the_same(tmp_path, seed):
    lab = await make_lab()
    await fill(lab, seed)
    one, two, made = await round_trip(lab.tenant_id, tmp_path)
    before, after = normal(one), normal(two)
    assert before.keys() == after.keys()
    for name in before:
        assert before[name] == after[name], name
    assert len(parts_of(one)["records/thing.jsonl"]) == 8 and made.files == 1
    assert not made.collisions
    ids = set(UUID.findall(json.dumps(parts_of(one)))) & set(UUID.findall(json.dumps(parts_of(two))))
    assert not ids, "every id is another one"


async def test_what_an_entity_was_before_comes_along(tmp_path):
    """A field that is gone with its values, one whose type changed, and an entity that is gone with its records."""
    bundle = rich_bundle()
    spare = {"key": "spare", "label": label("Spare"), "plural": label("Spares"), "title": "name", "fields": [fld("name", "text"), fld("amount", "int")]}
    bundle["entities"].append(spare)
    lab = await make_lab(bundle)
    await fill(lab, 4)
    await lab.make("thing", name="Old", stars=3, serial="A-1", paint="#112233")
    await lab.make("spare", name="Forgotten", amount=7)
    bundle = rich_bundle()
    thing = next(e for e in bundle["entities"] if e["key"] == "thing")
    thing["fields"] = [fld(f["key"], "text") if f["key"] in ("stars", "serial") else f for f in thing["fields"] if f["key"] != "paint"]
    await lab.publish(bundle)
    one, two, made = await round_trip(lab.tenant_id, tmp_path)
    assert normal(one) == normal(two)
    places = next(row for row in parts_of(one)["tables/entity.jsonl"] if row["key"] == "thing")["places"]
    assert {"stars~1", "serial~1", "stars", "paint"} <= {p["field"] for p in places}
    assert parts_of(two)["records/spare.jsonl"][0]["values"] == {"name": "Forgotten", "amount": 7}
    # Nothing has to be given another place: what publishing would choose is what the import chose.
    copied = Lab(made.tenant_id, made.slug)
    before = await copied.fetch("SELECT entity_id, field_key, column_name FROM field_column WHERE tenant_id = $1 ORDER BY 1, 2")
    ctx = await copied.system()
    async with tenant_transaction(made.tenant_id) as conn:
        await slots.assign(conn, made.tenant_id, ctx.config.bundle)
    assert await copied.fetch("SELECT entity_id, field_key, column_name FROM field_column WHERE tenant_id = $1 ORDER BY 1, 2") == before


async def test_more_fields_than_columns(tmp_path):
    """Values that lie in the document for want of columns get columns elsewhere, and the other way round."""
    bundle = rich_bundle()
    account = next(e for e in bundle["entities"] if e["key"] == "account")
    account["fields"] += [fld(f"more{n}", kind) for kind, count in (("int", 24), ("date", 24), ("number", 20)) for n in range(count) for n in [f"{kind}{n}"]]
    lab = await make_lab(bundle)
    values = {f"moreint{n}": 2**40 + n for n in range(24)} | {f"moredate{n}": f"2026-01-{n + 1:02}" for n in range(24)} | {f"morenumber{n}": n + 0.5 for n in range(20)}
    record = await lab.make("account", name="Wide", **values)
    # Free a column that was taken first, so that the import chooses others than were chosen here.
    bundle["entities"] = [{**e, "fields": [f for f in e["fields"] if f["key"] not in ("moreint0", "moredate0")]} if e["key"] == "account" else e for e in bundle["entities"]]
    await lab.publish(bundle)
    one, two, made = await round_trip(lab.tenant_id, tmp_path)
    assert normal(one) == normal(two)
    copied = Lab(made.tenant_id, made.slug)
    found = await execute(await copied.system(), ops.List(entity="account"))
    original = await execute(await lab.system(), ops.Get(entity="account", id=record))
    assert {k: v for k, v in found.records[0].values.items() if k.startswith("more")} == {k: v for k, v in original.values.items() if k.startswith("more")}
    assert sum(k.startswith("more") for k in original.values) == 66


@pytest.mark.parametrize("pack", ["baseline-crm", "jb-rm-crm"])
async def test_a_pack_with_its_sample_comes_back_the_same(tmp_path, pack):
    slug = other_slug()
    tenant_id = await provision_tenant(slug, name="Sample", pack_key=pack, locale="zh_CN", admin_email=f"a@{slug}.example", admin_password=PASSWORD)
    data = sample(pack)
    users = await _people(tenant_id, slug, data["users"], PASSWORD)
    assert await Sample(await system_context(tenant_id, origin="sample"), users).load(data["records"][:SAMPLE]) >= SAMPLE
    one, two, made = await round_trip(tenant_id, tmp_path)
    assert normal(one) == normal(two)
    assert (await find_tenant(made.slug)).config_revision == 1
    assert sum(len(rows) for name, rows in parts_of(two).items() if name.startswith("records/")) >= SAMPLE / 4


async def test_the_copy_works(tmp_path):
    """Searching, refusing duplicates, numbering, rollups, rights, signing in, files: in a tenant that came from an archive."""
    lab = await make_lab()
    await fill(lab, 5)
    one = tmp_path / "one.zip"
    await archive.write_archive(lab.tenant_id, one, with_passwords=True)
    made = await archive.restore_archive(one, slug=other_slug(), name="Copy", plan_key="pro")
    row = await find_tenant(made.slug)
    assert (row.name, row.plan_key, row.is_active) == ("Copy", "pro", True)
    user_id = await authenticate(made.tenant_id, f"seller@{lab.slug}.example", PASSWORD)
    assert user_id != lab.people["seller"]
    copied = Lab(made.tenant_id, made.slug, {u["email"].partition("@")[0].replace("-", "_"): u["id"] for u in await list_users(made.tenant_id)})
    for entity in ("account", "thing"):
        was = await execute(await lab.system(), ops.List(entity=entity, limit=100, count="exact"))
        now = await execute(await copied.system(), ops.List(entity=entity, limit=100, count="exact"))
        assert [r.title for r in was.records] == [r.title for r in now.records]
        assert [without_ids(r.display) for r in was.records] == [without_ids(r.display) for r in now.records]
    found = await execute(await copied.ctx("admin"), ops.List(entity="account", q="华为"))
    assert len(found.records) == 4
    number = max(r.values["number"] for r in (await execute(await copied.system(), ops.List(entity="thing", limit=100, ))).records)
    fresh = await copied.get("thing", await copied.make("thing", name="New"))
    assert fresh.values["number"] > number
    things = (await execute(await copied.system(), ops.List(entity="thing", limit=100))).records
    paper = next(r for r in things if r.values.get("papers"))
    opened = await files.open_file(await copied.ctx("admin"), UUID_(paper.values["papers"][0]))
    assert b"".join([part async for part in opened.chunks()]) == b"paper of 5" * 50
    mentioned = next(r.values["secret"] for r in things if r.values.get("secret"))
    assert str((await execute(await copied.system(), ops.Get(entity="account", id=UUID_(UUID.search(mentioned)[0])))).id) in mentioned
    tokens = await copied.fetch("SELECT count(*) FROM search_token WHERE tenant_id = $1")
    assert tokens[0][0] > 0


async def test_passwords_stay_at_home(tmp_path):
    lab = await make_lab(people=False)
    one = tmp_path / "one.zip"
    await archive.write_archive(lab.tenant_id, one)
    text = json.dumps(parts_of(one))
    assert "argon2" not in text and "app_user.password_hash" in manifest_of(one)["left_out"]
    made = await archive.restore_archive(one, slug=other_slug())
    with pytest.raises(NotAuthenticated):
        await authenticate(made.tenant_id, f"admin@{lab.slug}.example", PASSWORD)
    with pytest.raises(NotFound):
        await archive.restore_archive(one, slug=other_slug(), needs="nobody@x.example")


async def test_runs_that_wait_go_on_in_the_copy(tmp_path):
    """One that waits, and one that was about to go on by a job, which is not in the archive; neither knows the other workspace any more."""
    rule = {"key": "later", "label": label("Later"), "entity": "account", "on": {"trigger": "create"}, "do": [
        {"action": "create", "entity": "task", "as": "made", "values": {"name": "'Call'", "account": "id"}}, {"action": "wait", "days": 2},
        {"action": "set", "target": "result.made", "values": {"name": "concat('Call ', name)"}}]}  # fmt: skip
    lab = await make_lab({**rich_bundle(), "automations": [rule]}, people=False)
    accounts = [await lab.make("account", name=name) for name in ("One", "Two")]
    await lab.fetch("UPDATE automation_log SET status = 'queued', due_at = NULL WHERE tenant_id = $1 AND record_id = $2 RETURNING 1", accounts[1])
    await archive.write_archive(lab.tenant_id, tmp_path / "a.zip")
    copy = await archive.restore_archive(tmp_path / "a.zip", slug=other_slug())
    later = (await system_context(copy.tenant_id)).now + timedelta(days=3)
    assert await resuming.run_due(await system_context(copy.tenant_id, at=later)) == 2
    for tenant, expected in ((copy.tenant_id, ["Call One", "Call Two"]), (lab.tenant_id, ["Call", "Call"])):
        page = await execute(await system_context(tenant), ops.List(entity="task", limit=10))
        assert sorted(r.title for r in page.records) == expected
    async with tenant_transaction(copy.tenant_id) as conn:
        assert [r[0] for r in await conn.fetch("SELECT status FROM automation_log WHERE tenant_id = $1", copy.tenant_id)] == ["done", "done"]
