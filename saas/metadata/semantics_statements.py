"""Rules of meaning about statements: what is closed is kept whole, once, and never changed."""

from __future__ import annotations

from saas.i18n import lazy
from saas.metadata.check import Check


def check_statements(check: Check) -> None:
    for statement in check.bundle.statements:
        path, entity = f"statements[{statement.key}]", check.entities.get(statement.entity)
        if statement.prices and not statement.prices_value:
            check.problems.add(f"{path}.prices_value", "half_said", lazy("It is not said which field holds the price."), lazy("Name the field of the price."))
        if not statement.closings or statement.closings not in check.entities or entity is None:
            continue
        closings = check.entities[statement.closings]
        for name in ("closed_party", "closed_period", "closed_amount"):
            if not getattr(statement, name):
                check.problems.add(f"{path}.{name}", "half_said", lazy("Closed periods need a field for this."), lazy("Name a field of “%(entity)s”.", entity=closings.key))
        if not closings.defn.append_only:
            check.problems.add(f"{path}.closings", "not_append_only", lazy("What is closed must not be changed or deleted."), lazy("Set \"append_only\": true on “%(entity)s”.", entity=closings.key))
        key = {statement.closed_party, statement.closed_period}
        if None not in key and not any(set(u.fields) == key and u.when is None for u in closings.defn.unique):
            check.problems.add(f"{path}.closings", "closed_twice", lazy("A period could be closed twice."), lazy("Give “%(entity)s” a unique rule over the party and the period.", entity=closings.key))
        for one, other in ((entity.fields.get(statement.party), closings.fields.get(statement.closed_party or "")),):
            if one is not None and other is not None and one.options.get("to") != other.options.get("to"):
                check.problems.add(f"{path}.closed_party", "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=other.key, target=one.options.get("to")), lazy("Choose a field that refers to “%(party)s”.", party=one.options.get("to")))
