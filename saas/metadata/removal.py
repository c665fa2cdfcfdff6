"""Removing a definition together with what refers to it, as far as that needs no guessing: columns, fields of layouts, rights, widgets
about it. Conditions and formulas that need it stay, so that nobody's rights and no automation change their meaning unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from saas.i18n import lazy
from saas.metadata import edits
from saas.metadata import expressions as x
from saas.metadata.mention_expressions import in_filter, in_node
from saas.metadata.mention_readers import NEVER_EMPTY, Pointer
from saas.metadata.mentions import Mention, Mentions, fresh, mentions_of
from saas.metadata.naming import Lookup, Text, called, where
from saas.metadata.property_words import property_word
from saas.metadata.usages import Usage, is_within, usage_text

# When the last entry of a list is cut: what goes with it. "property": the list, "definition": what it is a property of.
EMPTIED: Mapping[tuple[str, str], str] = {
    ("menu", "items"): "definition", ("transition", "from"): "definition", ("automation", "do"): "definition", ("schedule", "do"): "definition",
    ("action", "do"): "definition", ("action", "then"): "property", ("action", "else"): "property", ("action", "to"): "definition", ("template", "to"): "property", ("web_form", "fields"): "definition", ("inbound_hook", "map"): "definition", ("inbound_hook", "values"): "property", ("inbound_hook", "lookup"): "property", ("web_form", "required"): "property", ("web_form", "values"): "property", ("action", "values"): "definition", ("timeline", "sources"): "definition", ("transition", "effects"): "property",
    ("transition", "set"): "property", ("role", "menu"): "property", ("entity", "rules"): "property", ("entity", "unique"): "property",
    ("entity", "duplicates"): "property", ("entity", "pools"): "property", ("pool", "touch_lists"): "property",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Removal:
    """`cleaned` says in sentences what went with the definition, `left` what still refers to it."""

    bundle: dict[str, Any]
    cleaned: tuple[Text, ...] = ()
    left: tuple[Usage, ...] = ()


def removal(raw: Mapping[str, Any], path: str) -> Removal:
    """The bundle without the definition at `path`, and without the references to it that can go."""
    mentions = mentions_of(raw)
    start = next((at for at, spot in mentions.spots.items() if spot.path == path and at), None)
    if start is None:
        return Removal(edits.remove(raw, path) if edits.find(raw, path) is not None else dict(raw))
    run = _Run(mentions)
    run.remove(start)
    return run.done(start)


def remove_with_references(raw: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The bundle of `removal`."""
    return removal(raw, path).bundle


def take_out(raw: Mapping[str, Any], pointers: Iterable[Pointer]) -> dict[str, Any]:
    """The bundle without what stands at some JSON pointers, and without what is nothing without them; definitions that go take
    along what refers to them."""
    run = _Run(mentions_of(raw))
    for pointer in pointers:
        run.cut(pointer, None)
    run.follow()
    return run.done(None).bundle


class _Run:
    def __init__(self, mentions: Mentions) -> None:
        self.mentions = mentions
        self.cuts: dict[Pointer, Mention | None] = {}
        self.filters: dict[Pointer, Mention] = {}
        self.gone: dict[Pointer, str] = {}  # definitions, with their paths
        self.waiting: list[str] = []

    def remove(self, at: Pointer) -> None:
        self.cut(at, None)
        self.follow()

    def cut(self, at: Pointer, mention: Mention | None) -> None:
        if at in self.cuts or self._is_gone(at):
            return
        self.cuts[at] = mention
        if (spot := self.mentions.spots.get(at)) is not None:
            self.gone[at] = spot.path
            self.waiting.append(spot.path)

    def follow(self) -> None:
        """Go on until nothing more goes."""
        while True:
            while self.waiting:
                self._references(self.waiting.pop())
            self._emptied()
            if not self.waiting:
                return

    def _is_gone(self, at: Pointer) -> bool:
        return any(at[:size] in self.gone for size in range(1, len(at) + 1))

    def _references(self, path: str) -> None:
        for mention in self.mentions.within(path):
            if mention.cut is None or self._is_gone(mention.at):
                continue
            if mention.in_filter:
                self.filters.setdefault(mention.cut, mention)
            else:
                self.cut(mention.cut, mention)

    def _emptied(self) -> None:
        """Lists that would be left without entries: some go with what they belong to, some keep theirs."""
        emptied = False
        for parent in list(dict.fromkeys(at[:-1] for at in self.cuts if at)):
            holder, outer = edits_at(self.mentions.raw, parent), self.mentions.spots.get(parent[:-1])
            if not isinstance(holder, (list, dict)) or outer is None or parent in self.mentions.spots:
                continue
            entries = [(*parent, k) for k in (range(len(holder)) if isinstance(holder, list) else holder)]
            if not entries or any(at not in self.cuts for at in entries):
                continue
            name = (outer.kind, str(parent[-1]))
            if name in NEVER_EMPTY:
                for at in entries:
                    del self.cuts[at]
            elif (rule := EMPTIED.get(name)) and (name != ("action", "values") or outer.raw.get("action") == "set"):
                goes = outer.at if rule == "definition" else parent
                if goes not in self.cuts and not self._is_gone(goes):
                    self.cut(goes, self.cuts[entries[0]])
                    emptied = True
        if emptied:  # what holds these may be empty now, too
            self._emptied()

    # ---- the result -----------------------------------------------------------------------------------------------------

    def done(self, start: Pointer | None) -> Removal:
        raw = fresh(self.mentions.raw)
        for at, mention in self.filters.items():
            before = edits_at(raw, at)
            after = strip(before, self.mentions.lookup, self._entity(at), self._is_removed)
            if not self._is_gone(at) and after != before:
                _replace(raw, at, after)
                self.cuts.setdefault(at, mention)
        outermost = [at for at in self.cuts if not any(at[:size] in self.cuts for size in range(1, len(at)))]
        for at in sorted(outermost, reverse=True):
            if at not in self.filters:
                _delete(raw, at)
        cleaned = dict.fromkeys(self._told(at) for at in sorted(outermost) if at != start)
        return Removal(raw, tuple(cleaned), tuple(self._left(raw)))

    def _is_removed(self, target: str) -> bool:
        return any(is_within(target, path) for path in self.gone.values())

    def _entity(self, at: Pointer) -> Any:
        return self.mentions.spots[at[:-1]].entity

    def _told(self, at: Pointer) -> Text:
        lookup, spots = self.mentions.lookup, self.mentions.spots
        if at in spots and spots[at].owner == spots[at].path:
            return lazy("%(what)s goes, too.", what=called(lookup, spots[at].path))
        outer = next(spots[at[:size]] for size in range(len(at) - 1, -1, -1) if at[:size] in spots)
        name = str(at[len(outer.at)])
        return lazy("%(place)s: taken out of “%(property)s”.", place=where(lookup, outer.owner), property=property_word(outer.kind, name, outer.raw))

    def _left(self, raw: Mapping[str, Any]) -> Iterable[Usage]:
        """What still refers to what is gone, once for each sentence."""
        found: dict[tuple[str, str], Usage] = {}
        for path in self.gone.values():
            for mention in self.mentions.within(path):
                if self._is_gone(mention.at) or any(mention.at[:size] in self.cuts for size in range(1, len(mention.at) + 1) if mention.at[:size] not in self.filters):
                    continue
                if mention.in_filter and mention.target not in in_filter(self.mentions.lookup, edits_at(raw, mention.at), self._entity(mention.at)):
                    continue
                usage = Usage(mention.path, str(where(self.mentions.lookup, mention.owner)), str(usage_text(self.mentions, mention)), mention.owner)
                found.setdefault((usage.owner, usage.text), usage)
        return found.values()


