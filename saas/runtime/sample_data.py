"""A pack's sample data in a tenant: its people and records, put in at once or by a job that can be interrupted.

What came as sample data is marked for good: people by `app_user.sample_key`, records by a row of `sample_record`, written in the
transaction that makes them. saas.runtime.sample_clearing takes it out again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import use_locale
from saas.metadata.config import Config
from saas.metadata.packs import sample
from saas.runtime import jobs, quota
from saas.runtime.context import Context, User
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.sample import Sample
from saas.tenants import create_user, list_audit, list_users, record_audit, update_user

SAMPLE_PASSWORD = "demo-password"  # known to everybody: of a demonstration only
SAMPLE_LOADED = "sample.loaded"
KIND = "load_sample"
SMALL = 30  # records of an entity that are taken all or not at all: teams, targets and the like, on which rules depend
SHARE = 4  # sample records fill at most one part in so many of what the plan allows
Progress = Callable[[int, int], None]


async def load_sample(
    tenant_id: UUID, slug: str, pack_key: str, locale: str, *, password: str = "", progress: Progress | None = None
) -> int:  # fmt: skip
    """Create the pack's sample people (`<email>@<slug>.example`) and records; returns how many operations were run.
    With `password` the people can sign in; without it nobody can as them, and they take no seat."""
    data = sample(pack_key, locale)
    users = await _people(tenant_id, slug, data["users"], password)
    loader = Sample(await system_context(tenant_id, origin="sample"), users)
    with use_locale(locale):  # what records keep as text, such as why a price is recommended, is read by the company's people
        count = await loader.load(data["records"], progress)
    await _loaded(loader, count)
    return count


async def begin_loading(conn: Any, ctx: Context, pack_key: str) -> UUID:
    """Put the job that loads it into the queue, as part of the caller's transaction. Where the plan allows few records it loads fewer, so
    that there is room for people's own."""
    allowed = ctx.tenant.limits.records
    most = None if allowed is None else allowed // SHARE
    return await jobs.enqueue(conn, ctx, KIND, {"pack": pack_key, "locale": ctx.tenant.locale, "most": most})


async def load_in_job(job: jobs.JobRun) -> dict[str, Any]:
    """The work of that job. Its sample people cannot sign in: nobody chose their passwords. Goes on where it was interrupted."""
    tenant, locale = job.ctx.tenant, job.payload["locale"]
    data = sample(job.payload["pack"], locale)
    users = await _people(tenant.id, tenant.slug, data["users"], "")
    begun = job.state.get("begun") or job.ctx.now.isoformat()
    base = await system_context(tenant.id, origin="sample", at=datetime.fromisoformat(begun))
    records = data["records"]
    if job.payload.get("most") is not None:
        records = fitting(records, job.payload["most"], base.config)
    loader = Sample(base, users, lenient=True)  # people work meanwhile, and only part of it may be taken

    async def keep(conn: Any, done: int, total: int) -> None:
        await job.checkpoint(conn, done=done, total=total, state={"begun": begun, "done": done})

    with use_locale(locale):
        count = await loader.load(records, keep=keep, skip=job.state.get("done", 0))
    await _loaded(loader, count)
    return {"begun": begun, "done": count, "records": len(records)}


async def _loaded(loader: Sample, count: int) -> None:
    """It is all there. What its automations did is taken off the month's account: nobody asked for it."""
    tenant_id = loader.base.tenant_id
    async with tenant_transaction(tenant_id) as conn:
        await record_audit(conn, tenant_id, SAMPLE_LOADED, data={"operations": count})
        runs = await conn.fetchval(  # on records that it made, at the times it tells of: what people's own records set off stays counted
            "SELECT count(*) FROM automation_log l JOIN sample_record s ON s.tenant_id = l.tenant_id AND s.entity_id = l.entity_id AND s.record_id = l.record_id "
            "WHERE l.tenant_id = $1 AND l.at <= $2 AND s.loaded_at = $2",
            tenant_id, loader.start,
        )  # fmt: skip
        await quota.write(conn, loader.base, "automation_runs", -runs, [])


async def is_loading(ctx: Context) -> bool:
    """Whether sample data is being filled in at this moment."""
    async with tenant_transaction(ctx.tenant_id) as conn:
        return bool(await conn.fetchval("SELECT true FROM job WHERE tenant_id = $1 AND kind = $2 AND status IN ('queued', 'running') LIMIT 1", ctx.tenant_id, KIND))


async def has_sample(tenant_id: UUID) -> bool:
    """Whether the sample data is all there, or was; False also when loading it was interrupted."""
    return bool(await list_audit(tenant_id, kind=SAMPLE_LOADED, limit=1))


def sample_logins(pack_key: str, slug: str, locale: str = "en") -> list[dict[str, Any]]:
    """Who can sign in to a tenant with sample data: name, e-mail, roles."""
    return [
        {"name": user["name"], "email": f"{user['email']}@{slug}.example", "roles": user["roles"]}
        for user in sample(pack_key, locale)["users"]
    ]


def fitting(records: Sequence[Mapping[str, Any]], most: int, config: Config) -> list[Mapping[str, Any]]:
    """About `most` of them: the same share of each entity, and only records whose links all lead to records that are taken. What lives
    inside a record (order lines) comes with it."""
    if len(records) <= most:
        return list(records)
    inside = {e.key for e in config.entities.values() if any(f.options.get("detail") for f in e.defn.fields)}
    known = {r["key"] for r in records if r.get("key")}
    links = [{v[1:] for v in _texts(r) if v.startswith("@") and v[1:] in known} for r in records]
    total = Counter(r["entity"] for r in records)
    for share in (0.9, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02, 0.0):
        room = {entity: count if count <= SMALL and share else max(2, int(count * share)) for entity, count in total.items()}
        taken: set[str] = set()
        kept: dict[int, Mapping[str, Any]] = {}
        for _round in range(6):  # a record may stand before those it names
            for index, record in enumerate(records):
                entity = record["entity"]
                if index not in kept and links[index] <= taken and (entity in inside or room[entity] > 0):
                    kept[index] = record
                    room[entity] -= 1
                    if record.get("key"):
                        taken.add(record["key"])
        if len(kept) <= most:
            return [kept[index] for index in sorted(kept)]
    return []


def _texts(record: Mapping[str, Any]) -> list[str]:
    found = []
    for values in (record.get("values", {}), *(step.get(part, {}) for step in record.get("steps", ()) for part in ("values", "update"))):
        for value in values.values():
            found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    return found


async def _people(tenant_id: UUID, slug: str, people: list[Mapping[str, Any]], password: str) -> dict[str, User]:
    """{sample key: person}; those that are there already are left as they are."""
    there = {u["sample_key"]: u["id"] for u in await list_users(tenant_id) if u["sample_key"]}
    new = [person for person in people if person["key"] not in there]
    for person in new:
        there[person["key"]] = await create_user(
            tenant_id, f"{person['email']}@{slug}.example", password, person["name"], person["roles"],
            person.get("department"), None, None, person.get("title", ""), sample_key=person["key"],
        )  # fmt: skip
    for person in new:  # afterwards, so that the list may stand in any order
        if person.get("superior"):
            await update_user(tenant_id, there[person["key"]], {"superior_id": there[person["superior"]]})
    return {person["key"]: (await context_for_user(tenant_id, there[person["key"]])).user for person in people}  # type: ignore[misc]
