"""Mirrors: rows of another system fetched into read-only records, by the clock and by hand. A row is found again by its key, so the same
rows change nothing; what was fetched before is not asked for again where the other system can tell what changed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from saas.db import tenant_transaction
from saas.errors import AppError, Unavailable
from saas.i18n import LazyString, lazy, pick, use_locale
from saas.log import get_logger
from saas.metadata.config import Entity
from saas.metadata.models import ConnectorDef, MirrorDef
from saas.runtime import exchanges, jobs, timers, words
from saas.runtime.acts import Act
from saas.runtime.connectors.asking import NoAnswer, address, ask, connection_in, ensure, is_ready, mode_of
from saas.runtime.connectors.fitting import Lookups, fitted
from saas.runtime.context import Context
from saas.runtime.messages.sms import at as value_at
from saas.runtime.sample_data import is_loading
from saas.runtime.upserts import Loaded, upsert_many
from saas.tenants.integrations import Integration

log = get_logger(__name__)
MOST_PAGES, BATCH = 200, 200
TURN_SECONDS = 30.0  # of fetching among what goes by the clock; what takes longer gets a job of its own
OVERLAP = timedelta(minutes=5)  # asked for again where times are compared: two clocks, and what was being saved there meanwhile
JOB = "pull_mirrors"
BUSY = timedelta(minutes=10)  # real time after which a fetch that died is forgotten
BACK_OFF = (1, 5, 15, 60)  # minutes of the tenant's clock until a failed fetch is tried again
SHOWN_ERRORS = 20
NOT_ROWS = lazy("There is no list of rows where the definition says they stand.")
ODD = lazy("Something unexpected went wrong. The operator of this service can find the details in the log.")
SOME = lazy("Some rows could not be taken.")
TOO_MANY = lazy("The other system names one more page each time; it was stopped.")


@dataclass(slots=True)
class Pulled:
    """What a fetch did. `problems`: rows that could not be taken, and why; `error`: why it ended early."""

    mirror: str
    created: int = 0
    changed: int = 0
    same: int = 0
    problems: list[LazyString] = field(default_factory=list)
    failed: int = 0
    error: LazyString | str = ""
    is_late: bool = False  # its turn was over before the rows were; it begins anew

    @property
    def rows(self) -> int:
        return self.created + self.changed + self.same + self.failed

    @property
    def numbers(self) -> dict[str, Any]:
        return {"mirror": self.mirror, "created": self.created, "changed": self.changed, "same": self.same, "failed": self.failed}

    def to_json(self) -> dict[str, Any]:
        """In words of whoever reads it now."""
        return {**self.numbers, "problems": [str(p) for p in self.problems[:SHOWN_ERRORS]], "error": str(self.error)}

    def to_keep(self, source: str) -> str:
        """JSON whose texts are translated when they are shown; `source`: of whom the kept mark is."""
        return words.clean(json.dumps({**self.numbers, "source": source, "problems": words.to_json(self.problems[:SHOWN_ERRORS]), "error": words.kept(self.error)}, ensure_ascii=False))


class _Taken(Exception):
    """The fetch took so long that another one has begun."""


class _Later(Exception):
    """There is more, and the turn is over."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh a mirror is. `at`: its last fetch that went well, by the tenant's clock; `is_late`: it should be newer. `error` is what
    `words.told` tells, `counts` what the last fetch did, with its problems in words."""

    mirror: MirrorDef
    connector: ConnectorDef
    mode: str
    at: datetime | None
    tried_at: datetime | None
    error: str
    is_late: bool
    counts: Mapping[str, Any]


def is_fed(ctx: Context, entity_key: str) -> bool:
    """Whether records of the entity come from another system. Costs nothing where there are none."""
    return any(m.entity == entity_key for m in ctx.config.bundle.mirrors)


def connector_of(ctx: Context, key: str) -> ConnectorDef:
    return next(c for c in ctx.config.bundle.connectors if c.key == key)


async def freshness_of(conn: Any, ctx: Context, *, entity: str | None = None, connector: str | None = None) -> list[Freshness]:
    """Of the mirrors of an entity, or of a connector."""
    mirrors = [m for m in ctx.config.bundle.mirrors if entity in (None, m.entity) and connector in (None, m.connector)]
    if not mirrors:
        return []
    known = {(r["connector"], r["part"]): r for r in await conn.fetch("SELECT connector, part, at, tried_at, error, counts FROM connector_state WHERE tenant_id = $1", ctx.tenant_id)}
    found = []
    for mirror in mirrors:
        row, owner = known.get((mirror.connector, _part(mirror))), connector_of(ctx, mirror.connector)
        at = row["at"] if row else None
        late = at is None or ctx.now - at > timedelta(minutes=3 * mirror.minutes)
        mode = mode_of(owner, await connection_in(conn, ctx.tenant_id, owner.key))
        found.append(Freshness(mirror, owner, mode, at, row["tried_at"] if row else None, row["error"] if row else "", late, _counts(row["counts"]) if row else {}))
    return found


def _counts(stored: str) -> dict[str, Any]:
    counts = json.loads(stored)
    if counts:
        counts.pop("source", None)
        counts["problems"], counts["error"] = [str(p) for p in words.from_json(counts.get("problems", []))], words.told(str(counts.get("error") or ""))
    return counts


def _part(mirror: MirrorDef) -> str:
    return f"mirror {mirror.key}"


# ---- fetching ----------------------------------------------------------------------------------------------------------


async def pull_connector(ctx: Context, key: str, *, only: Sequence[str] | None = None) -> list[Pulled]:
    """Fetch the mirrors of a connector now, all or `only` some, in the order in which they stand: what others refer to first. `ctx` is
    the system's."""
    found = [await pull(ctx, mirror) for mirror in ctx.config.bundle.mirrors if mirror.connector == key and mirror.active and (only is None or mirror.key in only)]
    return [pulled for pulled in found if pulled is not None]


