"""Definitions nobody should write, and some that are merely large: refused with one clear sentence at the right place, or handled
quickly. Whatever is refused leaves the live configuration as it was."""

from __future__ import annotations

import copy
import json
import time
import unicodedata
from typing import Any

import pytest

from saas.errors import InvalidDefinition
from saas.i18n import LOCALES, use_locale
from saas.metadata import store
from saas.metadata.check import RESERVED
from saas.metadata.parse import parse_bundle, problems_of, read_json
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import field, good_bundle, label
from tests.factories import Lab, make_lab

QUICK = 10  # seconds; measured in fractions of one, but other work may be going on


def found(raw: Any) -> dict[str, str]:
    """{path: code} of everything wrong with a bundle; the words are there in every language."""
    started = time.monotonic()
    problems = problems_of(raw)
    assert time.monotonic() - started < QUICK
    for problem in problems[:50]:
        assert len(problem.path) < 1000 and "\x00" not in problem.path
        for locale in LOCALES:
            with use_locale(locale):
                assert 5 < len(str(problem.message)) < 500 and str(problem.hint)
                json.dumps([str(problem.message), str(problem.hint), problem.path]).encode()
    with pytest.raises(InvalidDefinition) if problems else _nothing():
        parse_bundle(raw)
    return {p.path: p.code for p in problems}


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...


