"""Texts with {{ field }} in them, as actions have: every name in them exists where the text is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saas.i18n import lazy
from saas.metadata.check import Check, Scene
from saas.metadata.problems import listing, unknown_text
from saas.metadata.references import action_entity

ALWAYS = ("me", "today")
IN_DOCUMENTS = ("company",)  # what only documents know beside
IN_MESSAGES = ("company", "unsubscribe")  # what only messages know beside
_NAME = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_.]*)")


def check_templates(check: Check) -> None:
    for scene in check.scenes():
        if scene.entity in check.entities:
            _scene(check, scene)
    for document in check.bundle.documents:
        for path, texts in ((f"documents[{document.key}]", {"heading": document.heading, "signatures": document.signatures}), *((f"documents[{document.key}].parts[{p.key}]", {"text": p.text}) for p in document.parts)):
            for where, text in _texts(texts):
                for name in dict.fromkeys(_NAME.findall(text)):
                    if name not in IN_DOCUMENTS:
                        _name(check, f"{path}.{where}", document.entity, name, {})
    for template in check.bundle.templates:
        if template.entity not in check.entities:
            continue
        for where, text in _texts({"subject": template.subject, "body": template.body}):
            for name in dict.fromkeys(_NAME.findall(text)):
                if name not in IN_MESSAGES:
                    _name(check, f"templates[{template.key}].{where}", template.entity, name, {})


def _scene(check: Check, scene: Scene) -> None:
    aliases: dict[str, str | None] = {}
    for number, action in enumerate(scene.actions):
        for where, text in _texts(action.options):
            for name in dict.fromkeys(_NAME.findall(text)):
                _name(check, f"{scene.path}[{number}].{where}", scene.entity, name, aliases)
        if action.alias:
            aliases[action.alias] = action_entity(check, f"{scene.path}[{number}]", scene.entity, action, aliases)


def _texts(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if name not in ("values", "set") and isinstance(value, Mapping):
            yield from ((f"{name}.{locale}", text) for locale, text in value.items() if isinstance(text, str) and "{{" in text)


def _name(check: Check, path: str, entity: str, name: str, aliases: Mapping[str, str | None]) -> None:
    parts = name.split(".")
    if parts[0] == "result" and len(parts) > 1:
        target = aliases.get(parts[1])
        if target is None and parts[1] not in aliases:
            check.problems.add(
                path, "unknown_result", lazy("No earlier action here is named “%(name)s”.", name=parts[1]),
                lazy("Give an action further up \"as\": \"%(name)s\", or correct the name.", name=parts[1]),
            )  # fmt: skip
            return
        entity, parts = target or "", parts[2:]
    if not parts or entity not in check.entities or check.problems.ghosts.intersection(parts):
        return
    fields = check.entities[entity].fields
    if parts[0] not in fields and parts[0] not in ALWAYS:
        check.problems.add(path, "unknown_field", *unknown_text("field", parts[0], [*fields, *ALWAYS]))
    elif len(parts) > 1:
        check.problems.add(
            path, "no_step", lazy("“%(name)s”: texts show the record's own fields only.", name=name),
            lazy("Write one of: %(known)s, or add a formula that takes the value over.", known=listing(fields)),
        )  # fmt: skip