@dataclass(slots=True)
class _Fetch:
    """A fetch under way. It has the mirror until `held`, a moment that is no other fetch's; `ends`: when its turn is over
    (time.monotonic), `began`: on the real clock."""

    ctx: Context
    connector: ConnectorDef
    found: Integration
    mirror: MirrorDef
    held: datetime
    began: datetime
    ends: float | None
    done: Pulled

    @property
    def place(self) -> tuple[Any, ...]:
        return self.ctx.tenant_id, self.connector.key, _part(self.mirror)

    @property
    def is_live(self) -> bool:
        return mode_of(self.connector, self.found) == "live"

    @property
    def address(self) -> str:
        return str(self.found.settings.get("url") or "") if self.is_live else ""

    @property
    def source(self) -> str:
        """A mark of who answers: enough to see that it is another than before. The address itself is the connection's alone."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:16] if self.is_live else "stub"

    async def go_on(self) -> None:
        """Keep it for another while. Raises _Taken, _Later."""
        if self.ends is not None and time.monotonic() > self.ends:
            raise _Later
        async with tenant_transaction(self.ctx.tenant_id) as conn:
            held = await conn.fetchval(f"UPDATE connector_state SET busy_until = clock_timestamp() + $5::interval {_MINE} RETURNING busy_until", *self.place, self.held, BUSY)
        if held is None:
            raise _Taken
        self.held = held


_MINE = "WHERE tenant_id = $1 AND connector = $2 AND part = $3 AND busy_until = $4"


async def pull(ctx: Context, mirror: MirrorDef, *, ends: float | None = None) -> Pulled | None:
    """Fetch what changed; None when another fetch of it is under way. `ctx` is the system's. `ends` (time.monotonic): no page is asked for
    after that. Never inside a transaction. Errors: Unavailable; whatever is wrong with an answer is noted."""
    ctx = ctx.replace(origin="connector", elevated=True, fixed_now=ctx.now)
    connector, done = connector_of(ctx, mirror.connector), Pulled(mirror.key)
    async with tenant_transaction(ctx.tenant_id) as conn:
        await conn.execute(
            "INSERT INTO connector_state (tenant_id, connector, part) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", ctx.tenant_id, connector.key, _part(mirror)
        )
        state = await conn.fetchrow(
            "UPDATE connector_state SET busy_until = clock_timestamp() + $4::interval WHERE tenant_id = $1 AND connector = $2 AND part = $3 AND (busy_until IS NULL OR busy_until < now()) "
            "RETURNING mark, busy_until, counts->>'source' AS source",
            ctx.tenant_id, connector.key, _part(mirror), BUSY,
        )  # fmt: skip
        if state is None:
            return None
        found = await ensure(conn, ctx, connector, pick(connector.label, ctx.locale))
    fetch, known, mark = _Fetch(ctx, connector, found, mirror, state["busy_until"], ctx.real_now, ends, done), state["mark"], ""
    is_other = state["source"] not in (None, fetch.source, fetch.address)  # the address itself stands in rows written before it was a hash
    if is_other:
        known = ""  # how far the samples got, or a system at another address, says nothing about this one
    if fetch.is_live and not mirror.mark and known > _stamp(fetch.began):
        known = ""  # of a clock that was ahead: what changed there since is not known
    trouble: NoAnswer | None = None
    with use_locale(ctx.locale):
        try:
            mark = await _pages(fetch, known)
        except NoAnswer as error:
            trouble = error
        except _Taken:
            log.warning("connector.taken_over", mirror=mirror.key)
            return None
        except _Later:
            done.is_late = True
            async with tenant_transaction(ctx.tenant_id) as conn:
                await conn.execute(f"UPDATE connector_state SET busy_until = NULL {_MINE}", *fetch.place, fetch.held)
            return done
        except Unavailable:
            raise
        except AppError as error:
            trouble = NoAnswer(words.reason_of(error))
        except Exception:
            log.exception("connector.fetch_failed", mirror=mirror.key)
            trouble = NoAnswer(ODD)
    if trouble is not None:
        done.error = trouble.error
    # What could not be taken must come again; a mark says that everything before it is known.
    kept, source = known if trouble is not None or done.failed else mark or known, fetch.source
    if is_other and trouble is not None and not done.rows:
        kept, source = state["mark"], state["source"]  # an address that never answered: who goes back to the last one goes on there
    return done if await _note(fetch, known, kept, source, trouble) else None


def _stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def _pages(fetch: _Fetch, mark: str) -> str:
    """Fetch page after page and take its rows; returns up to where everything is known then. Raises NoAnswer, _Taken, _Later."""
    ctx, connector, found, mirror, done = fetch.ctx, fetch.connector, fetch.found, fetch.mirror, fetch.done
    newest, query, seen = "", {mirror.since: mark} if mirror.since and mark else {}, set()
    for page in range(MOST_PAGES):
        if page:
            await fetch.go_on()
        content = await ask(ctx, connector, found, "GET", mirror.path, query=query)
        rows = rows_in(content, mirror.rows)
        for start in range(0, len(rows), BATCH):
            await _take(ctx, mirror, rows[start : start + BATCH], done)
        if mirror.mark:
            newest = max((newest, *(words.clean(str(value_at(row, mirror.mark) or "")) for row in rows)))
        following = value_at(content, mirror.next) if mirror.next and isinstance(content, Mapping) else None
        if following in (None, "", False) or not mirror.page or not rows:
            # Other systems know nothing of a workspace whose clock was moved.
            return newest if mirror.mark else _stamp(fetch.began - OVERLAP if fetch.is_live else ctx.now)
        if str(following) in seen:
            raise NoAnswer(TOO_MANY)
        seen.add(str(following))
        query = {**query, mirror.page: following}
    raise NoAnswer(TOO_MANY)


def rows_in(content: Any, path: str | None) -> list[Mapping[str, Any]]:
    """The rows of an answer; a stub's answer is the list itself. Raises NoAnswer."""
    rows = content if isinstance(content, list) else value_at(content, path) if path else None
    if not isinstance(rows, list):
        raise NoAnswer(NOT_ROWS)
    return [row for row in rows if isinstance(row, Mapping)]


