"""Single records opened to people, departments and roles: seen wherever records are seen, closed by revoking and by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.db.roles import OWNER, role_login
from saas.errors import BadRequest, InvalidInput, NotFound, PermissionDenied
from saas.runtime import execute, permissions
from saas.runtime import operations as ops
from saas.runtime.explain import explain
from saas.runtime.finding import find_everywhere
from saas.runtime.query import Query
from saas.runtime.shares import revoke, share, shares_of
from tests.factories import PASSWORD, Lab, make_lab, rich_bundle
from tests.integration.test_pages import Browser


@pytest_asyncio.fixture(scope="module")
async def lab(database) -> Lab:
    bundle = rich_bundle()
    next(e for e in bundle["entities"] if e["key"] == "account")["sharing"] = True
    bundle["automations"].append({
        "key": "open_up", "label": {"en": "Open up"}, "entity": "account", "on": {"trigger": "create"}, "if": "name == 'For all chiefs'",
        "do": [{"action": "share", "to": ["role:dept_user", "helper"], "level": "read", "days": 2}],
    })  # fmt: skip
    lab = await make_lab(bundle)
    await lab.person("eve", ["seller"], "south")
    return lab


async def _sees(lab: Lab, who: str, name: str, record_id: UUID, **changes: Any) -> bool:
    """In a list, by its id, in a search, a count and a link: always the same answer."""
    ctx = (await lab.ctx(who)).replace(**changes)
    only = {"field": "name", "op": "eq", "value": name}
    listed = bool((await execute(ctx, ops.List(entity="account", filter=only))).records)
    [counted] = await execute(ctx, ops.Aggregate(entity="account", measures=[ops.Measure(fn="count")], filter=only))
    found = name in [f.record.title for f in await find_everywhere(ctx, name, limit=20)]
    try:
        await execute(ctx, ops.Get(entity="account", id=record_id))
        got = True
    except NotFound:
        got = False
    assert listed == bool(counted.values[0]) == found == got, (listed, counted.values, found, got)
    return got


async def test_a_person_sees_and_edits_what_is_shared_until_it_is_over(lab):
    record_id = await lab.make("account", "seller", name="Sharedco")
    seller = await lab.ctx("seller")
    assert not await _sees(lab, "eve", "Sharedco", record_id)
    await share(seller, "account", record_id, f"user:{lab.people['eve']}", until=seller.now + timedelta(days=3), part="Presales")
    assert await _sees(lab, "eve", "Sharedco", record_id)
    with pytest.raises(PermissionDenied):
        await execute(await lab.ctx("eve"), ops.Update(entity="account", id=record_id, values={"bank": "X"}))
    with pytest.raises(PermissionDenied):
        await share(await lab.ctx("eve"), "account", record_id, f"user:{lab.people['chief']}")  # not theirs to share on
    assert not await _sees(lab, "eve", "Sharedco", record_id, fixed_now=seller.now + timedelta(days=4))
    await share(seller, "account", record_id, f"user:{lab.people['eve']}", level="edit")
    change = await execute(await lab.ctx("eve"), ops.Update(entity="account", id=record_id, values={"bank": "Eve's"}))
    assert change.record.values["bank"] == "Eve's" and not change.record.can.delete and not change.record.can.share
    with pytest.raises(PermissionDenied):
        await share(await lab.ctx("eve"), "account", record_id, f"user:{lab.people['chief']}")
    with pytest.raises(InvalidInput):  # nor theirs to give away
        await execute(await lab.ctx("eve"), ops.Update(entity="account", id=record_id, values={"owner": str(lab.people["eve"])}))
    with pytest.raises(PermissionDenied):
        await execute(await lab.ctx("eve"), ops.Assign(entity="account", id=record_id, to=lab.people["eve"]))
    [found] = await shares_of(seller, "account", record_id)
    assert (found.name, found.level, found.until, found.by) == ("Eve", "edit", None, "Seller")
    await revoke(seller, "account", record_id, found.subject)
    assert not await _sees(lab, "eve", "Sharedco", record_id)
    kinds = [e.kind for e in await execute(seller, ops.History(entity="account", id=record_id))]
    assert kinds.count("shared") == 2 and kinds[0] == "unshared"
    told = await lab.fetch("SELECT title FROM notification WHERE tenant_id = $1 AND user_id = $2 AND kind = 'share'", lab.people["eve"])
    assert told[0]["title"] == "Seller shared “Sharedco” with you"
    audit = await lab.fetch("SELECT kind FROM audit_event WHERE tenant_id = $1 AND target = $2 ORDER BY at", str(record_id))
    assert [a["kind"] for a in audit] == ["record.shared", "record.shared", "record.unshared"]


async def test_departments_roles_and_the_team(lab):
    record_id = await lab.make("account", "seller", name="Teamwork")
    seller = await lab.ctx("seller")
    await share(seller, "account", record_id, f"dept:{lab.departments['south']}")
    assert await _sees(lab, "eve", "Teamwork", record_id)
    await revoke(seller, "account", record_id, f"dept:{lab.departments['south']}")
    await share(seller, "account", record_id, "role:participant")
    assert await _sees(lab, "participant", "Teamwork", record_id) and not await _sees(lab, "eve", "Teamwork", record_id)
    await revoke(seller, "account", record_id, "role:participant")
    # Whose role covers what they take part in may change it once they belong to its team, whatever the share says.
    await share(seller, "account", record_id, f"user:{lab.people['participant']}", part="Lawyer")
    change = await execute(await lab.ctx("participant"), ops.Update(entity="account", id=record_id, values={"bank": "Law"}))
    assert change.record.values["bank"] == "Law"


async def test_it_opens_no_kind_of_record_to_a_role_that_has_none(lab):
    record_id = await lab.make("account", "seller", name="Closed off")
    await share(await lab.ctx("seller"), "account", record_id, f"user:{lab.people['nobody']}", level="edit")
    with pytest.raises((NotFound, PermissionDenied)):
        await execute(await lab.ctx("nobody"), ops.Get(entity="account", id=record_id))


async def test_what_is_refused(lab):
    record_id = await lab.make("account", "seller", name="Refusals")
    seller = await lab.ctx("seller")
    for subject, more in (("user:nobody", {}), (f"user:{UUID(int=5)}", {}), ("role:ghost", {}), ("x", {}), ("role:chief", {"level": "own"}), ("role:chief", {"until": seller.now - timedelta(days=1)})):
        with pytest.raises(InvalidInput):
            await share(seller, "account", record_id, subject, **more)
    with pytest.raises(NotFound):
        await share(await lab.ctx("eve"), "account", record_id, "role:chief")
    deal = await lab.make("deal", "seller", name="No sharing here")
    with pytest.raises(BadRequest):
        await share(seller, "deal", deal, "role:chief")


async def test_automations_share_and_the_simulator_says_so(lab):
    record_id = await lab.make("account", "seller", name="For all chiefs", helper=str(lab.people["assigned"]))
    found = {s.subject: s for s in await shares_of(await lab.ctx("seller"), "account", record_id)}
    assert set(found) == {"role:dept_user", f"user:{lab.people['assigned']}"} and all(s.until for s in found.values())
    south = await lab.person("south_dept", ["dept_user"], "south")
    verdict = await explain(await lab.ctx("admin"), (await lab.ctx("south_dept")).user, "account", record_id, "read")
    [step] = [s for grant in verdict.steps for s in grant.steps if "shared it with" in s.text]
    assert verdict.allowed and step.holds and south


async def test_lists_find_shared_records_by_index_in_a_large_tenant(lab, settings):
    """With 100,000 records of others the plan looks up the shared ones by their ids: no reading through the tenant."""
    entity = (await lab.ctx("admin")).config.entity("account")
    mine = await lab.make("account", "seller", name="Needle")
    await share(await lab.ctx("seller"), "account", mine, f"user:{lab.people['eve']}")
    async with tenant_transaction(lab.tenant_id, timeout_seconds=60) as conn:
        await conn.execute(
            f"INSERT INTO record (tenant_id, entity_id, id, version, owner_id, created_at, updated_at, doc) SELECT $1, {entity.number}, gen_random_uuid(), 1, $2, now(), now(), '{{}}' "  # noqa: S608
            "FROM generate_series(1, 100000)", lab.tenant_id, lab.people["chief"],
        )  # fmt: skip
    owner = await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))
    await owner.execute("ANALYZE record")
    await owner.close()
    ctx = await lab.ctx("eve")
    query = Query(ctx, entity)
    assert "record_share" in permissions.right_sql("read", query.scope)
    async with tenant_transaction(lab.tenant_id, timeout_seconds=60) as conn:
        sql, *args = query.statement.finish(f"EXPLAIN (ANALYZE, FORMAT TEXT) SELECT t.id {query.sql} ORDER BY t.created_at DESC LIMIT 50")
        await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        plan = "\n".join(r[0] for r in await conn.fetch(sql, *args))
    assert "Seq Scan on record" not in plan and "record_share" in plan, plan
    read = max(int(line.split("Rows Removed by Filter: ")[1]) for line in [*plan.splitlines(), "Rows Removed by Filter: 0"] if "Rows Removed by Filter: " in line)
    assert read < 1000, plan


async def test_pages_and_api(lab, http):
    record_id = await lab.make("account", "seller", name="On pages")
    browser = Browser(http, f"{lab.slug}.localhost")
    await browser.sign_in(f"seller@{lab.slug}.example", PASSWORD)
    url = f"/r/account/{record_id}/shares"
    assert f'href="{url}"' in (await browser.get(f"/r/account/{record_id}")).text
    assert "It is shared with nobody." in (await browser.get(url)).text
    eve = f"user:{lab.people['eve']}"
    refused = await browser.post(url, {"subject": eve, "until": "2001-01-01"})
    assert refused.status_code == 422 and "still to come" in refused.text
    assert (await browser.post(url, {"subject": eve, "level": "edit", "until": "2099-12-31", "part": "Presales"})).status_code == 303
    shown = (await browser.get(url)).text
    assert f'data-share="{eve}"' in shown and "Presales" in shown and "2099" in shown
    answer = await http.post("/api/v1/tokens", json={"email": f"eve@{lab.slug}.example", "password": PASSWORD}, headers={"host": f"{lab.slug}.localhost"})
    headers = {"host": f"{lab.slug}.localhost", "authorization": f"Bearer {answer.json()['token']}"}
    listed = (await http.get(f"/api/v1/records/account/{record_id}/shares", headers=headers)).json()["data"]
    assert [(s["with"], s["level"], s["part"]) for s in listed] == [(eve, "edit", "Presales")]
    assert (await http.get(f"/api/v1/records/account/{record_id}", headers=headers)).json()["can"]["share"] is False
    assert (await http.post(f"/api/v1/records/account/{record_id}/shares", headers=headers, json={"with": "role:chief"})).status_code == 403
    assert (await browser.post(url, {"revoke": eve})).status_code == 303
    assert (await http.get(f"/api/v1/records/account/{record_id}", headers=headers)).status_code == 404
