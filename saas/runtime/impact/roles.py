"""Roles that go or give less, and the people who hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saas.i18n import LazyLabel, lazy, lazy_plural
from saas.metadata import models as m
from saas.runtime import permissions
from saas.runtime.context import Context, User
from saas.runtime.impact._shared.model import SAMPLES, Impact, ImpactKind, Severity, impact_kinds
from saas.runtime.impact._shared.survey import Survey

# What a scope includes besides itself and "none".
INCLUDES = {
    "all": {"own", "assigned", "participant", "team", "dept", "dept_tree", "portal_self"}, "dept_tree": {"dept", "own"}, "dept": {"own"}, "team": {"own"},
    "participant": {"own", "assigned"},
}  # fmt: skip
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Person:
    id: UUID
    name: str
    roles: frozenset[str]
    later: frozenset[str]  # those of them that are left, with what data steps give instead


@impact_kinds.register
class Roles(ImpactKind):
    """Data steps {"do": "role", "from", "to"} give the people of a role another one."""

    key = "roles"
    first = True
    may_stop = True

    async def measure(self, survey: Survey) -> Iterable[Impact]:
        if survey.before.roles == survey.after.roles:
            return []
        people = await _people(survey)
        return [*_removed(survey, people), *_shrunk(survey, people), *_locked_out(survey, people)]


async def _people(survey: Survey) -> list[_Person]:
    rows = await survey.rows(
        "SELECT u.id, u.name, array(SELECT r.role_key FROM user_role r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.id) "
        "FROM app_user u WHERE u.tenant_id = $1 AND u.status = 'active' ORDER BY u.name, u.id",
        survey.ctx.tenant_id,
    )
    return [_Person(r[0], r[1], frozenset(r[2]), frozenset(later_roles(r[2], survey.data) & set(survey.after.roles))) for r in rows]


def later_roles(roles: Iterable[str], data: Sequence[Any]) -> set[str]:
    """A person's roles after the data steps."""
    found = set(roles)
    for step in data:
        if step.get("do") == "role" and step.get("from") in found:
            found -= {step["from"]}
            found |= {step["to"]} if step.get("to") else set()
    return found


def _impact(survey: Survey, code: str, path: str, message: Any, people: Sequence[_Person], everybody: int, *, severity: Severity = "warn", remedies: Any = ()) -> Impact:
    may_open = permissions.may_configure(survey.ctx, "users")
    samples = [
        {"id": str(p.id), "title": p.name, "url": f"/settings/users/{p.id}" if may_open else "", "value": ", ".join(sorted(p.roles))} for p in people[:SAMPLES]
    ]
    return Impact(code, path, "", None, message, len(people), looked_at=everybody, total=everybody, samples=tuple(samples), severity=severity, remedies=tuple(remedies))


def _removed(survey: Survey, people: Sequence[_Person]) -> Iterator[Impact]:
    for key, role in survey.before.roles.items():
        if key in survey.after.roles or not survey.is_gone(f"roles[{key}]"):
            continue
        name, path = LazyLabel(role.label), f"roles[{key}]"
        holders = [p for p in people if key in p.roles]
        stranded = [p for p in holders if not p.later]
        if stranded:
            text = lazy_plural(
                "%(count)s person has only the role “%(role)s”, which is removed, and could do nothing any more.",
                "%(count)s people have only the role “%(role)s”, which is removed, and could do nothing any more.",
                len(stranded), role=name,
            )  # fmt: skip
            yield _impact(survey, "role_removed", path, text, stranded, len(people), remedies=[{"do": "role", "from": key, "to": None}])
        if others := [p for p in holders if p.later]:
            text = lazy_plural(
                "%(count)s person loses the role “%(role)s” and keeps another.", "%(count)s people lose the role “%(role)s” and keep another.", len(others), role=name
            )
            yield _impact(survey, "role_lost", path, text, others, len(people), severity="info")