async def _take(ctx: Context, mirror: MirrorDef, rows: Sequence[Mapping[str, Any]], done: Pulled) -> None:
    """Each row stands or falls alone, also where it is so odd that the database refuses it. Errors: Unavailable."""
    try:
        taken = await _load(ctx, mirror, rows)
    except Unavailable:
        raise
    except Exception as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            await _take(ctx, mirror, rows[:middle], done)
            await _take(ctx, mirror, rows[middle:], done)
            return
        if not isinstance(error, AppError):
            log.warning("connector.row_failed", mirror=mirror.key, exc_info=True)
        taken = [error if isinstance(error, AppError) else AppError(ODD)]
    for row, result in zip(rows, taken, strict=True):
        if isinstance(result, AppError):
            done.failed += 1
            if len(done.problems) < SHOWN_ERRORS:
                name = words.clean(" ".join(str(value_at(row, mirror.map[k])) for k in mirror.match))[:100]
                done.problems.append(lazy("%(title)s: %(text)s", title=name, text=words.reason_of(result)))
        else:
            setattr(done, result.status, getattr(done, result.status) + 1)


async def _load(ctx: Context, mirror: MirrorDef, rows: Sequence[Mapping[str, Any]]) -> list[Loaded | AppError]:
    entity = ctx.config.entity(mirror.entity)
    rule = next(u for u in entity.defn.unique if set(u.fields) == set(mirror.match) and u.when is None)
    async with tenant_transaction(ctx.tenant_id) as conn:
        lookups = Lookups(Act(conn, ctx))
        return await upsert_many(conn, ctx, entity, rule.key, [await values_of(ctx, entity, mirror, row, lookups) for row in rows])


