"""What an approval has to know of the organisation: superiors, heads, people with roles. Active people only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from saas.metadata.config import Entity
from saas.metadata.kinds import field_types
from saas.metadata.models import ApprovalStepDef
from saas.runtime.approvals.path import Org
from saas.runtime.context import Context
from saas.runtime.rows import Row

MAX_LEVELS = 10

# The department of a person and those above it, the nearest first, with heads who are still there.
_HEADS = (
    "WITH RECURSIVE up AS ("
    " SELECT d.id, d.parent_id, d.head_id, 0 AS depth FROM department d WHERE d.tenant_id = $1 AND d.id = ("
    "  SELECT u.department_id FROM user_department u WHERE u.tenant_id = $1 AND u.user_id = $2 ORDER BY u.is_primary DESC LIMIT 1)"
    " UNION ALL SELECT p.id, p.parent_id, p.head_id, up.depth + 1 FROM department p JOIN up ON p.id = up.parent_id WHERE p.tenant_id = $1 AND up.depth < 20"
    ") SELECT up.head_id FROM up JOIN app_user h ON h.tenant_id = $1 AND h.id = up.head_id WHERE h.status = 'active' ORDER BY up.depth"
)


async def organisation(conn: Any, ctx: Context, entity: Entity, row: Row, steps: Iterable[ApprovalStepDef], applicant: UUID | None) -> Org:
    """As far as the steps ask about it."""
    steps = list(steps)
    approvers = [a for step in steps for a in step.approvers]
    wants_superior = max((a.level for a in approvers if a.by == "superior"), default=0) or any(s.if_applicant == "superior" for s in steps)
    roles = {a.role for a in approvers if a.by == "role" and a.role} | {s.fallback for s in steps if s.fallback}
    fields = {a.field for a in approvers if a.by == "field" and a.field in entity.fields}
    return Org(
        superiors=await superiors(conn, ctx, applicant, max(int(wants_superior), 1)) if wants_superior else (),
        heads=await heads(conn, ctx, applicant) if any(a.by == "head" for a in approvers) else (),
        roles=await people_with_roles(conn, ctx, roles),
        departments=await _department_heads(conn, ctx, [a.department for a in approvers if a.by == "department" and a.department]),
        fields={key: await _in_field(conn, ctx, entity, row, key) for key in fields if key},
        people=await _by_address(conn, ctx, [a.person.lower() for a in approvers if a.by == "person" and a.person]),
    )


async def superiors(conn: Any, ctx: Context, person: UUID | None, levels: int) -> list[UUID]:
    """Those above a person, the next one first: their superior, or where none is set or active the head of their department, or of one above it."""
    found: list[UUID] = []
    while person is not None and len(found) < min(levels, MAX_LEVELS):
        above = await conn.fetchval(
            "SELECT s.id FROM app_user u JOIN app_user s ON s.tenant_id = u.tenant_id AND s.id = u.superior_id WHERE u.tenant_id = $1 AND u.id = $2 AND s.status = 'active'",
            ctx.tenant_id, person,
        )  # fmt: skip
        if above is None:
            above = next((head for head in await heads(conn, ctx, person) if head != person), None)
        if above is None or above in found:
            break
        found.append(above)
        person = above
    return found


async def heads(conn: Any, ctx: Context, person: UUID | None) -> list[UUID]:
    """Heads of the person's department and of those above it, the nearest first."""
    if person is None:
        return []
    return list(dict.fromkeys(r[0] for r in await conn.fetch(_HEADS, ctx.tenant_id, person)))


async def people_with_roles(conn: Any, ctx: Context, roles: Iterable[str]) -> dict[str, tuple[UUID, ...]]:
    found: dict[str, tuple[UUID, ...]] = {}
    wanted = list(roles)
    if wanted:
        for row in await conn.fetch(
            "SELECT r.role_key, u.id FROM app_user u JOIN user_role r ON r.tenant_id = u.tenant_id AND r.user_id = u.id "
            "WHERE u.tenant_id = $1 AND r.role_key = ANY($2::text[]) AND u.status = 'active' ORDER BY u.id",
            ctx.tenant_id, wanted,
        ):  # fmt: skip
            found[row["role_key"]] = (*found.get(row["role_key"], ()), row["id"])
    return found


async def administrators(conn: Any, ctx: Context) -> list[UUID]:
    """Who decides where nobody else can."""
    found = await people_with_roles(conn, ctx, [role.key for role in ctx.config.roles.values() if role.admin])
    return list(dict.fromkeys(person for people in found.values() for person in people))


async def active(conn: Any, ctx: Context, people: Iterable[UUID]) -> list[UUID]:
    """Those of the people who are there and active, in their order."""
    wanted = list(dict.fromkeys(people))
    there = {r[0] for r in await conn.fetch("SELECT id FROM app_user WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'active'", ctx.tenant_id, wanted)}
    return [p for p in wanted if p in there]


async def _department_heads(conn: Any, ctx: Context, keys: list[str]) -> dict[str, UUID]:
    if not keys:
        return {}
    rows = await conn.fetch(
        "SELECT d.key, d.head_id FROM department d JOIN app_user h ON h.tenant_id = d.tenant_id AND h.id = d.head_id "
        "WHERE d.tenant_id = $1 AND d.key = ANY($2::text[]) AND h.status = 'active'",
        ctx.tenant_id, keys,
    )  # fmt: skip
    return {r["key"]: r["head_id"] for r in rows}


async def _in_field(conn: Any, ctx: Context, entity: Entity, row: Row, key: str) -> list[UUID]:
    """The people a field names; the head of the department it names."""
    declared, value = entity.fields[key], row.get(key)
    kind = field_types.get(declared.type)
    ids = [UUID(str(v)) for v in (value if isinstance(value, list) else [value]) if v]
    if kind.holds == "dept":
        rows = await conn.fetch("SELECT head_id FROM department WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND head_id IS NOT NULL", ctx.tenant_id, ids)
        ids = [r[0] for r in rows]
    return await active(conn, ctx, ids) if ids and kind.holds in ("user", "dept") else []


async def _by_address(conn: Any, ctx: Context, addresses: list[str]) -> dict[str, UUID]:
    if not addresses:
        return {}
    rows = await conn.fetch("SELECT lower(email) AS email, id FROM app_user WHERE tenant_id = $1 AND lower(email) = ANY($2::text[]) AND status = 'active'", ctx.tenant_id, addresses)
    return {r["email"]: r["id"] for r in rows}
