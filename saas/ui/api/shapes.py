"""JSON shapes of the API: how records, changes and configuration are written."""

from __future__ import annotations

from typing import Any

from saas.i18n import pick
from saas.metadata.config import Entity
from saas.runtime import Context, permissions
from saas.runtime import operations as ops
from saas.runtime.said import moment as moment  # the same everywhere


def record(found: ops.Record) -> dict[str, Any]:
    """`can.transitions` are keys; `can.offers` say more about each."""
    shape: dict[str, Any] = {
        "id": str(found.id), "entity": found.entity, "version": found.version, "title": found.title,
        "created_at": moment(found.created_at), "created_by": _id(found.created_by),
        "updated_at": moment(found.updated_at), "updated_by": _id(found.updated_by),
        "owner": _id(found.owner), "department": _id(found.department),
        "values": found.values, "display": found.display,
    }  # fmt: skip
    if found.state is not None:
        shape["state"] = found.state
        shape["state_since"] = moment(found.state_since)
    if found.deleted_at is not None:
        shape["deleted_at"] = moment(found.deleted_at)
    if found.can is not None:
        shape["can"] = {
            "update": found.can.update, "delete": found.can.delete, "claim": found.can.claim, "assign": found.can.assign, "release": found.can.release, "share": found.can.share, "pool": found.can.pool,
            "transitions": [t.key for t in found.can.transitions],
            "offers": [
                {"key": t.key, "label": t.label, "to": t.to, "style": t.style, "confirm": t.confirm, "missing": list(t.missing), "ask": list(t.ask)}
                for t in found.can.transitions
            ],
            "buttons": [{"key": b.key, "label": b.label, "style": b.style, "confirm": b.confirm} for b in found.can.buttons],
        }  # fmt: skip
    return shape


def _id(value: Any) -> str | None:
    return str(value) if value else None


def change(found: ops.Change) -> dict[str, Any]:
    return {"record": record(found.record) if found.record else None, "effects": found.effects, "warnings": found.warnings, "message": found.message}


def history(entries: list[ops.HistoryEntry], limit: int) -> dict[str, Any]:
    data = [
        {"id": e.id, "at": moment(e.at), "kind": e.kind, "actor_id": _id(e.actor_id), "actor": e.actor, "origin": e.origin,
         "transition": e.transition, "changes": e.changes}
        for e in entries
    ]  # fmt: skip
    return {"data": data, "next": entries[-1].id if len(entries) == limit else None}


def aggregate(rows: list[ops.AggregateRow], asked: ops.Aggregate) -> dict[str, Any]:
    """Each row by name (`dimensions`, `labels`, `measures`) and in order (`keys`, `values`)."""
    names = [m.fn if m.field is None else f"{m.fn}({m.field})" for m in asked.measures]
    return {
        "rows": [
            {
                "dimensions": dict(zip((d.field for d in asked.dimensions), row.keys, strict=True)),
                "labels": dict(zip((d.field for d in asked.dimensions), row.labels, strict=True)),
                "measures": dict(zip(names, row.values, strict=True)),
                "keys": row.keys,
                "values": row.values,
            }
            for row in rows
        ]
    }


def entity_summary(ctx: Context, entity: Entity) -> dict[str, Any]:
    return {
        "key": entity.key, "label": pick(entity.defn.label, ctx.locale), "plural": pick(entity.defn.plural, ctx.locale), "icon": entity.defn.icon,
        "title": entity.defn.title, "owned": entity.defn.owned, "read_only": entity.defn.read_only,
        "can": {right: permissions.may(ctx, right, entity.key) for right in ("read", "create", "update", "delete", "export", "import", "bulk", "merge")},
    }  # fmt: skip