async def values_of(ctx: Context, entity: Entity, mirror: MirrorDef, row: Mapping[str, Any], lookups: Lookups) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, path in mirror.map.items():
        value = value_at(row, path)
        if key in mirror.lookup:
            found[key] = await lookups.find(entity.fields[key].options["to"], mirror.lookup[key], value) if value not in (None, "") else None
        else:
            found[key] = fitted(ctx, entity, key, value)
    return found


async def _note(fetch: _Fetch, mark: str, kept: str, source: str, trouble: NoAnswer | None) -> bool:
    """`kept`: the mark from now on; `source`: of whom it is. False, and nothing is noted, when another fetch has begun meanwhile."""
    ctx, connector, found, mirror, done, live = fetch.ctx, fetch.connector, fetch.found, fetch.mirror, fetch.done, fetch.is_live
    async with tenant_transaction(ctx.tenant_id) as conn:
        # A fetch that failed is tried again soon, and later and later, but never later than it would come anyway.
        attempts = await conn.fetchval("SELECT attempts FROM connector_state WHERE tenant_id = $1 AND connector = $2 AND part = $3", ctx.tenant_id, connector.key, _part(mirror))
        wait = min(BACK_OFF[min(attempts, len(BACK_OFF) - 1)], mirror.minutes) if trouble else mirror.minutes
        is_mine = await conn.fetchval(
            "UPDATE connector_state SET busy_until = NULL, tried_at = $5::timestamptz, at = CASE WHEN $6 THEN $5::timestamptz ELSE at END, again_at = $5::timestamptz + $7::interval, "
            f"attempts = CASE WHEN $6 THEN 0 ELSE attempts + 1 END, mark = $8, error = $9, counts = $10::jsonb {_MINE} RETURNING true",
            *fetch.place, fetch.held, ctx.now, trouble is None, timedelta(minutes=wait), kept, words.kept(done.error or (done.problems[0] if done.problems else "")), done.to_keep(source),
        )  # fmt: skip
        if not is_mine:
            log.warning("connector.taken_over", mirror=mirror.key)
            return False
        asked = "GET " + address(fetch.address, mirror.path, {mirror.since: mark} if mirror.since and mark else {})
        await exchanges.note(
            conn, ctx.tenant_id, found.id, direction="out", event=mirror.key, status="done" if trouble is None else "failed", request=asked,
            answer=json.dumps(done.to_json(), ensure_ascii=False) if trouble is None else trouble.reply, http_status=trouble.status if trouble else 200 if live else None,
            error=words.kept(done.error or (SOME if done.failed else "")),
        )  # fmt: skip
        if trouble is None and live:
            await exchanges.succeeded(conn, ctx.tenant_id, found)
    if trouble is not None and live:
        await exchanges.failed(ctx.tenant_id, found)
    return True


