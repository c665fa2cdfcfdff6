"""Which records are shared with a person, as an SQL condition."""

from __future__ import annotations

from saas.runtime.context import Context
from saas.runtime.sql import RecordScope

EDIT = "edit"


def subjects_of(ctx: Context) -> list[str]:
    """What a share can name so that it means this person."""
    user = ctx.user
    if user is None:
        return []
    return [f"user:{user.id}", *(f"dept:{i}" for i in user.department_ids), *(f"role:{key}" for key in user.role_keys)]


def shared_sql(scope: RecordScope, *, edit: bool = False, subjects: list[str] | None = None) -> str:
    """Condition: the record is shared with the person now, to be changed if `edit`; "false" where the entity knows no sharing.

    The ids are gathered first, by index, so that the records are looked up by theirs: no list reads a whole tenant for it."""
    ctx = scope.ctx
    wanted = subjects_of(ctx) if subjects is None else subjects
    if not scope.entity.defn.sharing or not wanted:
        return "false"
    scope.statement.is_of_moment = True
    level = f" AND s.level = {scope.param(EDIT, 'text')}" if edit else ""
    return (
        f"{scope.alias}.id = ANY(ARRAY(SELECT s.record_id FROM record_share s WHERE s.tenant_id = {scope.param(ctx.tenant_id, 'uuid')} AND s.entity_id = {scope.entity.number} "
        f"AND s.subject = ANY({scope.param(wanted, 'text[]')}) AND (s.until IS NULL OR s.until > {scope.param(ctx.now, 'timestamptz')}){level}))"
    )
