"""Sample data of a pack, put in through the one door as the people it names, at the times it names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import AppError
from saas.log import get_logger
from saas.runtime import operations as ops
from saas.runtime.context import Context, User
from saas.runtime.door import execute
from saas.tenants import list_departments
from saas.tenants.plans import USUAL

log = get_logger(__name__)
_WHEN = re.compile(r"^([+-]?\d+)d(?: (\d{2}):(\d{2}))?$")
BATCH = 250
NEWS_DAYS = 4


class Sample:
    """Loads one sample.json for a tenant. `users`: {sample key: User}; `base`: a system context of the tenant. `lenient`: what a rule refuses
    is left out, with all that follows from it; else it is an error."""

    def __init__(self, base: Context, users: Mapping[str, User], *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.base, self.users = base.replace(tenant=replace(base.tenant, plan_key=USUAL, limit_overrides={})), users  # no plan refuses its own example
        self.start = base.now
        self.ids: dict[str, UUID] = {}
        self.departments: dict[str, str] = {}  # id by key
        self._made: list[tuple[str, UUID, str]] = []  # entity, id, sample key: not marked yet

    async def load(self, records: Sequence[Mapping[str, Any]], progress: Any = None, *, keep: Any = None, skip: int = 0) -> int:
        """Create the records with their steps, oldest act first. Returns how many operations were run.

        `keep(conn, done, total)` is called inside each batch's transaction; `skip` operations were done by an earlier attempt, which
        began at the same moment.
        """
        if skip:
            await self._remember()
        self.departments = {str(d["key"]): str(d["id"]) for d in await list_departments(self.base.tenant_id)}
        acts = sorted(
            ((self.moment(step["at"]), position, index, record, step) for position, record in enumerate(records) for index, step in enumerate(_steps(record))),
            key=lambda a: (a[0], a[1], a[2]),
        )
        acts = _parents_first(acts)
        # Not in one transaction: it could not prune the versions its own counters and rollups leave behind, and slows to a crawl.
        for begin in range(skip, len(acts), BATCH):
            async with tenant_transaction(self.base.tenant_id) as conn:
                for at, _position, _index, record, step in acts[begin : begin + BATCH]:
                    await self._run(at, record, step)
                await self._mark(conn)
                if keep:
                    await keep(conn, min(begin + BATCH, len(acts)), len(acts))
            if progress:
                progress(min(begin + BATCH, len(acts)), len(acts))
        await self._read_old_news()
        return len(acts)

    async def _remember(self) -> None:
        async with tenant_transaction(self.base.tenant_id) as conn:
            rows = await conn.fetch("SELECT record_id, sample_key FROM sample_record WHERE tenant_id = $1 AND sample_key <> ''", self.base.tenant_id)
        self.ids = {row["sample_key"]: row["record_id"] for row in rows}

    async def _mark(self, conn: Any) -> None:
        """What was made, also by automations, is known as sample data for ever."""
        made, self._made = self._made, []
        rows = [(self.base.config.entity(entity).number, record_id, key) for entity, record_id, key in made]
        if rows:
            await conn.execute(
                "INSERT INTO sample_record (tenant_id, entity_id, record_id, sample_key, loaded_at) "
                "SELECT $1, e, r, k, $5 FROM unnest($2::int[], $3::uuid[], $4::text[]) AS n (e, r, k) ON CONFLICT DO NOTHING",
                self.base.tenant_id, *(list(column) for column in zip(*rows, strict=True)), self.start,
            )  # fmt: skip

    async def _read_old_news(self) -> None:
        """Nobody leaves a year of notifications unread."""
        async with tenant_transaction(self.base.tenant_id) as conn:
            await conn.execute(
                "UPDATE notification SET read_at = created_at WHERE tenant_id = $1 AND read_at IS NULL AND created_at < $2",
                self.base.tenant_id, self.base.now - timedelta(days=NEWS_DAYS),
            )  # fmt: skip

    async def _run(self, at: datetime, record: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        ctx = self.base.replace(user=self.users[step["by"]] if step.get("by") else None, origin="sample", fixed_now=at)
        entity = record["entity"]
        try:
            values = {k: self.value(v) for k, v in (step.get("values") or step.get("update") or {}).items()}
            if "transition" in step:
                change = await execute(ctx, ops.Transition(entity=entity, id=self.ids[record["key"]], key=step["transition"], values=values, brief=True))
            elif "update" in step:
                change = await execute(ctx, ops.Update(entity=entity, id=self.ids[record["key"]], values=values, confirm_duplicates=True, brief=True))
            else:
                change = await execute(ctx, ops.Create(entity=entity, values=values, confirm_duplicates=True, brief=True))
                created = next(e["id"] for e in change.effects if e["action"] == "create" and e["entity"] == entity)
                if record.get("key"):
                    self.ids[record["key"]] = UUID(created)
                self._made.append((entity, UUID(created), record.get("key") or ""))
            self._made += [(e["entity"], UUID(e["id"]), "") for e in change.effects if e["action"] == "create"]
        except (AppError, KeyError) as error:
            if not self.lenient:
                raise self._named(error, record, step) from error
            log.info("sample.left_out", entity=entity, key=record.get("key"))
        except Exception as error:
            raise self._named(error, record, step) from error

    @staticmethod
    def _named(error: Exception, record: Mapping[str, Any], step: Mapping[str, Any]) -> RuntimeError:
        """Which record it was."""
        problems = "; ".join(f"{p.field}: {p.message}" for p in getattr(error, "problems", ()))
        act = step.get("transition") or ("update" if "update" in step else "create")
        return RuntimeError(f"sample record {record.get('key')!r} ({record['entity']}, {act} by {step.get('by')}): {error} {problems}")

    def moment(self, text: str) -> datetime:
        """ "-420d 09:30" in the tenant's time zone; without a time, nine in the morning."""
        match = _WHEN.match(text)
        if not match:
            raise ValueError(f"{text!r} is not a time such as -420d 09:30")
        day = self.base.today + timedelta(days=int(match[1]))
        clock = time(int(match[2] or 9), int(match[3] or 0))
        return min(datetime.combine(day, clock, self.base.zone).astimezone(UTC), self.start)

    def day(self, text: str) -> date:
        return self.base.today + timedelta(days=int(_WHEN.match(text)[1]))

    def value(self, value: Any) -> Any:
        """Resolve "@date:…", "@datetime:…", "@dept:…", "@user" and "@record"."""
        if isinstance(value, list):
            return [self.value(v) for v in value]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        kind, _, rest = value[1:].partition(":")
        if kind == "date" and rest:
            return self.day(rest).isoformat()
        if kind == "datetime" and rest:
            match = _WHEN.match(rest)
            day = self.base.today + timedelta(days=int(match[1]))
            moment = datetime.combine(day, time(int(match[2] or 9), int(match[3] or 0)), self.base.zone)
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if kind == "dept" and rest:
            return self.departments[rest]
        name = value[1:]
        if name in self.users:
            return str(self.users[name].id)
        return str(self.ids[name])


def _steps(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    first = {"at": record["at"], "by": record.get("by"), "values": record.get("values", {})}
    return [first, *record.get("steps", ())]


def _parents_first(acts: list[Any]) -> list[Any]:
    """Acts by time, but a record never before the records its values name, and steps never before their record."""
    creation = {a[3].get("key"): a[0] for a in acts if a[2] == 0 and a[3].get("key")}
    shifted, last = [], {}
    for at, position, index, record, step in sorted(acts, key=lambda a: (a[1], a[2])):
        names = [v[1:] for v in (step.get("values") or step.get("update") or {}).values() if isinstance(v, str) and v.startswith("@")]
        floor = [creation[n] for n in names if n in creation]
        at = max([at, *floor, *([last[position]] if index else [])])
        last[position] = at
        if index == 0 and record.get("key"):
            creation[record["key"]] = at
        shifted.append((at, position, index, record, step))
    return sorted(shifted, key=lambda a: (a[0], a[1], a[2]))
