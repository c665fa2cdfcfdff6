"""Rules of meaning about ledgers: what is only added cannot be changed by another way, and the balance is what the entries give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata import expressions as x
from saas.metadata import models as m
from saas.metadata.check import Check
from saas.metadata.config import Entity
from saas.metadata.kinds import action_types


def check_ledgers(check: Check) -> None:
    for ledger in check.bundle.ledgers:
        entity = check.entities.get(ledger.entity)
        party = entity.fields.get(ledger.party) if entity else None
        if entity is not None and party is not None and party.type == "ref" and party.options.get("to") in check.entities:
            _ledger(check, f"ledgers[{ledger.key}]", ledger, entity, check.entities[party.options["to"]])
    known = {ledger.key for ledger in check.bundle.ledgers}
    for rule in check.bundle.automations:
        check.known(f"automations[{rule.key}].on.ledger", "ledger", rule.on.options.get("ledger"), known)
    for scene in check.scenes():
        for number, action in enumerate(scene.actions):
            _action(check, f"{scene.path}[{number}]", scene.entity, action)


def _action(check: Check, path: str, here: str, action: m.ActionDef) -> None:
    """What actions name that post entries or make records from others."""
    options, entity = action.options, action.options.get("entity")
    if entity not in check.entities or here not in check.entities:
        return
    if getattr(action_types.find(action.action), "posts_entries", False):
        ledgers = [each for each in check.bundle.ledgers if each.entity == entity]
        if not ledgers:
            check.problems.add(
                f"{path}.entity", "not_a_ledger", lazy("“%(entity)s” has no ledger, so nothing can be posted there.", entity=entity),
                lazy("Choose the entity of a ledger's entries, or make a ledger of it."),
            )  # fmt: skip
        elif "among" in options:
            _among(check, path, here, ledgers, options)
    elif "among" in options:
        _among_these(check, path, here, str(entity), options)
    for key in options.get("lists") or ():
        for owner in (here, entity):
            check.known(f"{path}.lists[{key}]", "relation", key, check.entities[owner].children)
    back = check.field(f"{path}.back", here, options.get("back")) if isinstance(options.get("back"), str) else None
    if back is not None and (back.type != "ref" or back.options.get("to") != entity):
        check.problems.add(f"{path}.back", "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=back.key, target=entity), lazy("Choose a field that refers to “%(party)s”.", party=entity))


def _among(check: Check, path: str, here: str, ledgers: list[m.LedgerDef], options: Mapping[str, Any]) -> None:
    ledger = next((each for each in ledgers if each.limit), None)
    party = check.entities[ledger.entity].fields.get(ledger.party) if ledger else None
    if ledger is None or party is None or party.options.get("to") not in check.entities:
        check.problems.add(f"{path}.entity", "no_limit", lazy("No ledger of these entries has a limit, so nothing is ever open."), lazy("Give the ledger a field that its balance may not exceed."))
        return
    _among_these(check, path, here, party.options["to"], options)


def _among_these(check: Check, path: str, here: str, target: str, options: Mapping[str, Any]) -> None:
    """A condition on records of another kind, over the record at hand, and an order of these."""
    try:
        x.check(x.parse(str(options["among"])), check.config, target, expect="bool", names={"new": ("ref", here)}, stored=True)
    except x.ExpressionError as error:
        check.problems.add(f"{path}.among", "bad_expression", error.problems[0].message, lazy("Write a condition that is true or false, for example: amount > 1000."))
    for key in options.get("order") or ():
        check.field(f"{path}.order[{key}]", target, str(key).lstrip("-"))


def _ledger(check: Check, path: str, ledger: m.LedgerDef, entity: Entity, party: Entity) -> None:
    def wrong(name: str, code: str, message: LazyString, hint: LazyString) -> None:
        check.problems.add(f"{path}.{name}" if name else path, code, message, hint)

    names = {"entity": entity.key, "party": party.key}
    if not entity.defn.append_only:
        wrong("entity", "not_append_only", lazy("Entries of a ledger must not be changed or deleted.", **names), lazy("Set \"append_only\": true on “%(entity)s”; mistakes are corrected by a reversal.", **names))
    if entity.fields[ledger.party].options.get("on_delete", "restrict") != "restrict":
        wrong("party", "entries_vanish", lazy("Deleting a record of “%(party)s” would take its entries along.", **names), lazy("Set \"on_delete\": \"restrict\" on the field “%(field)s”.", field=ledger.party))
    balance = party.fields.get(ledger.balance)
    if balance is not None and balance.type == "rollup":
        relation = party.children.get(balance.options.get("of") or "")
        if relation is None or (relation.child, relation.field) != (entity.key, ledger.party) or balance.options.get("fn") != "sum":
            wrong("balance", "not_the_balance", lazy("“%(field)s” does not add up the entries of this ledger.", field=ledger.balance), lazy("Use a rollup with \"fn\": \"sum\" over the list of “%(entity)s” that the field “%(party)s” makes.", entity=entity.key, party=ledger.party))
        elif entity.pipeline is not None and not balance.options.get("where"):
            wrong("balance", "counts_everything", lazy("Entries that are not approved would count, too."), lazy("Give the rollup a condition such as %(field)s == 'approved'.", field=entity.pipeline.field))
    _directions(ledger, wrong)
    if ledger.reversal:
        _reversal(ledger, entity, wrong)
    for name, field in (("main", party.fields.get(ledger.main or "")), ("account", entity.fields.get(ledger.account or ""))):
        if field is not None and field.type == "ref" and field.options.get("to") != party.key:
            wrong(name, "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=field.key, target=party.key), lazy("Choose a field that refers to “%(party)s”.", **names))
    if ledger.account and not ledger.main:
        wrong("account", "no_main", lazy("Without a main account there is nothing to remember here."), lazy("Name the field of the main account, or leave this empty."))
    if (ledger.approved is None) != (ledger.approved_if is None):
        name = "approved_if" if ledger.approved_if is None else "approved"
        wrong(name, "half_said", lazy("The stage and the condition for starting in it belong together."), lazy("Fill in both, or neither."))
    if ledger.origins and not ledger.origin and ledger.free_origins:
        wrong("free_origins", "no_origin", lazy("Without a field for the kind of origin there are no kinds."), lazy("Name the field that holds the kind of origin."))


def _directions(ledger: m.LedgerDef, wrong: Any) -> None:
    options: Mapping[str, tuple[str, ...]] = {name: getattr(ledger, name) for name in ("adds", "takes", "holds", "frees")}
    if ledger.direction is None:
        if any(options.values()):
            wrong("direction", "no_direction", lazy("No field says in which direction an entry goes."), lazy("Name the choice field that says it, or use amounts with a sign."))
        return
    if not ledger.adds or not ledger.takes:
        wrong("direction", "half_said", lazy("It is not said which options add and which take away."), lazy("Name at least one option for each."))
    if bool(ledger.holds) != bool(ledger.frees):
        wrong("holds" if ledger.frees else "frees", "half_said", lazy("What is reserved must be released again."), lazy("Name the options that reserve and those that release, or neither."))
    twice = [key for keys in options.values() for key in keys]
    if len(twice) != len(set(twice)):
        wrong("direction", "twice", lazy("An option has two meanings."), lazy("Let each option either add, take away, reserve or release."))


def _reversal(ledger: m.LedgerDef, entity: Entity, wrong: Any) -> None:
    field = entity.fields.get(ledger.reversal or "")
    if field is None or field.type != "ref":
        return
    if field.options.get("to") != entity.key:
        wrong("reversal", "wrong_target", lazy("“%(field)s” does not refer to “%(target)s”.", field=field.key, target=entity.key), lazy("Choose a field that refers to an entry of the same ledger."))
    elif not any(u.fields == (field.key,) and u.when is None for u in entity.defn.unique):
        wrong("reversal", "reversed_twice", lazy("An entry could be reversed twice."), lazy("Set \"unique\": true on the field “%(field)s”.", field=field.key))
