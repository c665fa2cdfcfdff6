"""Languages: the catalogues are fresh and complete, and texts, plurals, dates, numbers and money come out right in each."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest
from babel.dates import format_date

from saas import i18n
from saas.i18n import LOCALES, LazyString, gettext, lazy, negotiate, ngettext, noop, pick, use_locale
from saas.metadata.kinds import field_types
from saas.metadata.models import FieldDef
from tools import messages

# ---- catalogues --------------------------------------------------------------------------------------------------------


def test_catalogues_are_fresh_and_complete():
    """If this fails: python tools/messages.py, then translate what is new in saas/locale/zh_CN/messages.po."""
    assert messages.check(messages.collect()) == []


def test_all_languages_of_the_product_have_a_catalogue():
    assert set(messages.LANGUAGES) == set(LOCALES)
    assert all(messages.path_of(language).exists() for language in LOCALES)


def test_chinese_is_written_as_chinese():
    """Full-width marks behind Chinese characters; no space before a mark, none at the ends but of words that join others."""
    wrong = []
    for message in messages.load(messages.path_of("zh_CN"), "zh_CN"):
        strings = message.string if isinstance(message.string, tuple | list) else [message.string]
        for text in strings if message.id else []:
            if messages.re.search(r"[\u4e00-\u9fff][,;:?!]|[\u4e00-\u9fff]\.(?!\w)|\s[，。；：？！]|[\u4e00-\u9fff]\([\u4e00-\u9fff]|\.\.\.", text) or (text != text.strip() and message.id == message.id.strip()):
                wrong.append(text)
    assert wrong == []


def _found(tmp_path: Path, **files: str) -> messages.Found:
    for name, source in files.items():
        path = tmp_path / "saas" / name.replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
    return messages.collect(tmp_path / "saas")


def test_texts_are_found_wherever_they_are_marked(tmp_path: Path):
    found = _found(
        tmp_path,
        a__py='x = _("One" if y else "Two")\nz = lazy("Three %(n)s", n=1)\nT = {"title": N_("Four")}\ngettext(variable)\nngettext("a dog", "%(count)s dogs", 3)\n"""_("not this")"""\n',
        b__html="{{ _('Five' if a else 'Six') }}{% trans %}\n  Seven\n{% endtrans %}{{ ngettext('%(count)s cat', '%(count)s cats', n) }}{{ _(x) }}",
    )
    assert found.problems == []
    assert found.messages == {
        "One": None, "Two": None, "Three %(n)s": None, "Four": None, "a dog": "%(count)s dogs", "Five": None, "Six": None, "Seven": None, "%(count)s cat": "%(count)s cats",
    }  # fmt: skip


def test_texts_put_together_at_run_time_are_refused(tmp_path: Path):
    found = _found(tmp_path, a__py='_(f"Hello {name}")\n_("Hello " + name)\n', b__html="{{ _('Hello ' ~ name) }}")
    assert len(found.problems) == 3


def test_wrong_translations_are_told():
    catalog = messages.Catalog(locale="zh_CN", fuzzy=False)
    catalog.add("Hello %(name)s", "你好 %(nmae)s")
    catalog.add("Empty", "")
    catalog.add("Guess", "猜测", flags=["fuzzy"])
    catalog.add(("%(count)s row", "%(count)s rows"), ("一行",))
    catalog.add("Fine", "好")
    told = list(messages.faults(catalog, "zh_CN"))
    assert [any(word in line for line in told) for word in ("nmae", "'Empty'", "'Guess'", "row", "'Fine'")] == [True, True, True, True, False]


def test_an_update_keeps_translations_and_drops_what_is_gone(tmp_path: Path):
    old = messages.Catalog(locale="zh_CN", fuzzy=False)
    old.add("Kept", "保留")
    old.add("Gone", "消失")
    made = messages.build(_found(tmp_path, a__py='_("Kept")\n_("Fresh")\n'), "zh_CN", old)
    assert {m.id: m.string for m in made if m.id} == {"Kept": "保留", "Fresh": ""}
    assert b"Date" not in messages.dump(made, "zh_CN")


def test_moving_a_text_to_another_file_leaves_the_catalogue_fresh():
    assert messages._texts_only(b'#: saas/a.py\nmsgid "x"\n') == messages._texts_only(b'#: saas/b.py\nmsgid "x"\n')
    assert messages._texts_only(b'#, fuzzy\nmsgid "x"\n') != messages._texts_only(b'msgid "x"\n')


# ---- texts -------------------------------------------------------------------------------------------------------------


def test_texts_are_translated_and_filled():
    assert gettext("Save") == "Save"
    with use_locale("zh_CN"):
        assert gettext("Save") == "保存"
        assert gettext("New %(name)s", name="客户") == "新建客户"
        assert gettext("Nobody wrote %(this)s yet", this="x") == "Nobody wrote x yet"


def test_a_text_without_values_may_hold_a_percent_sign():
    assert gettext("40 %") == "40 %"


@pytest.mark.parametrize(("locale", "count", "text"), [("en", 1, "1 record"), ("en", 0, "0 records"), ("en", 5, "5 records"), ("zh_CN", 1, "1 条记录"), ("zh_CN", 5, "5 条记录")])
def test_plural_forms(locale, count, text):
    with use_locale(locale):
        assert ngettext("%(shown)s record", "%(shown)s records", count, shown=count) == text


def test_plurals_nobody_translated_follow_english():
    with use_locale("zh_CN"):
        assert [ngettext("%(count)s zebra", "%(count)s zebras", n) for n in (1, 2)] == ["1 zebra", "2 zebras"]


def test_a_plural_message_can_be_shown_without_a_number():
    assert gettext("%(count)s file") == "%(count)s file"
    with use_locale("zh_CN"):
        assert gettext("%(count)s file", count=2) == "2 个文件"


def test_lazy_texts_speak_the_language_of_the_moment_they_are_shown():
    text = lazy("New %(name)s", name=lazy("Stage"))
    with use_locale("zh_CN"):
        assert (str(text), f"{text}", f"{text:>6}", text.__html__()) == ("新建阶段", "新建阶段", "  新建阶段", "新建阶段")
        assert json.dumps({"a": text}, default=str, ensure_ascii=False) == '{"a": "新建阶段"}'
    assert f"{text}" == "New Stage"


def test_lazy_texts_are_escaped_in_pages():
    assert lazy("%(a)s", a="<b>").__html__() == "&lt;b&gt;"


def test_lazy_texts_compare_and_hash():
    assert lazy("Save") == "Save"
    assert lazy("Save") == lazy("Save") != lazy("Close")
    assert lazy("New %(name)s", name="a") != lazy("New %(name)s", name="b")
    assert len({lazy("x", a=[1]), lazy("x", a=[1]), LazyString("x")}) == 2  # values need not be hashable


def test_texts_are_put_together_with_the_marks_of_the_language():
    assert (i18n.listed(["a", lazy("Save")]), i18n.sentences(["a", "b"]), i18n.titled("a", "b"), i18n.titled("", "b")) == ("a, Save", "a; b", "a: b", "b")
    with use_locale("zh_CN"):
        assert (i18n.listed(["甲", lazy("Save")]), i18n.sentences(["甲", "乙"]), i18n.titled("甲", "乙"), i18n.titled("", "乙")) == ("甲、保存", "甲；乙", "甲：乙", "乙")


def test_marking_changes_nothing():
    assert noop("Save") == "Save"


async def test_tasks_keep_their_own_language():
    async def say(locale: str) -> str:
        with use_locale(locale):
            await asyncio.sleep(0)
            return gettext("Save")

    assert await asyncio.gather(say("zh_CN"), say("en"), say("zh_CN")) == ["保存", "Save", "保存"]


def test_an_unknown_language_is_english():
    with use_locale("tlh"):
        assert (i18n.get_locale(), gettext("Save")) == ("en", "Save")


def test_catalogues_are_read_once():
    i18n.load()
    before = i18n._catalogue.cache_info().misses
    for locale in LOCALES:
        with use_locale(locale):
            gettext("Save")
    assert i18n._catalogue.cache_info().misses == before


def test_labels_of_the_configuration_fall_back():
    assert pick({"en": "Deal", "zh_CN": "商机"}, "zh_CN") == "商机"
    assert pick({"en": "Deal"}, "zh_CN") == "Deal"
    assert pick({"zh_CN": "商机"}, "en") == "商机"
    assert pick("plain") == "plain"
    assert pick(None) == pick({}) == ""


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"), ("en-GB,en;q=0.9,zh;q=0.8", "en"), ("en; q=0.3, zh-Hans; q=0.7", "zh_CN"), ("fr,de", "en"), ("zh;q=0,en;q=0.1", "en"),
        ("", "en"), (None, "en"), ("zh;q=much", "en"), ("*", "en"),
    ],
)  # fmt: skip
def test_the_language_of_a_browser(header, locale):
    assert negotiate(header) == locale


# ---- dates, numbers, money ---------------------------------------------------------------------------------------------


def _show(type_: str, value: object, locale: str, **options: object) -> str:
    kind = field_types.get(type_)
    with use_locale(locale):
        return kind.display(FieldDef(key="x", type=type_, label={"en": "X"}, options=options), value, None, locale)


def test_numbers_and_money_are_written_as_in_the_language():
    assert _show("number", 1234567.5, "en", scale=1) == _show("number", 1234567.5, "zh_CN", scale=1) == "1,234,567.5"
    price = {"amount": "1234.5", "currency": "CNY"}
    assert (_show("money", price, "en"), _show("money", price, "zh_CN")) == ("CN¥1,234.50", "¥1,234.50")


def test_dates_are_written_as_in_the_language():
    assert (_show("date", "2025-03-31", "en"), _show("date", "2025-03-31", "zh_CN")) == (
        format_date(date(2025, 3, 31), "medium", "en"), format_date(date(2025, 3, 31), "medium", "zh_CN"),
    )  # fmt: skip
    assert (_show("bool", True, "en"), _show("bool", True, "zh_CN")) == ("Yes", "是")
