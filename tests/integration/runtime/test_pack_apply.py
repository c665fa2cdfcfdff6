"""Packs on real tenants: installed as they are, merged with what admins changed, never overwriting silently."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidDefinition
from saas.metadata import edits, store
from saas.metadata.packs import load_pack
from saas.runtime import configuration, execute
from saas.runtime import operations as ops
from saas.runtime.configuration import publish
from saas.runtime.context import Context
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.packs import apply_pack, conflict_json, plan_pack
from tests.bundles import field, label
from tests.factories import make_lab, rich_bundle

NAME = "entities[thing].fields[name]"


def pack(version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    """The rich bundle as a pack; `changes` by path with dots for brackets."""
    raw = rich_bundle()
    raw["pack"]["version"] = version
    for path, value in changes.items():
        raw = edits.put(raw, path, value)
    return raw


@pytest.fixture
async def tenant(tenant_factory: Any) -> Any:
    """Without any configuration."""
    return (await tenant_factory()).id


async def system(tenant: Any) -> Context:
    return await system_context(tenant)


async def live(tenant: Any) -> Any:
    return (await store.revision(tenant)).bundle


async def remembered(tenant: Any, key: str = "rich") -> tuple[str, Any] | None:
    async with tenant_transaction(tenant) as conn:
        row = await conn.fetchrow("SELECT version, bundle FROM pack_install WHERE tenant_id = $1 AND pack_key = $2", tenant, key)
    import json

    return (row["version"], json.loads(row["bundle"])) if row else None


async def installed(tenant: Any, raw: dict[str, Any]) -> None:
    await apply_pack(await system(tenant), await plan_pack(await system(tenant), raw))


async def test_an_empty_tenant_gets_exactly_the_file(tenant):
    raw = pack()
    found = await plan_pack(await system(tenant), raw)
    assert (found.mode, found.installed, found.conflicts) == ("install", None, ())
    made = await apply_pack(await system(tenant), found)
    assert (made.number, made.hash) == (1, store.content_hash(raw)) and await live(tenant) == raw
    assert await remembered(tenant) == ("1.0.0", raw)


async def test_an_exported_configuration_gives_the_same_hash_elsewhere(tenant, tenant_factory):
    """Also a configuration an admin changed, also where a pack is installed but nothing was done with it yet."""
    source = await tenant_factory(pack="baseline-crm")
    raw = copy.deepcopy(load_pack("baseline-crm"))
    raw["entities"][0]["fields"].append(field("extra", "text"))
    made = await publish(await context_for_user(source.id, source.admin_id), raw=raw)
    exported = await live(source.id)
    fresh, other = await tenant_factory(pack="baseline-crm"), await tenant_factory(pack="jb-rm-crm")
    for target in (tenant, fresh.id, other.id):
        found = await plan_pack(await system(target), exported)
        assert (await apply_pack(await system(target), found)).hash == made.hash == store.content_hash(exported)
    admin = await context_for_user(other.id, other.admin_id)
    assert any(admin.config.roles[key].admin for key in admin.user.role_keys), "who administered still does"


async def test_the_same_pack_again_changes_nothing(tenant):
    await installed(tenant, pack())
    assert (await plan_pack(await system(tenant), pack())).mode == "same"


async def test_a_new_version_comes_with_what_the_admin_changed(tenant):
    """Both changed different things: both are there, and the next upgrade starts from the pack, not from the merge."""
    await installed(tenant, pack())
    mine = edits.put(edits.add(await live(tenant), "entities[thing].fields", field("mine", "text")), f"{NAME}.label.en", "Called")
    mine = edits.remove(mine, "views[account:grades]")
    await publish(await system(tenant), raw=mine)
    second = edits.add(pack("2.0.0"), "entities[thing].fields", field("theirs", "text"))
    second = edits.put(second, "entities[deal].label.en", "Opportunity")
    found = await plan_pack(await system(tenant), second)
    assert (found.mode, found.installed, found.conflicts) == ("upgrade", "1.0.0", ())
    await apply_pack(await system(tenant), found)
    now = await live(tenant)
    assert edits.find(now, "entities[thing].fields[mine]") and edits.find(now, "entities[thing].fields[theirs]")
    assert edits.find(now, f"{NAME}.label.en") == "Called" and edits.find(now, "entities[deal].label.en") == "Opportunity"
    assert edits.find(now, "views[account:grades]") is None and now["pack"]["version"] == "2.0.0"
    assert await remembered(tenant) == ("2.0.0", second)
    third = edits.add(second, "entities[thing].fields", field("third", "text"))
    third["pack"]["version"] = "3.0.0"
    found = await plan_pack(await system(tenant), third)
    assert found.installed == "2.0.0" and found.conflicts == ()
    await apply_pack(await system(tenant), found)
    now = await live(tenant)
    assert all(edits.find(now, f"entities[thing].fields[{k}]") for k in ("mine", "theirs", "third"))


async def test_what_both_changed_must_be_decided(tenant):
    await installed(tenant, pack())
    await publish(await system(tenant), raw=edits.put(await live(tenant), f"{NAME}.label.en", "Mine"))
    second = edits.put(pack("2.0.0"), f"{NAME}.label.en", "Theirs")
    found = await plan_pack(await system(tenant), second)
    [conflict] = found.open
    assert conflict_json(conflict) == {"path": conflict.path, "base": conflict.base, "mine": conflict.mine, "theirs": conflict.theirs}
    assert conflict.path.startswith(NAME)
    with pytest.raises(Conflict) as refused:
        await apply_pack(await system(tenant), found)
    assert refused.value.data["conflicts"][0]["path"] == conflict.path
    assert edits.find(await live(tenant), f"{NAME}.label.en") == "Mine", "nothing was overwritten"
    for choices, expected in (("mine", "Mine"), ({conflict.path: "mine"}, "Mine"), ("theirs", "Theirs"), ({conflict.path: "theirs"}, "Theirs")):
        found = await plan_pack(await system(tenant), second, choices)
        assert found.open == () and edits.find(found.raw, f"{NAME}.label.en") == expected
    assert (await plan_pack(await system(tenant), second, {"elsewhere": "mine"})).open != ()
    await apply_pack(await system(tenant), found)
    assert edits.find(await live(tenant), f"{NAME}.label.en") == "Theirs"


async def test_without_an_installed_pack_it_replaces_only_when_told(tenant):
    hand_made = pack()
    hand_made["pack"]["key"] = "by-hand"
    await publish(await system(tenant), raw=hand_made)
    second = edits.put(pack("2.0.0"), f"{NAME}.label.en", "Theirs")
    found = await plan_pack(await system(tenant), second)
    assert (found.mode, found.raw) == ("replace", second)
    with pytest.raises(Conflict):
        await apply_pack(await system(tenant), found)
    assert await live(tenant) == hand_made
    await apply_pack(await system(tenant), found, replace=True)
    assert await live(tenant) == second and await remembered(tenant) == ("2.0.0", second)


async def test_another_pack_replaces_only_when_told_once_there_are_records(tenant_factory):
    from saas.runtime import execute
    from saas.runtime import operations as ops

    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    assert (await plan_pack(await system(tenant.id), load_pack("jb-rm-crm"))).mode == "install"
    await execute(ctx, ops.Create(entity="customer", values={"name": "Somebody"}))
    assert (await plan_pack(await system(tenant.id), load_pack("jb-rm-crm"))).mode == "replace"


async def test_a_changed_configuration_is_not_empty(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    await publish(await system(tenant.id), raw=edits.put(await live(tenant.id), "pack.label.en", "Ours"))
    assert (await plan_pack(await system(tenant.id), load_pack("jb-rm-crm"))).mode == "replace"


async def test_a_tenant_from_before_packs_were_remembered(tenant_factory):
    """Its first revision is the pack."""
    tenant = await tenant_factory(pack="baseline-crm")
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("DELETE FROM pack_install WHERE tenant_id = $1", tenant.id)
    await publish(await system(tenant.id), raw=edits.put(await live(tenant.id), "roles[sales].label.en", "Ours"))
    second = copy.deepcopy(load_pack("baseline-crm"))
    second["pack"]["version"] = "99.0.0"
    found = await plan_pack(await system(tenant.id), second)
    assert found.mode == "upgrade" and edits.find(found.raw, "roles[sales].label.en") == "Ours"


async def test_a_merge_that_does_not_fit_together_is_refused(tenant):
    """The pack uses a field that the admin removed: the problem is named, nothing changes."""
    await installed(tenant, pack())
    mine = edits.remove(edits.remove(await live(tenant), "entities[thing].fields[rank]"), "entities[thing].fields[twice]")
    await publish(await system(tenant), raw=mine)
    second = edits.add(pack("2.0.0"), "entities[thing].rules", {"key": "low", "expr": "rank < 5", "message": label("Low")})
    found = await plan_pack(await system(tenant), second, "mine")
    plan = await configuration.make_plan(await system(tenant), found.raw)
    assert [p["path"] for p in plan.report.problems] == ["entities[thing].rules[low].expr"]
    with pytest.raises(InvalidDefinition):
        await apply_pack(await system(tenant), found)
    assert (await store.revision(tenant)).number == 2


@pytest.mark.parametrize("raw", [None, [], {}, {"pack": 5}, {"pack": {"key": "x"}}, {"pack": {"key": 5, "version": "1"}}])
async def test_what_is_no_pack(tenant, raw):
    with pytest.raises(InvalidDefinition):
        await plan_pack(await system(tenant), raw)


async def test_somebody_publishes_between_plan_and_apply(tenant):
    await installed(tenant, pack())
    found = await plan_pack(await system(tenant), edits.put(pack("2.0.0"), f"{NAME}.label.en", "Theirs"))
    await publish(await system(tenant), raw=edits.put(await live(tenant), "entities[deal].label.en", "Mine"))
    with pytest.raises(Conflict):
        await apply_pack(await system(tenant), found)


async def test_packs_are_not_for_everybody():
    from saas.errors import PermissionDenied

    lab = await make_lab(people=False)
    await lab.person("seller", ["seller"])
    with pytest.raises(PermissionDenied):
        await plan_pack(await lab.ctx("seller"), pack())


async def test_two_who_put_a_pack_into_an_empty_tenant_at_once(tenant):
    """One is there, whole; the other is told."""
    packs = [pack("1.0.0"), pack("2.0.0", **{"pack.key": "other"})]
    for first in (True, False):  # without any configuration, then with one that nobody did anything with
        plans = [await plan_pack(await system(tenant), raw) for raw in packs]
        assert {p.mode for p in plans} <= {"install", "same"}
        answers = await asyncio.gather(*[apply_pack(await system(tenant), p) for p in plans], return_exceptions=True)
        assert [type(a).__name__ for a in answers].count("Conflict") == 1, answers
        assert await live(tenant) == packs[0 if isinstance(answers[1], Conflict) else 1]
        packs = [pack("3.0.0", **{"pack.key": "third"}), pack("4.0.0", **{"pack.key": "fourth"})] if first else packs


@pytest.mark.parametrize("through", ["plan", "bundle"])
async def test_records_added_after_the_plan_are_not_put_away_unasked(tenant_factory, through):
    shop = await tenant_factory(pack="baseline-crm")
    ctx = await context_for_user(shop.id, shop.admin_id)
    found = await plan_pack(ctx, pack())
    assert found.mode == "install" and found.only_if_empty
    made = await configuration.make_plan(ctx, found.raw, data=found.data, base_revision=found.base_revision, pack=configuration.Pack(found.pack), only_if_empty=found.only_if_empty)
    before = await live(shop.id)
    await execute(ctx, ops.Create(entity="lead", values={"name": "Northern", "email": "n@x.example"}))
    with pytest.raises(Conflict, match="Records were added"):
        await (configuration.publish(ctx, plan_id=made.id) if through == "plan" else apply_pack(ctx, found))
    assert await live(shop.id) == before and (await store.revision(shop.id)).number == 1
    again = await plan_pack(ctx, pack())
    assert again.mode == "replace"
    assert (await apply_pack(ctx, again, replace=True)).number == 2