def customer(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["entities"][0]


def deal(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["entities"][1]


def with_fields(*fields: dict[str, Any], children: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    raw = good_bundle()
    customer(raw)["fields"] += fields
    deal(raw)["fields"] += children
    return raw


def number(key: str, expr: str) -> dict[str, Any]:
    return field(key, "formula", returns="number", expr=expr)


# ---- circles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "children"),
    [
        ([number("a", "a + 1")], []),
        ([number("a", "b"), number("b", "c"), number("c", "if(a > 1, 1, 2)")], []),
        ([field("a", "rollup", of="deals", fn="sum", field="b")], [number("b", "customer.a / 2")]),
        ([field("a", "rollup", of="deals", fn="count", where="b > 1")], [number("b", "customer.a")]),
        ([field("a", "rollup", of="subsidiaries", fn="sum", field="a")], []),
        ([number("a", "count(deals where parent.a > 1)")], []),
        ([number("a", "sum(deals.b)")], [number("b", "customer.parent.a")]),
        ([field("a", "rollup", of="deals", fn="max", field="b")], [number("b", "customer.c")]),
    ],
)  # fmt: skip
def test_a_field_is_not_computed_from_itself(fields: list[dict[str, Any]], children: list[dict[str, Any]]) -> None:
    if len(fields) == 1 and children and children[0]["expr"] == "customer.c":
        fields = [*fields, number("c", "a")]
    problems = problems_of(with_fields(*fields, children=tuple(children)))
    assert [p.code for p in problems] == ["formula_circle"]
    assert problems[0].path.startswith("entities[") and "→" in str(problems[0].message)


def test_fields_that_look_at_each_other_without_being_computed_are_no_circle() -> None:
    raw = with_fields(field("a", "text", visible_if="b == 'x'"), field("b", "text", visible_if="a == 'x'", default={"expr": "a"}))
    assert found(raw) == {}


def test_formulas_that_grow_beyond_measure_are_refused() -> None:
    """Each is written out where it is used: 25 levels of three would be 3 ** 25 parts."""
    fields = [number(f"c{i}", f"c{i + 1} + c{i + 1} * c{i + 1}") for i in range(25)]
    assert list(found(with_fields(*fields, field("c25", "int"))).values()) == ["formula_too_large"]
    chain = [number(f"c{i}", f"c{i + 1} + 1") for i in range(200)]
    assert list(found(with_fields(*chain, field("c200", "int"))).values()) == ["formula_too_large"]


async def test_formulas_may_stand_on_each_other_as_far_as_that_works(database: None) -> None:
    fields = [number(f"c{i}", f"c{i + 1} + 1") for i in range(55)]
    lab = await make_lab(with_fields(*fields, field("c55", "int"), field("shown2", "formula", returns="text", expr="if(c0 > 100, 'big', 'small')")), people=False)
    made = await lab.make("customer", name="Deep", c55=50)
    record = await lab.get("customer", made)
    assert (record.values["c0"], record.values["shown2"]) == (105, "big")
    page = await execute(await lab.ctx(), ops.List(entity="customer", filter={"expr": "c0 == 105 and shown2 == 'big'"}))
    assert [r.id for r in page.records] == [made]


# ---- formulas of the wrong type ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returns", "expr", "word"),
    [
        ("number", "concat(name, 'a')", "number"), ("money", "today()", "number"), ("text", "credit + 1", "text"), ("bool", "name", "condition"), ("date", "'2025-01-01'", "date"),
        ("text", "['a']", "text"), ("number", "name + 1", "concat"), ("number", "since - 1", "add_days"), ("text", "name +", "ends too early"), ("text", "exec('rm')", "exec"),
        ("text", "nothing", "nothing"), ("text", "name.first", "name"), ("number", "sum(deals.subject)", "number"), ("text", "__class__", "__class__"), ("number", "1e999", ""), ("text", "name; drop table record", ""),
        ("text", "lambda: 1", ""), ("number", "9" * 60, ""), ("text", "'" + "x" * 1990, ""),
    ],
)  # fmt: skip
def test_a_formula_gives_what_it_says(returns: str, expr: str, word: str) -> None:
    problems = problems_of(with_fields(field("x", "formula", returns=returns, expr=expr)))
    assert [(p.path, p.code) for p in problems] == [("entities[customer].fields[x].expr", "bad_expression")]
    assert word in str(problems[0].message)


@pytest.mark.parametrize(
    ("fn", "child", "code"),
    [
        ("sum", field("c", "text"), "not_a_number"), ("avg", field("c", "date"), "not_a_number"), ("max", field("c", "bool"), "no_order"), ("min", field("c", "user"), "no_order"),
        ("max", field("c", "option", options=[{"key": "a", "label": label("A")}]), "no_order"), ("latest", field("c", "users"), "not_for_rollup"), ("latest", field("c", "file"), "not_for_rollup"),
        ("latest", field("c", "address"), "not_for_rollup"), ("max", field("c", "m2m", to="customer"), "not_for_rollup"), ("latest", field("c", "tags"), "not_for_rollup"),
    ],
)  # fmt: skip
def test_a_rollup_needs_a_field_it_can_take_over(fn: str, child: dict[str, Any], code: str) -> None:
    assert found(with_fields(field("x", "rollup", of="deals", fn=fn, field="c"), children=(child,))) == {"entities[customer].fields[x].field": code}
    stage = with_fields(field("x", "rollup", of="deals", fn="latest", field="status"))
    assert found(stage) == {"entities[customer].fields[x].field": "not_for_rollup"}


async def test_a_rollup_takes_over_what_it_may(database: None) -> None:
    kinds = {"text": "T", "longtext": "Two\nlines", "bool": True, "date": "2025-03-03", "datetime": "2025-03-03T08:00:00Z", "money": {"amount": "12.50", "currency": "CNY"}, "duration": 5400,
             "progress": 40, "color": "#3b5bdb", "rating": 3, "url": "https://a.example", "time": "08:30"}  # fmt: skip
    children = tuple(field(f"c_{kind}", kind) for kind in kinds)
    raw = with_fields(*(field(f"r_{kind}", "rollup", of="deals", fn="latest", field=f"c_{kind}") for kind in kinds), children=children)
    lab = await make_lab(raw, people=False)
    made = await lab.make("customer", name="Above")
    await lab.make("deal", subject="Below", customer=str(made), **{f"c_{kind}": value for kind, value in kinds.items()})
    record = await lab.get("customer", made)
    assert {kind: record.values[f"r_{kind}"] for kind in kinds} == kinds


# ---- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["two words", "😀", "naïve", "客户", "", "a" * 49, "1a", "Customer", "a-b", "a\n", "ａ", "__class__", "a.b", "*", "x" * 1_000_000, "a;drop", "cafe\u0301"])
def test_keys_are_plain_words(key: str) -> None:
    for raw, of in ((with_fields({**field("x", "text"), "key": key}), "fields"), (good_bundle(), "options"), (good_bundle(), "roles")):
        if of == "options":
            raw["option_sets"][0]["options"].append({"key": key, "label": label("X")})
        elif of == "roles":
            raw["roles"].append({"key": key, "label": label("X")})
        problems = found(raw)
        assert list(problems.values()) == ["bad_key"], problems
        assert "order_line" in str(problems_of(raw)[0].hint), "an example says how a key looks"


@pytest.mark.parametrize("key", sorted({*RESERVED, "owner", "department"}))
def test_words_of_the_system_are_no_field_keys(key: str) -> None:
    assert set(found(with_fields({**field("x", "text"), "key": key})).values()) == {"reserved_key"}


async def test_words_of_sql_python_and_scripts_are_fine(database: None) -> None:
    """Keys never become code: they are looked up, or stand in quotes."""
    keys = ["select", "order", "group", "table", "where", "constructor", "prototype", "class", "def", "lambda", "values", "doc", "state", "limit", "view", "today", "count", "user", "null_"]
    raw = with_fields(*({**field("x", "text"), "key": key} for key in keys))
    raw["entities"] += [{"key": key, "label": label(key), "plural": label(key), "title": "name", "fields": [field("name", "text")]} for key in ("select", "order", "user", "record", "view", "table")]
    assert found(raw) == {}
    lab = await make_lab(raw, people=False)
    made = await lab.make("customer", name="N", **{key: key for key in keys})
    for key in keys:
        page = await execute(await lab.ctx(), ops.List(entity="customer", filter={"expr": f"{key} == '{key}'"}, sort=(key,)))
        assert [r.id for r in page.records] == [made], key
    for key in ("select", "order", "user", "record", "view", "table"):
        assert (await lab.get(key, await lab.make(key, name="x"))).values["name"] == "x"


@pytest.mark.parametrize("text", ["", "   ", "\u3000", "\n", "bell\x07", "\x0b", "x" * 201])
def test_labels_can_be_seen(text: str) -> None:
    raw = good_bundle()
    customer(raw)["label"]["en"] = text
    assert list(found(raw)) == ["entities[customer].label.en"]


@pytest.mark.parametrize("text", ["Kunden & Partner <b>", "客户😀", "שלום", "a'b\"c", "{{ 7 * 7 }}", "%(x)s %s {0}", "line one\nline two", "\u202eevil"])
def test_labels_may_be_anything_that_can_be_seen(text: str) -> None:
    raw = good_bundle()
    customer(raw)["label"] = {"en": text, "zh_CN": text}
    raw["option_sets"][0]["options"][0]["label"] = {"en": text}
    assert found(raw) == {}


async def test_accents_may_be_written_either_way(database: None) -> None:
    """A label pasted from a Mac has its accents apart; people and files that write them together mean the same."""
    apart, together = unicodedata.normalize("NFD", "Café"), unicodedata.normalize("NFC", "Café")
    assert apart != together
    raw = with_fields(field("place", "option", options=[{"key": "cafe", "label": {"en": apart}}]))
    lab = await make_lab(raw, people=False)
    ctx = await lab.ctx()
    declared = ctx.config.entity("customer").fields["place"]
    kind = ctx.config.entity("customer").type_of("place")
    assert kind.from_form(declared, [together], ctx.config) == kind.from_form(declared, [apart], ctx.config) == "cafe"
    assert (await lab.get("customer", await lab.make("customer", name="N", place="cafe"))).display["place"] == apart


# ---- very many --------------------------------------------------------------------------------------------------------


def options(count: int) -> list[dict[str, Any]]:
    return [{"key": f"o{n}", "label": {"en": f"Option {n}", "zh_CN": f"选项{n}"}} for n in range(count)]


def with_set(count: int, **more: Any) -> dict[str, Any]:
    raw = with_fields(field("big", "option", set="big"), field("bigs", "multi", set="big"))
    raw["option_sets"].append({"key": "big", "label": label("Big"), "options": options(count), **more})
    return raw


@pytest.mark.parametrize("count", [2000, 5000])
def test_thousands_of_options_are_read_quickly(count: int) -> None:
    assert found(with_set(count)) == {}
    assert found(with_fields(field("big", "option", options=options(count)))) == {}


def test_a_tree_of_thousands_is_read_quickly() -> None:
    raw = with_set(2000, tree=True)
    for n, option in enumerate(raw["option_sets"][-1]["options"][1:]):
        option["parent"] = f"o{n}"
    assert found(raw) == {}
    raw["option_sets"][-1]["options"][0]["parent"] = "o1999"
    assert set(found(raw).values()) == {"circle"}


def test_more_options_than_that_are_too_many() -> None:
    assert found(with_set(5001)) == {"option_sets[big].options": "too_many"}
    assert "5000" in str(problems_of(with_set(5001))[0].message)
    assert found(with_fields(field("big", "option", options=options(5001)))) == {"entities[customer].fields[big].options": "too_many"}


def test_one_wrong_option_among_thousands_is_named() -> None:
    raw = with_set(2000)
    raw["option_sets"][-1]["options"][1234]["key"] = "o1233"
    assert found(raw) == {"option_sets[big].options[o1233]": "duplicate_key"}
    raw["option_sets"][-1]["options"][1234]["key"] = "not a key"
    assert found(raw) == {"option_sets[big].options[not a key].key": "bad_key"}
    raw = with_fields(field("big", "option", options=options(2000)))
    customer(raw)["fields"][-1]["options"][7]["key"] = "not a key"
    assert found(raw) == {"entities[customer].fields[big].options[not a key].key": "bad_key"}


async def test_thousands_of_options_work(database: None) -> None:
    lab = await make_lab(with_set(2000), people=False)
    started = time.monotonic()
    made = await lab.make("customer", name="N", big="o1999", bigs=["o0", "o1234"])
    assert (await lab.get("customer", made)).display["bigs"] == "Option 0, Option 1234"
    page = await execute(await lab.ctx(), ops.List(entity="customer", filter={"field": "big", "op": "eq", "value": "o1999"}))
    assert [r.id for r in page.records] == [made]
    assert time.monotonic() - started < QUICK


KINDS = ("text", "int", "number", "date", "money", "user", "bool", "option", "users", "longtext")


def wide(count: int) -> dict[str, Any]:
    raw = good_bundle()
    have = len(customer(raw)["fields"])
    more = [field(f"f{n}", KINDS[n % len(KINDS)], **({"options": options(2)} if KINDS[n % len(KINDS)] == "option" else {})) for n in range(count - have)]
    customer(raw)["fields"] += more
    return raw


def test_more_than_300_fields_are_too_many() -> None:
    assert found(wide(300)) == {}
    assert found(wide(301)) == {"entities[customer].fields": "too_many"}


async def test_300_fields_work_beyond_the_columns(database: None) -> None:
    """Fields for which no typed column is left live in the document, and are filtered and sorted all the same."""
    raw = wide(300)
    lab = await make_lab(raw, people=False)
    ctx = await lab.ctx()
    entity = ctx.config.entity("customer")
    names = [f["key"] for f in customer(raw)["fields"] if f["key"].startswith("f")]
    typed = {k: {"text": f"t {k}", "int": 7, "number": 1.5, "date": "2025-03-03", "money": "12.50", "user": str(ctx.user_id), "bool": True, "option": "o1", "users": [str(ctx.user_id)],
                 "longtext": "long"}[entity.fields[k].type] for k in names}  # fmt: skip
    crowded = {entity.fields[k].type for k in names if not any(c.isdigit() and ":" not in entity.columns.get(k, ":") for c in entity.columns.get(k, ""))}
    assert {"text", "int", "number", "date", "money"} <= crowded, "the typed columns are used up"
    made = await lab.make("customer", name="Wide", **typed)
    other = await lab.make("customer", name="Narrow", **{k: None for k in names})
    record = await lab.get("customer", made)
    for key in names:
        wanted = {"amount": "12.50", "currency": "CNY"} if entity.fields[key].type == "money" else typed[key]
        assert record.values[key] == wanted, key
    for kind in ("text", "int", "number", "date", "money", "bool", "option"):
        key = [k for k in names if entity.fields[k].type == kind][-1]  # the last ones came too late for a column
        value = {"text": f"t {key}", "int": 7, "number": 1.5, "date": "2025-03-03", "money": 12.5, "bool": True, "option": "o1"}[kind]
        page = await execute(ctx, ops.List(entity="customer", filter={"field": key, "op": "eq", "value": value}, sort=(f"-{key}",)))
        assert [r.id for r in page.records] == [made], key
        page = await execute(ctx, ops.List(entity="customer", sort=(key,)))
        assert [r.id for r in page.records] == [made, other], key
    changed = await execute(ctx, ops.Update(entity="customer", id=made, values={names[-10]: None}))
    assert changed.record.values[names[-10]] is None


# ---- pipelines and roles -----------------------------------------------------------------------------------------------


def test_a_pipeline_has_an_end() -> None:
    raw = good_bundle()
    for stage in raw["pipelines"][0]["stages"]:
        stage["kind"] = "open"
    assert found(raw) == {"pipelines[deal].stages": "no_final_stage"}
    raw["pipelines"][0]["stages"] = []
    assert found(raw)["pipelines[deal].stages"] == "too_few"


@pytest.mark.parametrize("roles", [lambda r: r[1:], lambda r: [{**r[0], "admin": False}, *r[1:]], lambda r: []])
def test_some_role_keeps_every_right(roles: Any) -> None:
    raw = good_bundle()
    raw["roles"] = roles(raw["roles"])
    assert found(raw)["roles"] == "no_admin"
    sentence = next(p for p in problems_of(raw) if p.code == "no_admin")
    assert "nobody could manage" in str(sentence.message) and "admin" in str(sentence.hint)


def test_people_from_outside_are_no_administrators() -> None:
    raw = good_bundle()
    raw["roles"][0]["external"] = True
    assert found(raw) == {"roles[admin].external": "external_admin"}


# ---- odd JSON ----------------------------------------------------------------------------------------------------------


def nested(levels: int, make: Any) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = make(value)
    return value


@pytest.mark.parametrize("levels", [60, 5_000, 100_000])
def test_deep_nesting_is_refused_where_it_is(levels: int) -> None:
    raw = good_bundle()
    raw["views"][0]["filter"] = {"and": [nested(levels, lambda v: [v])]}
    assert {code for code in found(raw).values()} == {"too_deep"}
    raw = good_bundle()
    raw["views"][0]["filter"] = nested(levels, lambda v: {"not": v})
    (path,) = found(raw)
    assert path.startswith("views[customer:mine].filter.not")


def test_deep_filters_and_expressions_are_refused() -> None:
    raw = good_bundle()
    raw["views"][0]["filter"] = nested(30, lambda v: {"not": v or {"field": "grade", "op": "eq", "value": "a"}})
    assert set(found(raw).values()) == {"bad_filter"}
    for text in ("not " * 400 + "true", "(" * 900 + "credit" + ")" * 900 + " + 'a' > 1", "if(true, " * 60 + "true" + ", false)" * 60, "[" * 500 + "]" * 500):
        raw = good_bundle()
        customer(raw)["rules"][0]["expr"] = text
        assert found(raw) == {"entities[customer].rules[credit_known].expr": "bad_expression"}


def test_huge_texts_are_refused_and_not_repeated() -> None:
    huge = "x" * 5_000_000
    for change, path, code in (
        (lambda r: customer(r)["label"].update(en=huge), "entities[customer].label.en", "too_long"), (lambda r: customer(r)["rules"][0].update(expr=huge), "entities[customer].rules[credit_known].expr", "too_long"),
        (lambda r: customer(r)["fields"][4].update(type=huge), None, "too_long"), (lambda r: r.update({huge: 1}), None, "unknown_property"),
        (lambda r: customer(r)["fields"][2].update(type="text", pattern=huge, options=None), None, None), (lambda r: customer(r)["fields"][1].update(set=huge), None, None),
        (lambda r: r["roles"][1]["menu"][0]["items"].append(huge), None, None), (lambda r: r["views"][0].update(columns=[huge]), None, None),
    ):  # fmt: skip
        raw = good_bundle()
        change(raw)
        problems = found(raw)
        assert problems and (path is None or problems == {path: code}) and (code is None or code in problems.values())
        assert len(json.dumps([[p.path, str(p.message), str(p.hint)] for p in problems_of(raw)])) < 20_000


@pytest.mark.parametrize(
    ("section", "path"), [("entities", "entities[customer]"), ("roles", "roles[sales]"), ("views", "views[customer:mine]"), ("automations", "automations[tidy]"), ("option_sets", "option_sets[grade]")]
)
def test_no_two_definitions_share_a_key(section: str, path: str) -> None:
    raw = good_bundle()
    key = path.split("[")[1].rstrip("]").split(":")[-1]
    raw[section].append(copy.deepcopy(next(d for d in raw[section] if d["key"] == key)))
    assert found(raw)[path] == "duplicate_key"


def test_nothing_stands_twice_in_one_object() -> None:
    """JSON would silently keep the last of the two."""
    text = json.dumps(good_bundle()).replace('"title": "name"', '"title": "name", "title": "phone"', 1)
    with pytest.raises(InvalidDefinition) as caught:
        read_json(text)
    assert [(p.path, p.code) for p in caught.value.problems] == [("title", "duplicate_key")]
    assert read_json(json.dumps(good_bundle())) == good_bundle()
    for broken in ("", "{", "[1,]", "nul", '{"a": 1}}', "[" * 100_000):
        with pytest.raises(InvalidDefinition) as caught:
            read_json(broken)
        assert [p.code for p in caught.value.problems] == ["not_json"]


@pytest.mark.parametrize("value", ["nul\x00", "\ud800 half", float("nan"), float("inf")])
def test_what_cannot_be_stored_is_named(value: Any) -> None:
    raw = good_bundle()
    customer(raw)["fields"][0]["default"] = value
    raw["settings"][0]["default"] = value
    assert found(raw) == {"entities[customer].fields[name].default": "not_storable", "settings[churn_days].default": "not_storable"}
    if isinstance(value, str):
        raw = good_bundle()
        customer(raw)["fields"][0]["key"] = value
        raw[value] = 1
        assert set(found(raw).values()) == {"not_storable"}


@pytest.mark.parametrize("raw", [None, 5, "x", [], True, [[]], {}, {"format": 1}, {"entities": 5}, {"entities": [5], "roles": [5], "format": 1, "pack": 5}, {"entities": [{"fields": [{}]}]}])
def test_what_is_no_bundle_at_all_is_said(raw: Any) -> None:
    assert found(raw)


async def test_a_refused_definition_leaves_everything_as_it_was(fresh_lab: Lab) -> None:
    before = await store.revision(fresh_lab.tenant_id)
    made = await fresh_lab.make("account", name="Kept")
    for change in (
        lambda r: r["entities"][1]["fields"].append({**field("x", "text"), "key": "two words"}), lambda r: r.update(roles=r["roles"][1:]), lambda r: r["entities"][1]["fields"].append(number("x", "x")),
        lambda r: r["entities"][1].update(label={"en": "\x00"}), lambda r: r["pipelines"][0].update(stages=[]),
    ):  # fmt: skip
        raw = copy.deepcopy(dict(before.bundle))
        change(raw)
        with pytest.raises(InvalidDefinition):
            await store.publish(fresh_lab.tenant_id, raw, base_revision=before.number)
    after = await store.revision(fresh_lab.tenant_id)
    assert (after.number, after.hash) == (before.number, before.hash)
    assert (await fresh_lab.get("account", made)).title == "Kept"
