"""Fields for people that from now on only take those with certain roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saas.i18n import LazyLabel, lazy_plural
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from saas.runtime.impact._shared.model import Check, ImpactKind, impact_kinds
from saas.runtime.impact._shared.survey import Lens, Survey
from saas.runtime.sql import field_sql


@impact_kinds.register
class People(ImpactKind):
    key = "people"

    def checks(self, survey: Survey) -> Iterator[Check]:
        for old, new in survey.entities():
            for declared in new.fields.values():
                before, wanted = old.fields.get(declared.key), set(declared.options.get("roles") or ())
                if before is None or not wanted or any(field_types.get(f.type).holds != "user" for f in (before, declared)):
                    continue
                allowed = set(before.options.get("roles") or ())
                if not allowed or allowed - wanted:
                    path = f"entities[{new.key}].owner_roles" if declared.system else f"entities[{new.key}].fields[{declared.key}].roles"
                    yield _check(new.key, declared, path, sorted(allowed), sorted(wanted))


def _check(entity: str, field: FieldDef, path: str, allowed: list[str], wanted: list[str]) -> Check:
    def where(lens: Lens) -> str:
        before = lens.before.entity.fields[field.key]
        held = field_sql(lens.before.config, lens.before.entity, before, "t")
        people = f"SELECT v::uuid FROM jsonb_array_elements_text({held}) v" if field_types.get(before.type).many else f"SELECT {held}"
        has = "EXISTS (SELECT 1 FROM user_role ur WHERE ur.tenant_id = t.tenant_id AND ur.user_id = p.id AND ur.role_key = ANY({roles}))"
        refused = f"NOT {has.format(roles=lens.statement.param(wanted, 'text[]'))}"
        kept = f" AND {has.format(roles=lens.statement.param(allowed, 'text[]'))}" if allowed else ""
        return f"EXISTS (SELECT 1 FROM ({people}) p(id) WHERE p.id IS NOT NULL AND {refused}{kept})"

    def message(count: int) -> Any:
        return lazy_plural(
            "%(count)s record names somebody in “%(field)s” who can no longer be chosen. The name stays until somebody edits it.",
            "%(count)s records name people in “%(field)s” who can no longer be chosen. The names stay until somebody edits them.",
            count, field=LazyLabel(field.label),
        )  # fmt: skip

    return Check(code="people_without_role", path=path, entity=entity, field=field.key, message=message, where=where, show=field.key)
