"""Rules of meaning about what looks for records that may be the same: duplicate rules and reviews."""

from __future__ import annotations

from collections.abc import Sequence

from saas.i18n import LazyString, lazy
from saas.metadata import models as m
from saas.metadata.check import Check, Scene

LETTERS = ("text", "longtext", "email", "url", "code")  # types whose values can be more or less alike


def check_twins(check: Check) -> None:
    for entity in check.bundle.entities:
        for rule in entity.duplicates:
            path = f"entities[{entity.key}].duplicates[{rule.key}]"
            compared(check, path, entity.key, rule.match, rule.similar, rule.names)
            if rule.against is not None:
                counterparts(check, f"{path}.against.fields", entity.key, rule.match, rule.against.entity, rule.against.fields)
                if rule.where:
                    check.problems.add(
                        f"{path}.where", "where_of_whom", lazy("This rule looks for records of another entity."),
                        lazy("Write the condition inside “against”, over the records that are found."),
                    )  # fmt: skip
            review = next((r for r in check.bundle.reviews if r.key == rule.review), None)
            if "queue" in (rule.action, rule.on_update) and (rule.review is None or (review is not None and review.entity != entity.key)):
                check.problems.add(
                    f"{path}.review", "no_review", lazy("It does not say in which review such a record waits."), lazy("Name a review of “%(entity)s”.", entity=entity.key)
                )
            if rule.reveal and not rule.across:
                check.problems.add(
                    f"{path}.reveal", "reveals_nothing", lazy("This rule finds only records that the person may see, so nothing is revealed of others."),
                    lazy("Remove “reveal”, or let the rule look across."),
                )  # fmt: skip


    for review in check.bundle.reviews:
        _review(check, f"reviews[{review.key}]", review)


def _review(check: Check, path: str, review: m.ReviewDef) -> None:
    def wrong(name: str, code: str, message: LazyString, hint: LazyString) -> None:
        check.problems.add(f"{path}.{name}", code, message, hint)

    entity = check.entities.get(review.entity)
    target = entity.fields.get(review.target or "") if entity else None
    other = str(target.options.get("to")) if target is not None and target.type == "ref" else ""
    if not (review.exact or review.similar):
        wrong("similar", "compares_nothing", lazy("Nothing is compared, so nobody could see a match."), lazy("Name at least one field in “exact” or “similar”."))
    for name in ("exact", "similar"):
        there = getattr(review, f"{name}_there")
        if there and not review.target:
            wrong(f"{name}_there", "no_target", lazy("Without a field that names a match there is nothing to compare with."), lazy("Fill in “target”, or leave this empty."))
        elif other in check.entities:
            counterparts(check, f"{path}.{name}_there" if there else f"{path}.{name}", review.entity, getattr(review, name), other, there or getattr(review, name))
            for key in () if there else getattr(review, name):
                check.field(f"{path}.{name}[{key}]", other, key)
    for name in ("both", "target_only", "exact_found"):
        if getattr(review, name) and not review.target:
            wrong(name, "no_target", lazy("Without a field that names a match there is nothing to compare with."), lazy("Fill in “target”, or leave this empty."))
    if (review.both or review.sources_only) and not review.each_source:
        wrong("each_source", "missing", lazy("Others that are ticked would go on waiting."), lazy("Say which transition takes them out of the stage."))
    source = entity.fields.get(review.source or "") if entity else None
    if source is not None and source.type == "ref" and source.options.get("to") != review.entity:
        wrong("source", "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=source.key, target=review.entity), lazy("Choose a field that refers to the same kind of record."))
    if not any(getattr(review, name) for name in ("both", "target_only", "sources_only", "nothing")):
        wrong("nothing", "no_outcome", lazy("Nothing can be decided, so records would wait for ever."), lazy("Choose a transition for at least one of the four cases."))
    for scene in check.scenes():
        for number, action in enumerate(scene.actions):
            if "review" in action.options and action.options["review"] == review.key:
                about = action_entity_of(check, scene, action)
                if about is not None and about != review.entity:
                    check.problems.add(
                        f"{scene.path}[{number}].review", "other_entity", lazy("“%(review)s” is about records of “%(entity)s”.", review=review.key, entity=review.entity),
                        lazy("Choose a record of “%(entity)s”, or another review.", entity=review.entity),
                    )  # fmt: skip


def action_entity_of(check: Check, scene: Scene, action: m.ActionDef) -> str | None:
    """The entity an action without a target is about; None where a path leads elsewhere, which the run finds out."""
    return None if action.options.get("target") else scene.entity


def compared(check: Check, path: str, entity: str, match: Sequence[str], similar: Sequence[str], names: Sequence[str]) -> None:
    """Fields that are compared as texts are among the compared ones, and hold texts."""
    for name, keys in (("similar", similar), ("names", names)):
        for key in keys:
            field = check.entities[entity].fields.get(key) if entity in check.entities else None
            if key not in match:
                check.problems.add(
                    f"{path}.{name}[{key}]", "not_compared", lazy("“%(field)s” is not among the compared fields.", field=key),
                    lazy("Add it to “match”, or remove it here."),
                )  # fmt: skip
            elif field is not None and field.type not in LETTERS:
                check.problems.add(
                    f"{path}.{name}[{key}]", "not_letters", lazy("“%(field)s” is no text, so it is equal or it is not.", field=key),
                    lazy("Remove it here; it is compared exactly, telephone numbers by their digits."),
                )  # fmt: skip


def counterparts(check: Check, path: str, entity: str, match: Sequence[str], other: str, fields: Sequence[str]) -> None:
    """Each compared field has one of the other entity to be compared with, which holds the same sort of value."""
    if len(match) != len(fields):
        check.problems.add(
            path, "not_paired", lazy("%(own)s fields are compared with %(others)s of the other entity.", own=len(match), others=len(fields)),
            lazy("Name one field there for each field here, in the same order."),
        )  # fmt: skip
        return
    if entity not in check.entities or other not in check.entities:
        return
    for own, its in zip(match, fields, strict=True):
        one, two = check.entities[entity].fields.get(own), check.entities[other].fields.get(its)
        if one is not None and two is not None and _sort(check, one) != _sort(check, two):
            check.problems.add(
                f"{path}[{its}]", "unlike_fields", lazy("“%(own)s” and “%(other)s” hold different sorts of values, so they are never equal.", own=own, other=its),
                lazy("Choose a field of the same type."),
            )  # fmt: skip


def _sort(check: Check, field: m.FieldDef) -> str:
    kind = check.type_of(field)
    return "text" if kind.key in LETTERS else kind.key