# ---- by the clock ------------------------------------------------------------------------------------------------------


async def _due(ctx: Context) -> list[MirrorDef]:
    mirrors = [m for m in ctx.config.bundle.mirrors if m.active]
    if not mirrors:
        return []
    async with tenant_transaction(ctx.tenant_id, only_reads=True) as conn:
        known = {(r["connector"], r["part"]): r for r in await conn.fetch("SELECT connector, part, tried_at, again_at, busy_until > now() AS busy FROM connector_state WHERE tenant_id = $1", ctx.tenant_id)}
        # Somebody, or the clock, has asked for it: it waits for its turn, or is under way.
        asked = {r["connector"] for r in await conn.fetch("SELECT payload->>'connector' AS connector FROM job WHERE tenant_id = $1 AND kind = $2 AND status IN ('queued', 'running')", ctx.tenant_id, JOB)}
        ready = {}
        for key in {m.connector for m in mirrors}:
            connector = connector_of(ctx, key)
            ready[key] = key not in asked and is_ready(connector, await connection_in(conn, ctx.tenant_id, key))
    found = []
    for mirror in mirrors:
        row = known.get((mirror.connector, _part(mirror)))
        waits = row is not None and (row["busy"] or (row["again_at"] is not None and row["tried_at"] <= ctx.now < row["again_at"]))  # a clock put back waits for nothing
        if ready[mirror.connector] and not waits:
            found.append(mirror)
    return found


async def _is_due(ctx: Context) -> bool:
    return bool(await _due(ctx))


async def _run_timed(ctx: Context) -> list[timers.Ran]:
    if await is_loading(ctx):
        return []
    ran, late, ends = [], [], time.monotonic() + TURN_SECONDS
    for mirror in await _due(ctx):
        if time.monotonic() > ends:
            late.append(mirror)
            continue
        done = await pull(ctx, mirror, ends=ends)
        if done is not None and done.is_late:
            late.append(mirror)
        elif done is not None:
            errors = [str(p) for p in done.problems] + ([str(done.error)] if done.error else [])
            ran.append(timers.Ran("mirror", mirror.key, ctx.now, done.rows, done.created + done.changed + done.same, done.failed, errors))
    if late:
        async with tenant_transaction(ctx.tenant_id) as conn:
            for key in dict.fromkeys(m.connector for m in late):
                await jobs.enqueue(conn, ctx, JOB, {"connector": key, "mirrors": [m.key for m in late if m.connector == key]}, priority=jobs.SCHEDULED)
    return ran


async def _next_moment(ctx: Context, until: datetime) -> datetime | None:
    """None: what another system has does not change because our clock is moved; it is fetched where the move ends."""
    return None


timers.register("connectors", timers.Timer(_is_due, _run_timed, _next_moment))
