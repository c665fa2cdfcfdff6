"""Looking for records that may be the same among all of an entity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.i18n import lazy
from saas.runtime import twins
from saas.runtime.jobs import JobKind, JobRun, job_kinds
from saas.runtime.records import entity_of
from saas.runtime.rows import Projection
from saas.runtime.sql import RecordScope, Statement

BATCH = 200


@job_kinds.register
class FindTwins(JobKind):
    """State: the last record looked at, how many were, and how many pairs were found. A search among all records (without `since`) takes the place of
    the former report; one among what was changed adds to it."""

    key = "find_twins"
    label = lazy("Search for duplicates")

    async def run(self, job: JobRun) -> Mapping[str, Any]:
        ctx = job.ctx.replace(elevated=True)
        entity = entity_of(ctx, job.payload["entity"])
        matchers = [(rule.key, matcher) for rule, matcher in twins.own_rules(ctx.config, entity) if matcher.target == entity.key]
        state = dict(job.state) or {"after": None, "looked_at": 0, "found": 0}
        total = state.get("total")
        since = datetime.fromisoformat(job.payload["since"]) if job.payload.get("since") else None
        while matchers:
            async with tenant_transaction(ctx.tenant_id) as conn:
                if total is None:
                    if since is None:
                        await conn.execute("DELETE FROM twin_pair WHERE tenant_id = $1 AND entity_id = $2", ctx.tenant_id, entity.number)
                    counted = f"SELECT count(*) FROM record WHERE entity_id = {entity.number} AND deleted_at IS NULL AND ($1::timestamptz IS NULL OR updated_at >= $1)"
                    total = await conn.fetchval(counted, since)
                statement = Statement(ctx)
                scope = RecordScope(statement, entity, "t")
                projection = Projection(scope, {part.own for _, matcher in matchers for part in matcher.parts})
                beyond = f"AND t.id > {scope.param(UUID(state['after']), 'uuid')}" if state["after"] else ""
                if since is not None:
                    beyond += f" AND t.updated_at >= {scope.param(since, 'timestamptz')}"
                sql = f"SELECT {projection.sql} FROM record t WHERE t.entity_id = {entity.number} AND t.deleted_at IS NULL {beyond} ORDER BY t.id LIMIT {BATCH}"
                rows = projection.rows(await conn.fetch(*statement.finish(sql)))
                pairs = [(row.id, hit.row.id, key, hit.score) for row in rows for key, matcher in matchers for hit in await twins.found_twins(conn, ctx, matcher, row)]
                if since is not None and rows:
                    await twins.forget_pairs(conn, ctx, entity, [row.id for row in rows])
                await twins.keep_pairs(conn, ctx, entity, pairs)
                state = {"after": str(rows[-1].id) if rows else state["after"], "looked_at": state["looked_at"] + len(rows), "found": state["found"] + len(pairs) // 2, "total": total}
                await job.checkpoint(conn, done=state["looked_at"], total=total, state=state)
            if len(rows) < BATCH:
                break
        return {"looked_at": state["looked_at"], "found": state["found"]}
