"""Choices: looking up options, and the base of the types that choose from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

from saas.i18n import LazyString, lazy, pick
from saas.metadata.config import Config
from saas.metadata.kinds import FieldType, Source
from saas.metadata.models import FieldDef, OptionDef
from saas.runtime.fields._shared.ids import unique
from saas.runtime.fields._shared.schemas import COLORS
from saas.runtime.fields._shared.texts import encodable

SEPARATORS = re.compile(r"[,，;；、\n]")
_WORDS = {True: ("yes", "true"), False: ("no", "false")}
_UNKNOWN = OptionDef(key="", label={}, color="gray", active=False)


def option_map(field: FieldDef, config: Config) -> Mapping[str, OptionDef]:
    """The field's options by key, made once per configuration. The entry keeps the field, so its id is never reused."""

    def make() -> tuple[FieldDef, dict[str, OptionDef]]:
        if field.options.get("pipeline"):
            stages = config.pipelines[field.options["pipeline"]].stages
            return field, {s.key: OptionDef(key=s.key, label=s.label, color=s.color) for s in stages}
        return field, {option.key: option for option in config.field_options(field)}

    return config.cached(("fields.options", id(field)), make)[1]


def option_text(field: FieldDef, key: str, config: Config, locale: str) -> str:
    """The label; a key that is no longer defined is shown itself."""
    option = option_map(field, config).get(key)
    return (pick(option.label, locale) or option.key) if option else key


def badge(color: str, text: str) -> Markup:
    """Built by hand: lists draw hundreds, and Markup's own formatting takes several times as long."""
    return Markup(f'<span class="badge badge-{color if color in COLORS else "gray"}">{escape(text)}</span>')


def badges(pairs: list[tuple[str, str]]) -> Markup:
    return Markup('<span class="badges">' + "".join(badge(color, text) for color, text in pairs) + "</span>")


def find_option(field: FieldDef, text: str, config: Config) -> str:
    """The key of what was typed or posted: a key, or a label in any language (imports); else the text itself."""
    text = encodable(text).strip()
    options = option_map(field, config)
    if text in options:
        return text
    return _names(field, config).get(_plain(text), text)


def _names(field: FieldDef, config: Config) -> Mapping[str, str]:
    """Keys by whatever an option may be called: its key, its label in any language. Of options called alike the first counts."""

    def make() -> tuple[FieldDef, dict[str, str]]:
        found: dict[str, str] = {}
        for option in option_map(field, config).values():
            for name in (option.key.casefold(), *map(_plain, option.label.values())):
                found.setdefault(name, option.key)
        return field, found

    return config.cached(("fields.names", id(field)), make)[1]


def _plain(text: str) -> str:
    """For comparing labels: capitals, width and how accents are written do not matter."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def find_among(field: FieldDef, names: tuple[str, ...], config: Config) -> str:
    """The key of the option that one of the names belongs to; else the last name."""
    found = [find_option(field, name, config) for name in names if name]
    return next((key for key in found if key in option_map(field, config)), found[-1] if found else "")


def names_of(source: Source, config: Config) -> list[tuple[str, ...]]:
    """What each entry of a value is called: keys before labels; what an id points to by its title alone."""
    if not isinstance(source.value, list):
        words = _WORDS[source.value] if isinstance(source.value, bool) else (source.value,) if isinstance(source.value, str) else ()
        return [(*(words if not source.kind.holds else ()), source.text, source.written(config))]
    labels = [label.strip() for label in SEPARATORS.split(source.text)]
    if len(labels) != len(source.value):  # a label has a comma in it
        labels = [source.text.strip()] if len(source.value) == 1 else [""] * len(source.value)
    keys = ["" if source.kind.holds else str(item) for item in source.value]
    return [] if source.kind.holds == "file" else list(zip(keys, labels, strict=True))


class ChoiceType(FieldType):
    """Base of the types whose value is one key."""

    icon = "list"
    storage = "text"
    expr_type = "option"
    operators = ("eq", "ne", "in", "not_in", "is_empty")
    groupable = True
    expects = lazy("Choose one of the options")

    def value_schema(self, field: FieldDef, config: Config) -> dict[str, Any]:
        return {"enum": list(option_map(field, config))} if option_map(field, config) else {"not": {}}

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        return (encodable(value).strip() or None) if isinstance(value, str) else value

    def from_form(self, field: FieldDef, raw: list[str], config: Config) -> Any:
        return (find_option(field, raw[-1], config) or None) if raw else None

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        return option_text(field, value, config, locale)

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, str):
            return None
        return badge(option_map(field, config).get(value, _UNKNOWN).color, text)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """The option with this key, or with this label in any language; of several choices the first."""
        yield from (find_among(field, names, config) for names in names_of(source, config)[:1])


class ChoiceListType(FieldType):
    """Base of the types whose value is a list of short texts."""

    icon = "tag"
    storage = "doc"
    expr_type = "list"
    many = True
    operators = ("contains", "in", "not_in", "is_empty")
    sortable = False
    most = 200

    def normalise(self, field: FieldDef, value: Any, config: Config) -> Any:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, (list, tuple)):
            return value
        return unique([item for item in map(self.clean_item, value) if item != ""]) or None

    def clean_item(self, item: Any) -> Any:
        return encodable(item).strip() if isinstance(item, str) else item

    def to_form(self, field: FieldDef, value: Any, config: Config) -> Any:
        return value if isinstance(value, list) else [value] if value else []

    def to_expr(self, field: FieldDef, value: Any, config: Config | None = None) -> Any:
        return list(value)

    def from_expr(self, field: FieldDef, value: Any, config: Config) -> Any:
        return self.normalise(field, value, config)

    def display(self, field: FieldDef, value: Any, config: Config, locale: str) -> str:
        separator = "、" if locale.startswith("zh") else ", "
        return separator.join(option_text(field, item, config, locale) for item in value)

    def readings(self, field: FieldDef, source: Source, config: Config) -> Iterator[Any]:
        """Each entry by its key, or by its label in any language; a text as one entry or as several with commas between. If one of
        them is not among the options, all are lost."""
        found = names_of(source, config)
        yield [find_among(field, names, config) for names in found]
        if not isinstance(source.value, list):
            yield self.from_form(field, [word.strip() for word in SEPARATORS.split(source.written(config))], config)

    def cell(self, field: FieldDef, value: Any, text: str, config: Config, locale: str) -> Markup | None:
        if not isinstance(value, list):
            return None
        options = option_map(field, config)
        return badges([(options.get(item, _UNKNOWN).color, option_text(field, item, config, locale)) for item in value])


def retired_problems(field: FieldDef, chosen: list[str], old: Any, config: Config) -> list[tuple[str, LazyString]]:
    """A retired option may stay but not be chosen anew."""
    before = old if isinstance(old, list) else [old]
    options = option_map(field, config)
    if any(key in options and not options[key].active and key not in before for key in chosen):
        return [("retired_option", lazy("This option can no longer be chosen."))]
    return []
