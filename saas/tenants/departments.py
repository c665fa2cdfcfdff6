"""The organisation of a tenant: a tree of departments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from saas.db import tenant_transaction
from saas.errors import Conflict, FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit
from saas.tenants.ids import new_id


async def list_departments(tenant_id: UUID) -> list[dict[str, Any]]:
    """All departments, parents before children, with `depth` (0 = top) and `name` as a label map."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "WITH RECURSIVE tree AS ("
            " SELECT d.*, 0 AS depth, ARRAY[d.position, 0] || ARRAY[d.position] AS path, ARRAY[d.key] AS keys"
            "  FROM department d WHERE d.tenant_id = $1 AND d.parent_id IS NULL"
            " UNION ALL SELECT c.*, t.depth + 1, t.path || c.position, t.keys || c.key"
            "  FROM department c JOIN tree t ON c.parent_id = t.id WHERE c.tenant_id = $1"
            ") SELECT id, key, name, parent_id, position, depth, head_id, "
            "(SELECT h.name FROM app_user h WHERE h.tenant_id = $1 AND h.id = tree.head_id) AS head, "
            "(SELECT count(*) FROM user_department u WHERE u.tenant_id = $1 AND u.department_id = tree.id)::int AS people "
            "FROM tree ORDER BY path, keys",
            tenant_id,
        )
    return [{**dict(row), "name": json.loads(row["name"])} for row in rows]


async def create_department(
    tenant_id: UUID,
    key: str,
    name: Mapping[str, str],
    *,
    parent_key: str | None = None,
    position: int = 0,
    actor_id: UUID | None = None,
) -> UUID:
    """Add a department below `parent_key`. Errors: Conflict (key taken), InvalidInput (no such parent)."""
    department_id = new_id()
    async with tenant_transaction(tenant_id) as conn:
        parent_id = None
        if parent_key is not None:
            parent_id = await conn.fetchval("SELECT id FROM department WHERE tenant_id = $1 AND key = $2", tenant_id, parent_key)
            if parent_id is None:
                raise InvalidInput([FieldProblem("parent", "unknown", lazy("There is no such department"))])
        try:
            async with conn.transaction():
                await conn.execute(
                    "INSERT INTO department (tenant_id, id, key, name, parent_id, position) VALUES ($1, $2, $3, $4::jsonb, $5, $6)",
                    tenant_id, department_id, key, json.dumps(dict(name)), parent_id, position,
                )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(lazy("There is a department %(key)s already", key=key)) from error
        await record_audit(conn, tenant_id, "department.created", actor_id=actor_id, target=key)
    return department_id


async def update_department(
    tenant_id: UUID,
    department_id: UUID,
    *,
    name: Mapping[str, str] | None = None,
    parent_id: UUID | None = None,
    move: bool = False,
    position: int | None = None,
    head_id: UUID | None = None,
    set_head: bool = False,
    actor_id: UUID | None = None,
) -> None:
    """Rename, reorder, with `move` put below `parent_id` (None: to the top), with `set_head` give another head (None: none).
    Errors: NotFound, InvalidInput for a cycle or a head who is not there."""
    async with tenant_transaction(tenant_id) as conn:
        # One change of the tree at a time: two moves at once could close a circle that neither sees.
        await conn.fetch("SELECT id FROM department WHERE tenant_id = $1 ORDER BY id FOR UPDATE", tenant_id)
        if move and parent_id is not None:
            below = await conn.fetch(
                "WITH RECURSIVE below AS (SELECT id FROM department WHERE tenant_id = $1 AND id = $2 "
                "UNION SELECT c.id FROM department c JOIN below b ON c.parent_id = b.id WHERE c.tenant_id = $1) SELECT id FROM below",
                tenant_id, department_id,
            )
            if parent_id in {row["id"] for row in below}:
                message = lazy("A department cannot stand below itself")
                raise InvalidInput([FieldProblem("parent", "cycle", message)])
        if set_head and head_id is not None and not await conn.fetchval("SELECT status = 'active' FROM app_user WHERE tenant_id = $1 AND id = $2", tenant_id, head_id):
            raise InvalidInput([FieldProblem("head", "unknown_user", lazy("Choose one of the people offered."))])
        try:
            async with conn.transaction():
                found = await conn.fetchval(
                    "UPDATE department SET name = COALESCE($3::jsonb, name), position = COALESCE($4, position), "
                    "parent_id = CASE WHEN $5 THEN $6 ELSE parent_id END, head_id = CASE WHEN $7 THEN $8 ELSE head_id END WHERE tenant_id = $1 AND id = $2 RETURNING key",
                    tenant_id, department_id, json.dumps(dict(name)) if name is not None else None, position, move, parent_id, set_head, head_id,
                )
        except asyncpg.ForeignKeyViolationError as error:
            raise InvalidInput([FieldProblem("parent", "unknown", lazy("There is no such department"))]) from error
        if found is None:
            raise NotFound()
        await record_audit(conn, tenant_id, "department.changed", actor_id=actor_id, target=found)


async def delete_department(tenant_id: UUID, department_id: UUID, *, actor_id: UUID | None = None) -> None:
    """Remove an empty department. Errors: Conflict if people or departments are in it, NotFound."""
    async with tenant_transaction(tenant_id) as conn:
        used = await conn.fetchval(
            "SELECT EXISTS (SELECT 1 FROM user_department WHERE tenant_id = $1 AND department_id = $2) "
            "OR EXISTS (SELECT 1 FROM department WHERE tenant_id = $1 AND parent_id = $2)",
            tenant_id, department_id,
        )
        if used:
            raise Conflict(lazy("This department still has people or departments in it"))
        key = await conn.fetchval(
            "DELETE FROM department WHERE tenant_id = $1 AND id = $2 RETURNING key", tenant_id, department_id
        )
        if key is None:
            raise NotFound()
        await record_audit(conn, tenant_id, "department.deleted", actor_id=actor_id, target=key)


async def replace_head(tenant_id: UUID, old: UUID, new: UUID | None, *, only: list[UUID] | None = None) -> list[UUID]:
    """Departments led by one person are led by another from now on (`only`: these of them); returns which."""
    async with tenant_transaction(tenant_id) as conn:
        rows = await conn.fetch(
            "UPDATE department SET head_id = $3 WHERE tenant_id = $1 AND head_id = $2 AND ($4::uuid[] IS NULL OR id = ANY($4)) RETURNING id", tenant_id, old, new, only
        )
    return [row["id"] for row in rows]
