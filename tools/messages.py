"""Message catalogues: collects every text of the product and keeps saas/locale in step with the code.

    python tools/messages.py            # write messages.pot and the messages.po of every language, tell what is new or gone
    python tools/messages.py --check    # change nothing; exit 1 if a catalogue is stale, incomplete or has wrong placeholders

Python is read as a syntax tree, so both halves of `_("a" if x else "b")` are found. Templates are read with Jinja's parser. The files carry neither
dates nor line numbers: a catalogue changes only when a text does.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes
from jinja2.ext import extract_from_ast

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "saas"
LOCALE = SOURCES / "locale"
LANGUAGES = ("en", "zh_CN")
COMPLETE = ("zh_CN",)  # languages in which every message must be translated; English is the source
PLURAL_FORMS = {"en": "nplurals=2; plural=(n != 1);", "zh_CN": "nplurals=1; plural=0;"}

# Marker -> how many leading arguments are texts.
MARKERS = {"_": 1, "gettext": 1, "lazy": 1, "noop": 1, "N_": 1, "ngettext": 2, "lazy_plural": 2}
TEMPLATE_MARKERS = {name: count for name, count in MARKERS.items() if name in ("_", "gettext", "ngettext")}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\{[^{}]*\}\}|\{\w*\}")
SCRIPT_TEXT = re.compile(r"(?<!%)%(?![(%])")


@dataclass
class Found:
    """All messages of the sources, in order of their files, and what could not be read."""

    messages: dict[str, str | None] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, text: str, plural: str | None, place: str) -> None:
        if not text:
            return
        known = self.messages.get(text)
        if known and plural and known != plural:
            self.problems.append(f"{place}: {text!r} has two plurals, {known!r} and {plural!r}")
        self.messages[text] = known or plural
        places = self.places.setdefault(text, [])
        if place not in places:
            places.append(place)


# -- reading the sources ------------------------------------------------------------------------------------------------


def texts_of(node: ast.expr) -> list[str] | None:
    """The literal texts an argument can be; None if it is decided elsewhere (a variable: its text is marked where it is written)."""
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return [text for half in (body, orelse) for text in texts_of(half) or []]
        case ast.BoolOp(values=values):
            return [text for value in values for text in texts_of(value) or []]
        case _:
            return None


def python_messages(source: str, place: str, found: Found) -> None:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        count = MARKERS.get(name)
        if not count or len(node.args) < count:
            continue
        first = node.args[0]
        if isinstance(first, ast.JoinedStr) or (isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add | ast.Mod)):
            found.problems.append(f"{place}:{node.lineno}: a text to translate must be a plain literal with %(name)s placeholders")
            continue
        texts = [texts_of(argument) for argument in node.args[:count]]
        if texts[0] is None:
            continue
        if count == 2:
            if texts[1] is None:
                found.problems.append(f"{place}:{node.lineno}: the plural of {texts[0][0]!r} must be a literal")
            else:
                found.add(texts[0][0], texts[1][0], place)
        else:
            for text in texts[0]:
                found.add(text, None, place)


def _template_texts(node: nodes.Node) -> list[str] | None:
    match node:
        case nodes.Const(value=str() as text):
            return [text]
        case nodes.CondExpr(expr1=first, expr2=second):
            return [text for half in (first, second) if half is not None for text in _template_texts(half) or []]
        case nodes.Or() | nodes.And():
            return [text for half in (node.left, node.right) for text in _template_texts(half) or []]
        case _:
            return None


def template_messages(source: str, place: str, found: Found, environment: Environment) -> None:
    tree = environment.parse(source)
    for call in tree.find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        count = TEMPLATE_MARKERS.get(name)
        if not count or len(call.args) < count:
            continue
        texts = [_template_texts(argument) for argument in call.args[:count]]
        if isinstance(call.args[0], nodes.Concat | nodes.Add | nodes.Mod):
            found.problems.append(f"{place}:{call.lineno}: a text to translate must be a plain literal with %(name)s placeholders")
        if texts[0] is None:
            continue
        if count == 2:
            if texts[1]:
                found.add(texts[0][0], texts[1][0], place)
            else:
                found.problems.append(f"{place}:{call.lineno}: the plural of {texts[0][0]!r} must be a literal")
        else:
            for text in texts[0]:
                found.add(text, None, place)
    for _line, function, message in extract_from_ast(tree, ("trans",)):  # {% trans %} blocks become gettext calls inside
        if function == "trans" and isinstance(message, str):
            found.add(message, None, place)


def collect(root: Path = SOURCES) -> Found:
    found = Found()
    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    environment.policies["ext.i18n.trimmed"] = True
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".py", ".html") and not (path.suffix == ".txt" and path.parent.name == "templates"):
            continue
        place = path.relative_to(root.parent).as_posix()
        source = path.read_text("utf-8")
        if path.suffix == ".py":
            python_messages(source, place, found)
        else:
            template_messages(source, place, found, environment)
    return found


# -- the catalogues -----------------------------------------------------------------------------------------------------


def load(path: Path, language: str | None) -> Catalog:
    if not path.exists():
        return Catalog(locale=language, fuzzy=False)
    with path.open("rb") as stream:
        return read_po(stream, locale=language)


def build(found: Found, language: str | None, old: Catalog) -> Catalog:
    """A catalogue of exactly the messages found, with the translations there are."""
    catalog = Catalog(locale=language, fuzzy=False)
    for text, plural in found.messages.items():
        known = old.get(text)
        string = known.string if known else None
        if known and bool(plural) != isinstance(string, tuple | list):  # became, or stopped being, a plural
            string = (string,) if plural and string else string[0] if string and not plural else None
        if known and plural and isinstance(known.id, tuple | list) and known.id[1] != plural:
            string = None
        catalog.add(
            (text, plural) if plural else text,
            string or (("",) * catalog.num_plurals if plural else ""),
            locations=[(place, None) for place in sorted(found.places[text])],
            flags=[flag for flag in (known.flags if known else ()) if flag == "fuzzy"],
            user_comments=known.user_comments if known else (),
        )
    return catalog


def dump(catalog: Catalog, language: str | None) -> bytes:
    head = ['msgid ""', 'msgstr ""', '"MIME-Version: 1.0\\n"', '"Content-Type: text/plain; charset=utf-8\\n"', '"Content-Transfer-Encoding: 8bit\\n"']
    if language:
        head += [f'"Language: {language}\\n"', f'"Plural-Forms: {PLURAL_FORMS[language]}\\n"']
    body = io.BytesIO()
    write_po(body, catalog, width=0, omit_header=True, sort_output=True, ignore_obsolete=True, include_lineno=False)
    return ("\n".join(head) + "\n\n").encode() + body.getvalue().strip() + b"\n"


def path_of(language: str | None) -> Path:
    return LOCALE / language / "messages.po" if language else LOCALE / "messages.pot"


def faults(catalog: Catalog, language: str) -> Iterator[str]:
    """What is wrong with the translations themselves."""
    for message in catalog:
        if not message.id:
            continue
        plural = isinstance(message.id, tuple | list)
        text = message.id[0] if plural else message.id
        strings = list(message.string) if isinstance(message.string, tuple | list) else [message.string]
        if message.fuzzy:
            yield f"{language}: {text!r} is fuzzy"
        if not all(strings):
            if language in COMPLETE:
                yield f"{language}: {text!r} is not translated"
            continue
        wanted = Counter(PLACEHOLDER.findall(message.id[-1] if plural else text))
        for string in strings:
            given = Counter(PLACEHOLDER.findall(string))
            if set(given) - set(wanted) or set(wanted) - set(given):
                yield f"{language}: {text!r} and {string!r} have different placeholders"
            if SCRIPT_TEXT.search(string) and wanted:
                yield f"{language}: {string!r} has a bare %; write %% beside placeholders"


def _tell(word: str, texts: list[str], known: list[str] = ()) -> None:
    for text in texts:
        near = difflib.get_close_matches(text, known, 1, 0.75)
        print(f"{word}: {text!r}" + (f"  (was {near[0]!r})" if near else ""))


def update(found: Found) -> None:
    for language in (None, *LANGUAGES):
        path = path_of(language)
        old = load(path, language)
        catalog = build(found, language, old)
        if language in COMPLETE:
            before = {m.id[0] if isinstance(m.id, tuple | list) else m.id for m in old if m.id}
            gone = sorted(before - set(found.messages))
            _tell("new", sorted(set(found.messages) - before), gone)
            _tell("obsolete", gone)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = dump(catalog, language)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def _texts_only(content: bytes) -> list[bytes]:
    """Where a text stands does not matter: moving code does not make a catalogue stale."""
    return [line for line in content.splitlines() if not line.startswith(b"#:")]


def check(found: Found) -> list[str]:
    problems = list(found.problems)
    for language in (None, *LANGUAGES):
        path = path_of(language)
        old = load(path, language)
        before = {m.id[0] if isinstance(m.id, tuple | list) else m.id for m in old if m.id}
        name = path.relative_to(ROOT).as_posix()
        problems += [f"{name}: missing {text!r} ({found.places[text][0]})" for text in found.messages if text not in before]
        problems += [f"{name}: obsolete {text!r}" for text in sorted(before - set(found.messages))]
        if not path.exists() or _texts_only(path.read_bytes()) != _texts_only(dump(build(found, language, old), language)):
            problems.append(f"{name} is not up to date; run python tools/messages.py")
        if language:
            problems += faults(old, language)
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Collect the texts of the product into saas/locale.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a catalogue is stale, incomplete or wrong")
    options = parser.parse_args(arguments)
    found = collect()
    if not options.check:
        update(found)
    problems = check(found)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(found.messages)} messages, {len(problems)} problems")
    return 1 if problems and (options.check or found.problems) else 0


if __name__ == "__main__":
    sys.exit(main())
