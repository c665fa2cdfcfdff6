"""Warnings: what can be published but should not ship. `saas pack validate --strict` refuses it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saas.errors import DefinitionProblem
from saas.i18n import LOCALES, lazy
from saas.metadata import models as m
from saas.metadata.parse import examine
from saas.metadata.problems import path_of
from saas.metadata.semantics_pipelines import reachable

# Properties that always hold a label; others are recognised by their languages.
LABELS = frozenset(
    (
        *("label", "plural", "help", "message", "guard_message", "confirm", "done", "unit", "owner_label", "body"),
        *("created", "updated", "deleted", "confirm_delete"),
    )
)
# Places where keys are chosen by whoever writes the bundle, so that a language's name proves nothing.
FREE = frozenset(("values", "set", "entities", "transitions", "fields", "default", "options", "filter", "where", "query", "line", "map", "lookup", "answer", "adds"))
_LOCALE = re.compile(r"[a-z]{2}(_[A-Z]{2})?\Z")


def lint(raw: Any) -> list[DefinitionProblem]:
    """Warnings about a bundle; errors are parse_bundle's business, and with errors there are no warnings but of language."""
    found = list(_languages(raw, raw, ()))
    bundle, problems = examine(raw)
    if bundle is not None and not problems:
        found += [*_pipelines(bundle), *_unused(bundle), *_roles(bundle)]
    return found


# ---- languages ----------------------------------------------------------------------------------------------------------


def _languages(raw: Any, here: Any, path: tuple[str | int, ...]) -> Iterator[DefinitionProblem]:
    if isinstance(here, Mapping):
        if path and _is_label(path[-1], here):
            missing = [locale for locale in LOCALES if not str(here.get(locale) or "").strip()]
            if here and missing:
                yield _warning(
                    path_of(raw, path), "missing_language", lazy("This text is missing in: %(names)s.", names=", ".join(missing)),
                    lazy("Add it: {\"en\": \"…\", \"zh_CN\": \"…\"}."),
                )  # fmt: skip
            return
        for name, below in here.items():
            yield from _languages(raw, below, (*path, name))
    elif isinstance(here, list):
        for index, below in enumerate(here):
            yield from _languages(raw, below, (*path, index))


def _is_label(name: str | int, value: Mapping[str, Any]) -> bool:
    texts = all(isinstance(v, str) for v in value.values())
    if not texts or name in FREE:
        return False
    if name == "body" and value and not any(_LOCALE.match(str(k)) for k in value):
        return False  # of a request: names of another system
    return name in LABELS or bool(value and all(_LOCALE.match(str(k)) for k in value) and ("en" in value or "zh_CN" in value))


# ---- pipelines, definitions nobody uses, roles --------------------------------------------------------------------------


def _pipelines(bundle: m.Bundle) -> Iterator[DefinitionProblem]:
    for pipeline in bundle.pipelines:
        path, found = f"pipelines[{pipeline.key}]", reachable(pipeline)
        left = {stage for t in pipeline.transitions for stage in t.sources}
        for stage in pipeline.stages:
            if stage.key not in found:
                yield _warning(
                    f"{path}.stages[{stage.key}]", "unreachable_stage", lazy("No transition leads to the stage “%(key)s”.", key=stage.key),
                    lazy("Add a transition to it, or remove the stage."),
                )  # fmt: skip
            if not stage.is_final and stage.key not in left and "*" not in left:
                yield _warning(
                    f"{path}.stages[{stage.key}]", "dead_end", lazy("Records can never leave the stage “%(key)s”, yet it is open.", key=stage.key),
                    lazy("Add a transition from it, or give it the kind won, lost or done."),
                )  # fmt: skip


def _unused(bundle: m.Bundle) -> Iterator[DefinitionProblem]:
    used = {f.options.get("set") for e in bundle.entities for f in e.fields}
    for options in bundle.option_sets:
        if options.key not in used:
            yield _warning(
                f"option_sets[{options.key}]", "unused_option_set", lazy("No field uses the option set “%(key)s”.", key=options.key),
                lazy("Use it in a field (\"set\": \"%(key)s\"), or remove it.", key=options.key),
            )  # fmt: skip


def _roles(bundle: m.Bundle) -> Iterator[DefinitionProblem]:
    for role in bundle.roles:
        for number, group in enumerate(role.menu):
            for position, item in enumerate(group.items):
                if not role.admin and not _may_open(role, item):
                    yield _warning(
                        f"roles[{role.key}].menu[{number}].items[{position}]", "closed_menu_item",
                        lazy("The menu offers “%(item)s”, which this role may not open.", item=item),
                        lazy("Give the role the right to read it, or remove the item."),
                    )  # fmt: skip


def _may_open(role: m.RoleDef, item: str) -> bool:
    first, _, second = item.partition(":")
    if first == "report" and second:
        return "*" in role.reports or second in role.reports
    if first == "dashboard" and second:
        return "*" in role.dashboards or second in role.dashboards
    if first in ("form", "statement") and second:
        return True
    rights = role.entities.get(second if first in ("board", "new") else first) or role.entities.get("*")
    return bool(rights and (rights.create or rights.create_if if first == "new" else rights.read))


def _warning(path: str, code: str, message: Any, hint: Any) -> DefinitionProblem:
    return DefinitionProblem(path, code, message, hint)
