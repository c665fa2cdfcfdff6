"""Rules of meaning about entry forms: each part is one thing, and what it shows can be typed there."""

from __future__ import annotations

from collections import Counter

from saas.i18n import lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.config import Entity


def check_forms(check: Check) -> None:
    for form in check.bundle.forms:
        entity = check.entities.get(form.entity)
        if entity is not None:
            _form(check, f"forms[{form.key}]", form, entity)


def _form(check: Check, path: str, form: m.FormDef, entity: Entity) -> None:
    for key, count in Counter(p.key for p in form.parts).items():
        if count > 1 or (key in entity.fields and not any(p.key == key and p.ref == key for p in form.parts)):
            check.problems.add(f"{path}.parts[{key}].key", "duplicate_key", lazy("“%(key)s” is the name of something else here.", key=key), lazy("Give the part another key."))
    for part in form.parts:
        here = f"{path}.parts[{part.key}]"
        if (part.ref is None) == (part.list is None):
            check.problems.add(here, "half_said", lazy("A part is either a record it refers to, or its lines."), lazy("Name one of the two."))
        elif part.list is not None and (relation := entity.children.get(part.list)) is not None:
            if relation.many:
                check.problems.add(f"{here}.list", "not_lines", lazy("“%(list)s” is a list of links, not of lines.", list=part.list), lazy("Choose a list whose records refer to this one by a field of type ref."))
            elif relation.field in part.fields:
                check.problems.add(f"{here}.fields", "link_is_given", lazy("“%(field)s” is filled by the form itself.", field=relation.field), lazy("Remove it from the fields."))
        elif part.ref is not None and part.creates:
            check.problems.add(f"{here}.creates", "only_in_lines", lazy("Only in lines can further records be made by their name."), lazy("Make it a part of its own."))
    for part in form.parts:
        if part.ref in form.fields:
            check.problems.add(f"{path}.fields", "link_is_given", lazy("“%(field)s” is filled by the form itself.", field=part.ref), lazy("Remove it from the fields."))