def _locked_out(survey: Survey, people: Sequence[_Person]) -> Iterator[Impact]:
    """Somebody must be able to change the configuration afterwards."""
    if not survey.before.revision or not people:
        return
    if not any(_configures(survey.after.roles[key]) for p in people for key in p.later):
        admins = [p for p in people if any(_configures(r) for k in p.roles if (r := survey.before.roles.get(k)))]
        text = lazy("Nobody could change the configuration any more: no active person has a role that may.")
        remedies = [{"do": "role", "from": key, "to": None} for key, role in survey.before.roles.items() if role.admin and key not in survey.after.roles]
        yield _impact(survey, "nobody_configures", "roles", text, admins, len(people), severity="stop", remedies=remedies)
    elif survey.ctx.user is not None and permissions.may_configure(survey.ctx, "config"):
        me = [p for p in people if p.id == survey.ctx.user.id and not any(_configures(survey.after.roles[k]) for k in p.later)]
        if me:
            text = lazy("You yourself could not change the configuration any more.")
            yield _impact(survey, "you_cannot_configure", "roles", text, me, len(people))


def _configures(role: m.RoleDef) -> bool:
    return role.admin or "config" in role.settings or "*" in role.settings


# ---- roles that give less -----------------------------------------------------------------------------------------------


def _shrunk(survey: Survey, people: Sequence[_Person]) -> Iterator[Impact]:
    for key, role in survey.after.roles.items():
        before = survey.before.roles.get(key)
        holders = [p for p in people if key in p.roles]
        if before is None or before == role or not holders or not loses(_as(survey.ctx, key), _as(survey.trial, key)):
            continue
        text = lazy_plural(
            "%(count)s person with the role “%(role)s” may do or see less than now.", "%(count)s people with the role “%(role)s” may do or see less than now.",
            len(holders), role=LazyLabel(role.label),
        )  # fmt: skip
        yield _impact(survey, "role_shrinks", f"roles[{key}]", text, holders, len(people), severity="info")


def _as(ctx: Context, role: str) -> Context:
    """Somebody with this role only."""
    return ctx.replace(user=User(NOBODY, "", "", (role,)), elevated=False, viewer=None)


def loses(before: Context, after: Context) -> bool:
    """Whether a person is left with less under `after`, as far as that can be told without looking at records."""
    if permissions.is_admin(after):
        return False
    parts = ("config", "users", "audit", "jobs", "brand", "import", "export", "api", "forms")
    if any(permissions.may_configure(before, part) and not permissions.may_configure(after, part) for part in parts):
        return True
    for may, known in ((permissions.may_report, after.config.reports), (permissions.may_dashboard, after.config.dashboards)):
        if any(may(before, key) and not may(after, key) for key in known):
            return True
    return any(_loses_in(before, after, key) for key in after.config.entities if key in before.config.entities)


def _loses_in(before: Context, after: Context, entity_key: str) -> bool:
    for right in ("create", "import", "bulk", "merge"):
        if permissions.may(before, right, entity_key) and not permissions.may(after, right, entity_key):
            return True
    for right in ("read", "update", "delete", "export"):
        now = permissions.rules(after, right, entity_key)
        if not all(any(_covers(new, old) for new in now) for old in permissions.rules(before, right, entity_key)):
            return True
    if permissions.create_conditions(before, entity_key) is None and permissions.create_conditions(after, entity_key):
        return True
    old, new = before.config.entity(entity_key), after.config.entity(entity_key)
    was, will = permissions.static_access(before, old), permissions.static_access(after, new)
    if any(permissions.LEVELS[will[key]] < permissions.LEVELS[was[key]] for key in will if key in was):
        return True
    if old.pipeline is None or new.pipeline is None:
        return False
    known = {t.key: t for t in old.pipeline.transitions}
    return any(
        t.key in known and permissions.transition_roles(before, old.pipeline, known[t.key]) is not False and permissions.transition_roles(after, new.pipeline, t) is False
        for t in new.pipeline.transitions
    )


def _covers(new: m.ScopeRule, old: m.ScopeRule) -> bool:
    return (new.scope == old.scope or old.scope in INCLUDES.get(new.scope, ())) and new.condition in (None, old.condition)
