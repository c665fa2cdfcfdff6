"""Rules of meaning about connectors: what is mirrored is read-only and found again, what is asked and answered fits."""

from __future__ import annotations

import re
from typing import Any

from saas.i18n import lazy
from saas.metadata.check import Check
from saas.metadata.kinds import field_types

_NAMED = re.compile(r"\{([^{}]*)\}")


def check_connectors(check: Check) -> None:
    for connector in check.bundle.connectors:
        paths = [sample["path"] for sample in connector.samples]
        for path in sorted({p for p in paths if paths.count(p) > 1}):
            check.problems.add(
                f"connectors[{connector.key}].samples", "sample_twice", lazy("There are several sample answers for “%(path)s”.", path=path), lazy("Put their rows together."),
            )  # fmt: skip
    for mirror in check.bundle.mirrors:
        _mirror(check, f"mirrors[{mirror.key}]", mirror)
    for shown in check.bundle.live_lists:
        _named(check, f"live_lists[{shown.key}].path", shown.path, shown.query)
    for call in check.bundle.calls:
        path = f"calls[{call.key}]"
        if bool(call.lines) != bool(call.line):
            missing = "line" if call.lines else "lines"
            check.problems.add(f"{path}.{missing}", "half_said", lazy("A list that is sent along needs what is sent of each line."), lazy("Give both “lines” and “line”, or neither."))
        _writable(check, f"{path}.answer", call.entity, call.answer)


def _mirror(check: Check, path: str, mirror: Any) -> None:
    entity = check.entities.get(mirror.entity)
    if entity is None:
        return
    if not entity.defn.read_only:
        check.problems.add(
            f"{path}.entity", "not_read_only", lazy("People could change what is mirrored, and lose it with the next fetch."), lazy("Set \"read_only\": true on “%(entity)s”.", entity=entity.key),
        )  # fmt: skip
    if not any(set(u.fields) == set(mirror.match) and u.when is None for u in entity.defn.unique):
        check.problems.add(
            f"{path}.match", "no_unique_rule", lazy("Nothing keeps the same row from being there twice."), lazy("Give “%(entity)s” a unique rule over just these fields.", entity=entity.key),
        )  # fmt: skip
    for key in mirror.match:
        if key not in mirror.map:
            check.problems.add(f"{path}.map", "half_said", lazy("It does not say where “%(field)s” stands.", field=key), lazy("Name its path in a row."))
    if bool(mirror.next) != bool(mirror.page):
        missing = "page" if mirror.next else "next"
        check.problems.add(f"{path}.{missing}", "half_said", lazy("Pages need both where the next one is named and the parameter that asks for it."), lazy("Give both “next” and “page”, or neither."))
    _writable(check, f"{path}.map", mirror.entity, mirror.map)
    for key, by in mirror.lookup.items():
        field = entity.fields.get(key)
        if field is None:
            continue
        if field.type != "ref" or key not in mirror.map:
            check.problems.add(
                f"{path}.lookup[{key}]", "not_a_reference", lazy("“%(field)s” does not refer to another record.", field=key), lazy("Name a field of type ref that stands in “map”."),
            )  # fmt: skip
        else:
            check.field(f"{path}.lookup[{key}]", str(field.options.get("to")), by)
    for key in mirror.map:
        field = entity.fields.get(key)
        if field is not None and field.type == "ref" and key not in mirror.lookup:
            check.problems.add(
                f"{path}.map[{key}]", "no_lookup", lazy("It does not say how the record is found that “%(field)s” refers to.", field=key),
                lazy("Give “lookup” the field of that record that holds what the other system sends."),
            )  # fmt: skip


def _writable(check: Check, path: str, entity_key: str, keys: Any) -> None:
    entity = check.entities.get(entity_key)
    for key in keys if entity is not None else ():
        field = entity.fields.get(key)
        kind = field_types.find(field.type) if field is not None else None
        if field is not None and kind is not None and (kind.computed or field.type in ("pipeline", "m2m", "users", "file", "image")):
            check.problems.add(f"{path}[{key}]", "not_writable", lazy("“%(field)s” cannot take a value from outside.", field=key), lazy("Choose a field that holds a plain value."))


def _named(check: Check, path: str, text: str, query: Any) -> None:
    for name in _NAMED.findall(text):
        if name not in query:
            check.problems.add(path, "unknown_parameter", lazy("Nothing says what “%(name)s” is.", name=name), lazy("Add it to “query”, or take it out of the path."))