def edits_at(raw: Any, pointer: Pointer) -> Any:
    """What stands at a JSON pointer, None where nothing does."""
    for step in pointer:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _delete(raw: Any, at: Pointer) -> None:
    holder = edits_at(raw, at[:-1])
    if (isinstance(holder, list) and isinstance(at[-1], int) and at[-1] < len(holder)) or (isinstance(holder, dict) and at[-1] in holder):
        del holder[at[-1]]  # type: ignore[arg-type]


def _replace(raw: Any, at: Pointer, value: Any) -> None:
    if value is None:
        _delete(raw, at)
    else:
        edits_at(raw, at[:-1])[at[-1]] = value


# ---- filters ------------------------------------------------------------------------------------------------------------

Removed = Callable[[str], bool]


def strip(value: Any, lookup: Lookup, entity: Any, removed: Removed) -> Any:
    """A filter without its conditions on fields that are removed, and without options that are removed where others are named
    beside them. None when no condition is left; a condition on one removed option alone stays: nobody knows what it should be."""
    if isinstance(value, str):
        return _strip_expression(value, lookup, entity, removed)
    if not isinstance(value, Mapping):
        return value
    for word in ("and", "or"):
        if isinstance(value.get(word), list):
            parts = [p for part in value[word] if (p := strip(part, lookup, entity, removed)) is not None]
            return parts[0] if len(parts) == 1 else {word: parts} if parts else None
    if "not" in value:
        inner = strip(value["not"], lookup, entity, removed)
        return None if inner is None else {"not": inner}
    if "expr" in value:
        text = strip(value["expr"], lookup, entity, removed)
        return None if text is None else {"expr": text}
    return _strip_condition(value, lookup, entity, removed)


def _strip_condition(value: Mapping[str, Any], lookup: Lookup, entity: Any, removed: Removed) -> Any:
    lost = [t for t in in_filter(lookup, value, entity) if removed(t)]
    if any(not _is_option(t) for t in lost):
        return None
    if lost and isinstance(value.get("value"), list):
        keys = {t.rpartition("[")[2].rstrip("]") for t in lost}
        return {**value, "value": [v for v in value["value"] if v not in keys] or value["value"]}
    return value


def _strip_expression(text: str, lookup: Lookup, entity: Any, removed: Removed) -> str | None:
    try:
        node = _strip_node(x.parse(text), lookup, entity, removed)
    except x.ExpressionError:
        return text
    return None if node is None else text if node == x.parse(text) else x.dump(node)


def _strip_node(node: x.Node, lookup: Lookup, entity: Any, removed: Removed) -> x.Node | None:
    lost = [t for t in in_node(lookup, node, entity) if removed(t)]
    if all(_is_option(t) for t in lost):
        return node
    if isinstance(node, x.Logic):
        items = [i for item in node.items if (i := _strip_node(item, lookup, entity, removed)) is not None]
        return x.logic(node.op, items) if items else None
    return None


def _is_option(path: str) -> bool:
    return ".options[" in path or ".stages[" in path
