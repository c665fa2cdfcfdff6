"""Hard borders inside a company: a record belongs to a segment, and only its people see it, whatever their roles say otherwise."""

from __future__ import annotations

from saas.metadata.config import Entity
from saas.runtime.context import Context
from saas.runtime.sql import RecordScope, field_sql, storage_of


def isolates(ctx: Context, entity: Entity) -> bool:
    """Whether segments keep anything of this entity from the person."""
    if entity.defn.segment_field is None or ctx.unrestricted or ctx.user is None:
        return False
    roles = [ctx.config.roles[key] for key in ctx.user.role_keys if key in ctx.config.roles]
    return not any(role.admin or role.key in entity.defn.segment_roles for role in roles)


def within_sql(scope: RecordScope) -> str:
    """Condition: the record is in a segment of the person; "true" where no border is. What has no segment is for those who cross them."""
    ctx, entity = scope.ctx, scope.entity
    if not isolates(ctx, entity):
        return "true"
    field = entity.fields[entity.defn.segment_field or ""]
    column = "record_id" if storage_of(scope.config, field) == "uuid" else "option_key"
    mine = f"SELECT g.{column} FROM user_segment g WHERE g.tenant_id = {scope.param(ctx.tenant_id, 'uuid')} AND g.user_id = {scope.param(ctx.user_id, 'uuid')}"
    return f"coalesce({field_sql(scope.config, entity, field, scope.alias)} = ANY(ARRAY({mine})), false)"
