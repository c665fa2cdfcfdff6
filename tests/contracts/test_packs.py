"""Every shipped pack: it parses, has no warnings, speaks both languages, and its sample data refers only to what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from saas.metadata import models as m
from saas.metadata.config import Config
from saas.metadata.lint import lint
from saas.metadata.packs import list_packs, load_pack, sample
from saas.metadata.parse import parse_bundle, problems_of

PACKS = [p.key for p in list_packs()]
WHEN = re.compile(r"[+-]?\d+d( \d{2}:\d{2})?\Z")
DAY = re.compile(r"@date:[+-]?\d+d\Z|@datetime:[+-]?\d+d( \d{2}:\d{2})?\Z")


def test_there_are_packs():
    assert PACKS


@pytest.mark.parametrize("key", PACKS)
def test_pack_is_valid(key: str):
    raw = load_pack(key)
    assert [f"{p.path}: {p.message}" for p in problems_of(raw)] == []
    assert raw["pack"]["key"] == key


@pytest.mark.parametrize("key", PACKS)
def test_pack_has_no_warnings(key: str):
    assert [f"{w.path}: {w.message}" for w in lint(load_pack(key))] == []


@pytest.mark.parametrize("key", PACKS)
def test_pack_describes_itself_in_both_languages(key: str):
    pack = load_pack(key)["pack"]
    for name in ("label", "description"):
        assert set(pack[name]) >= {"en", "zh_CN"}


@pytest.mark.parametrize("key", PACKS)
def test_sample_data_refers_to_what_exists(key: str):
    assert list(_sample_problems(Config(parse_bundle(load_pack(key))), sample(key))) == []


# ---- sample data (docs/packs.md, section 13) ----------------------------------------------------------------------------


def _sample_problems(config: Config, data: dict[str, Any]) -> Iterator[str]:
    users = {u["key"] for u in data["users"]}
    yield from _people(config, data["users"], users)
    known: set[str] = set()
    everything = {r["key"] for r in data["records"] if "key" in r}  # steps happen later, so they may name later records
    for number, record in enumerate(data["records"]):
        where = f"{number}: {record['entity']}/{record.get('key')}"
        if record["entity"] not in config.entities:
            yield f"{where}: no such entity"
            continue
        if record.get("key") in known | users:
            yield f"{where}: this key is used twice"
        yield from _when_and_who(where, record, users)
        yield from _values(config, where, record["entity"], record["values"], users, known)
        known.update([record["key"]] if "key" in record else [])
        if record.get("steps") and "key" not in record:
            yield f"{where}: has steps but no key"
        for step in record.get("steps", ()):
            yield from _when_and_who(where, step, users)
            yield from _step(config, where, record["entity"], step, users, everything)


def _people(config: Config, people: list[dict[str, Any]], users: set[str]) -> Iterator[str]:
    departments = {d.key for d in config.bundle.departments}
    for person in people:
        where = f"user {person['key']}"
        yield from (f"{where}: no role {r}" for r in person["roles"] if r not in config.roles)
        if person.get("department") is not None and person["department"] not in departments:
            yield f"{where}: no department {person['department']}"
        if person.get("superior") is not None and person["superior"] not in users:
            yield f"{where}: no superior {person['superior']}"
    emails = [p["email"] for p in people]
    if len(set(emails)) < len(emails):
        yield "two people share an e-mail address"


def _when_and_who(where: str, item: dict[str, Any], users: set[str]) -> Iterator[str]:
    if not WHEN.match(item["at"]):
        yield f"{where}: {item['at']} is no time"
    if item.get("by") is not None and item["by"] not in users:  # nobody = the system
        yield f"{where}: nobody is called {item['by']}"


def _step(config: Config, where: str, entity: str, step: dict[str, Any], users: set[str], known: set[str]) -> Iterator[str]:
    if "transition" in step:
        pipeline = config.entity(entity).pipeline
        if pipeline is None or pipeline.transition(step["transition"]) is None:
            yield f"{where}: no transition {step['transition']}"
    yield from _values(config, where, entity, step.get("values") or step.get("update") or {}, users, known)


def _values(config: Config, where: str, entity: str, values: dict[str, Any], users: set[str], known: set[str]) -> Iterator[str]:
    fields = config.entity(entity).fields
    for key, value in values.items():
        if key not in fields:
            yield f"{where}: no field {key}"
            continue
        for one in value if isinstance(value, list) else [value]:
            yield from _value(config, f"{where}.{key}", entity, fields[key], one, users, known)


def _value(config: Config, where: str, entity: str, field: m.FieldDef, value: Any, users: set[str], known: set[str]) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if value.startswith(("@date:", "@datetime:")):
        if not DAY.match(value):
            yield f"{where}: {value} is no time"
    elif value.startswith("@dept:"):
        if value[6:] not in {d.key for d in config.bundle.departments}:
            yield f"{where}: no department {value[6:]}"
    elif value.startswith("@"):
        if value[1:] not in (users if field.type in ("user", "users") else known):
            yield f"{where}: {value} does not stand earlier"
    elif field.type in ("option", "multi") and value not in {o.key for o in config.options(entity, field.key)}:
        yield f"{where}: no option {value}"
