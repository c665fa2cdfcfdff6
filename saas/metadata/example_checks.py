"""Examples: each names what exists, does exactly one thing, and expects nothing of a record that cannot be there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.kinds import field_types

# Names that stand for made-up people, moments and the record itself; every other "@name" is a record of the example.
ME, OTHER, ROLE, GIVEN, MOMENTS = "me", "other", "role:", "given", ("date:", "datetime:")
_MOMENT = re.compile(r"(date:[+-]?\d{1,5}d|datetime:[+-]?\d{1,5}d( \d{2}:\d{2})?)\Z")


def check_examples(check: Check, raw: Mapping[str, Any]) -> None:
    whens = {e["key"]: e["when"] for e in raw.get("examples", ())}
    for example in check.bundle.examples:
        path = f"examples[{example.key}]"
        if check.known(f"{path}.entity", "entity", example.entity, check.entities):
            _example(check, path, example)
            _one_act(check, path, example, whens.get(example.key, {}))


def _example(check: Check, path: str, example: m.ExampleDef) -> None:
    check.known(f"{path}.as", "role", example.role, [*check.roles, m.SYSTEM])
    known: set[str] = set()
    it = {GIVEN} if example.act != "create" else set()  # a record that is there can have others below it
    for record in example.records:
        here = f"{path}.records[{record.key}]"
        if check.known(f"{here}.entity", "entity", record.entity, check.entities):
            _values(check, f"{here}.values", record.entity, record.values, known | it)
        if record.key in {*known, ME, OTHER, GIVEN}:
            _problem(check, f"{here}.key", "duplicate_key", lazy("“%(key)s” has another meaning here already.", key=record.key), lazy("Choose another key."))
        known.add(record.key)
    _values(check, f"{path}.given", example.entity, example.given, known - below(example))
    act = "values" if example.act == "transition" else example.act
    _values(check, f"{path}.when.{act}", example.entity, example.values, known, given=False)
    pipeline = check.entities[example.entity].pipeline
    check.known(f"{path}.state", "stage", example.state, [s.key for s in pipeline.stages] if pipeline else [])
    for number, decision in enumerate(example.decisions):
        check.known(f"{path}.decisions[{number}].as", "role", decision.role, check.roles)
    if example.decisions and example.act in ("delete", "read"):
        _problem(check, f"{path}.decisions", "nothing_begins", lazy("No approval begins by this."), lazy("Remove “decisions”, or do something that begins one."))
    if example.act == "transition":
        check.known(f"{path}.when.transition", "transition", example.transition, [t.key for t in pipeline.transitions] if pipeline else [])


def below(example: m.ExampleDef) -> set[str]:
    """Keys of the records that name the record itself, or one that does: they are made after it."""
    found = {GIVEN}
    for record in example.records:
        if found.intersection(name for value in record.values.values() for name in names_in(value)):
            found.add(record.key)
    return found


def _values(check: Check, path: str, entity: str, values: Mapping[str, Any], known: set[str], *, given: bool = True) -> None:
    for key, value in values.items():
        field = check.field(f"{path}.{key}", entity, key)
        if field is None:
            continue
        if given and not _can_be_given(field):
            _problem(
                check, f"{path}.{key}", "not_given", lazy("“%(field)s” gets its value by itself.", field=key),
                lazy("Leave it out; write the stage a record has reached under “state”."),
            )  # fmt: skip
        for name in names_in(value):
            if name.startswith(MOMENTS):
                if not _MOMENT.match(name):
                    _problem(check, f"{path}.{key}", "bad_moment", lazy("“@%(name)s” is no day or time.", name=name), lazy("Write “@date:+7d” or “@datetime:-1d 14:00”."))
            elif name.startswith(ROLE):
                check.known(f"{path}.{key}", "role", name.removeprefix(ROLE), check.roles)
            elif name not in (ME, OTHER):
                check.known(f"{path}.{key}", "example_record", name, known)


def _can_be_given(field: m.FieldDef) -> bool:
    if field.system:
        return field.key == "owner"
    return not field_types.get(field.type).computed and field.type != "pipeline"


def names_in(value: Any) -> Iterable[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one.startswith("@"):
            yield one[1:]


def _one_act(check: Check, path: str, example: m.ExampleDef, when: Mapping[str, Any]) -> None:
    acts = [name for name in m.EXAMPLE_ACTS if name in when]
    if len(acts) != 1 or ("values" in when and acts != ["transition"]):
        _problem(
            check, f"{path}.when", "one_act", lazy("An example does exactly one thing."),
            lazy("Write one of: {\"create\": {}}, {\"update\": {…}}, {\"transition\": \"…\"}, {\"delete\": true}, {\"read\": true}."),
        )  # fmt: skip
    if example.act == "create" and example.expect == "refused" and example.then:
        _problem(
            check, f"{path}.then", "no_record", lazy("A record that must not come into being has nothing that could hold afterwards."),
            lazy("Remove “then”, or expect “allowed”."),
        )  # fmt: skip
    if example.act == "create" and example.state:
        _problem(check, f"{path}.state", "no_record", lazy("A new record begins at the first stage."), lazy("Remove “state”."))
    if example.expect == "allowed" and example.message:
        _problem(check, f"{path}.message", "no_refusal", lazy("What is allowed gives no message."), lazy("Remove “message”, or expect “refused”."))


def _problem(check: Check, path: str, code: str, message: LazyString, hint: LazyString) -> None:
    check.problems.add(path, code, message, hint)
