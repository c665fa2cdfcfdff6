"""Everything that refers to a definition, in plain words: what an admin wants to know before changing or removing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saas.i18n import LazyString, lazy
from saas.metadata.config import Config
from saas.metadata.mentions import Mention, Mentions, mentions_of
from saas.metadata.naming import called, where
from saas.metadata.property_words import property_word
from saas.metadata.unbuild import bundle_to_raw


@dataclass(frozen=True, slots=True)
class Usage:
    """`path` is the place that refers to the definition, `owner` the path of the definition it is part of, `label` that one's
    name, `text` a sentence about it."""

    path: str
    label: str
    text: str
    owner: str = ""


def usages(config: Config | Mapping[str, Any], path: str) -> list[Usage]:
    """What refers to the definition at `path`, in the reader's language, in the order of the bundle. Of a reference to another
    record that includes whatever uses the list on its other side."""
    mentions = mentions_of(config if isinstance(config, Mapping) else config.raw or bundle_to_raw(config.bundle))
    found = {}
    for mention in mentions.found:
        if mention.target in (path, f"{path}.inverse") and not is_within(mention.path, path):
            usage = Usage(mention.path, str(where(mentions.lookup, mention.owner)), str(usage_text(mentions, mention)), mention.owner)
            found.setdefault((mention.owner, usage.text), usage)
    return list(found.values())


def is_within(path: str, outer: str) -> bool:
    """Whether a path leads into the definition at another."""
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def usage_text(mentions: Mentions, mention: Mention) -> LazyString:
    """“View “Mine” of “Customer” shows it as a column”."""
    text = _HOW.get((mention.kind, mention.name)) or _ANYWHERE.get(mention.name)
    place = called(mentions.lookup, mention.owner)
    if text is not None:
        return lazy(text.message, place=place)
    return lazy("%(place)s uses it in “%(property)s”", place=place, property=property_word(mention.kind, mention.name, _definition(mentions, mention)))


def _definition(mentions: Mentions, mention: Mention) -> Mapping[str, Any]:
    """The definition whose property mentions it."""
    at = mention.at
    while at not in mentions.spots or (mentions.spots[at].kind != mention.kind and at):
        at = at[:-1]
    return mentions.spots[at].raw


_ANYWHERE: Mapping[str, LazyString] = {
    "roles": lazy("%(place)s is for this role"),
    "set": lazy("%(place)s offers its options"),
}
_HOW: Mapping[tuple[str, str], LazyString] = {
    ("entity", "title"): lazy("%(place)s takes the names of its records from it"),
    ("entity", "subtitle"): lazy("%(place)s shows it below the name"),
    ("entity", "search"): lazy("%(place)s is searched by it"),
    ("entity", "owner_roles"): lazy("People with this role may own records: %(place)s"),
    ("entity", "assignees"): lazy("%(place)s takes from it to whom a record is assigned"),
    ("rule", "expr"): lazy("%(place)s checks it"),
    ("rule", "field"): lazy("%(place)s shows its message there"),
    ("unique", "fields"): lazy("%(place)s keeps two records from being equal in it"),
    ("duplicate", "match"): lazy("%(place)s looks for similar records by it"),
    ("duplicate", "similar"): lazy("%(place)s looks for similar records by it"),
    ("duplicate", "names"): lazy("%(place)s looks for similar records by it"),
    ("duplicate", "reveal"): lazy("%(place)s tells it of records that may not be seen"),
    ("duplicate", "where"): lazy("%(place)s looks for similar records by it"),
    ("duplicate", "confirm_roles"): lazy("%(place)s lets this role save all the same"),
    ("duplicate", "review"): lazy("%(place)s lets records wait in it"),
    ("against", "entity"): lazy("%(place)s looks for similar records in it"),
    ("against", "fields"): lazy("%(place)s looks for similar records by it"),
    ("against", "reveal"): lazy("%(place)s tells it of records that may not be seen"),
    ("against", "where"): lazy("%(place)s looks for similar records by it"),
    ("entity", "segment_field"): lazy("%(place)s is kept apart by it"),
    ("entity", "segment_roles"): lazy("People with this role see all segments: %(place)s"),
    ("pool", "claim_transition"): lazy("%(place)s does it when a record is claimed"),
    ("pool", "release_transition"): lazy("%(place)s does it when a record is given back"),
    ("pool", "touch_lists"): lazy("%(place)s counts its records as work done"),
    ("pool", "max_held"): lazy("%(place)s limits by it how many records one person may hold"),
    ("pool", "cooldown_days"): lazy("%(place)s takes from it how long a person waits"),
    ("pool", "claims_per_day"): lazy("%(place)s limits by it how often a person claims"),
    ("pool", "recycle_days"): lazy("%(place)s takes records back after so many days"),
    ("tree", "parent"): lazy("%(place)s is a tree by it"),
    ("source", "entity"): lazy("%(place)s shows its records in the timeline"),
    ("source", "via"): lazy("%(place)s shows records in the timeline that are linked by it"),
    ("field", "to"): lazy("%(place)s points to it"),
    ("field", "pipeline"): lazy("%(place)s shows its stages"),
    ("field", "depends_on"): lazy("%(place)s offers options that depend on it"),
    ("field", "picker"): lazy("%(place)s filters by it what can be chosen"),
    ("field", "expr"): lazy("%(place)s is computed from it"),
    ("field", "of"): lazy("%(place)s is computed from it"),
    ("field", "field"): lazy("%(place)s is computed from it"),
    ("field", "where"): lazy("%(place)s is computed from it"),
    ("field", "default"): lazy("%(place)s uses it in its default value"),
    ("option", "parent"): lazy("%(place)s belongs to it"),
    ("department", "parent"): lazy("%(place)s is part of it"),
    ("pipeline", "entity"): lazy("%(place)s moves its records"),
    ("pipeline", "field"): lazy("%(place)s keeps the stage in it"),
    ("transition", "from"): lazy("%(place)s starts there"),
    ("transition", "to"): lazy("%(place)s leads there"),
    ("stage", "if"): lazy("%(place)s depends on it"),
    ("branch", "to"): lazy("%(place)s can lead there"),
    ("transition", "roles"): lazy("%(place)s may be done by this role"),
    ("transition", "require"): lazy("%(place)s requires it"),
    ("transition", "ask"): lazy("%(place)s asks for it"),
    ("transition", "set"): lazy("%(place)s sets values with it"),
    ("role", "entities"): lazy("%(place)s has rights on it"),
    ("right", "fields"): lazy("%(place)s has another right on it than on the rest"),
    ("role", "transitions"): lazy("%(place)s may do it"),
    ("role", "reports"): lazy("%(place)s may open it"),
    ("role", "dashboards"): lazy("%(place)s may open it"),
    ("role", "home"): lazy("%(place)s starts with it"),
    ("menu", "items"): lazy("%(place)s has it in the menu"),
    ("view", "entity"): lazy("%(place)s shows its records"),
    ("view", "columns"): lazy("%(place)s shows it as a column"),
    ("view", "filter"): lazy("%(place)s filters by it"),
    ("view", "sort"): lazy("%(place)s is sorted by it"),
    ("view", "group"): lazy("%(place)s is grouped by it"),
    ("board", "by"): lazy("%(place)s has its columns from it"),
    ("board", "sum"): lazy("%(place)s adds it up above its columns"),
    ("board", "card"): lazy("%(place)s shows it on the cards"),
    ("layout", "entity"): lazy("%(place)s shows its records"),
    ("layout", "header"): lazy("%(place)s shows it in the head"),
    ("section", "fields"): lazy("%(place)s shows it"),
    ("related", "key"): lazy("%(place)s shows this list"),
    ("related", "columns"): lazy("%(place)s shows it as a column"),
    ("param", "field"): lazy("%(place)s lets people choose by it"),
    ("widget", "entity"): lazy("%(place)s counts or lists its records"),
    ("widget", "columns"): lazy("%(place)s shows it as a column"),
    ("widget", "filter"): lazy("%(place)s filters by it"),
    ("widget", "sort"): lazy("%(place)s is sorted by it"),
    ("widget", "report"): lazy("%(place)s shows a figure of it"),
    ("widget", "widget"): lazy("%(place)s shows it"),
    ("measure", "field"): lazy("%(place)s computes with it"),
    ("dimension", "field"): lazy("%(place)s is grouped by it"),
    ("automation", "entity"): lazy("%(place)s watches its records"),
    ("automation", "if"): lazy("%(place)s depends on it"),
    ("trigger", "fields"): lazy("%(place)s runs when it changes"),
    ("trigger", "from"): lazy("%(place)s runs when it is left"),
    ("trigger", "to"): lazy("%(place)s runs when it is reached"),
    ("trigger", "key"): lazy("%(place)s runs after it"),
    ("schedule", "entity"): lazy("%(place)s works on its records"),
    ("schedule", "where"): lazy("%(place)s selects records by it"),
    ("portal", "entity"): lazy("%(place)s is for people who are its records"),
    ("portal", "link"): lazy("%(place)s finds a person's own record by it"),
    ("portal", "email"): lazy("%(place)s finds a person's own record by it"),
    ("portal", "login"): lazy("%(place)s signs people in with it"),
    ("portal", "open_if"): lazy("%(place)s lets people in by it"),
    ("portal", "makers"): lazy("People with this role make accounts: %(place)s"),
    ("portal", "register"): lazy("%(place)s is asked for by it"),
    ("notice", "entity"): lazy("%(place)s shows its records after signing in"),
    ("notice", "text"): lazy("%(place)s shows it after signing in"),
    ("notice", "where"): lazy("%(place)s filters by it"),
    ("approval", "entity"): lazy("%(place)s decides about its records"),
    ("approval", "open_fields"): lazy("%(place)s leaves it open"),
    ("approval", "shown"): lazy("%(place)s shows it to approvers"),
    ("approval_start", "if"): lazy("%(place)s depends on it"),
    ("approval_start", "transitions"): lazy("%(place)s starts after it"),
    ("approval_start", "guards"): lazy("%(place)s has to agree before it"),
    ("approval_step", "if"): lazy("%(place)s depends on it"),
    ("approval_step", "fallback"): lazy("%(place)s asks this role"),
    ("approval_way", "if"): lazy("%(place)s depends on it"),
    ("approver", "role"): lazy("%(place)s asks this role"),
    ("approver", "department"): lazy("%(place)s asks its head"),
    ("approver", "field"): lazy("%(place)s asks the person in it"),
    **{("approval_outcome", name): lazy("%(place)s does it") for name in ("approved", "rejected", "withdrawn", "returned")},
    ("action", "approval"): lazy("%(place)s starts it"),
    ("webhook", "entity"): lazy("%(place)s tells of its records"),
    ("webhook", "if"): lazy("%(place)s depends on it"),
    ("webhook", "fields"): lazy("%(place)s tells it"),
    ("inbound_hook", "entity"): lazy("%(place)s makes records of it"),
    ("inbound_hook", "map"): lazy("%(place)s fills it in"),
    ("inbound_hook", "values"): lazy("%(place)s sets values with it"),
    ("inbound_hook", "lookup"): lazy("%(place)s finds linked records by it"),
    ("inbound_hook", "match"): lazy("%(place)s finds the same record again by it"),
    ("web_form", "entity"): lazy("%(place)s makes records of it"),
    ("web_form", "fields"): lazy("%(place)s asks for it"),
    ("web_form", "required"): lazy("%(place)s requires it"),
    ("web_form", "values"): lazy("%(place)s sets values with it"),
    ("web_form", "answers_to"): lazy("%(place)s says by it what an answer is about"),
    ("action", "survey"): lazy("%(place)s asks it"),
    ("web_form", "match"): lazy("%(place)s finds the same record again by it"),
    ("web_form", "owner_role"): lazy("%(place)s gives records to people with this role"),
    ("template", "entity"): lazy("%(place)s is about its records"),
    ("template", "subject"): lazy("%(place)s shows it in a text"),
    ("template", "body"): lazy("%(place)s shows it in a text"),
    ("template", "to"): lazy("%(place)s is sent to it"),
    ("template", "language"): lazy("%(place)s takes the language from it"),
    ("action", "role"): lazy("%(place)s gives this role"),
    ("action", "template"): lazy("%(place)s sends it"),
    ("action", "entity"): lazy("%(place)s makes records of it"),
    ("action", "values"): lazy("%(place)s sets values with it"),
    ("action", "to"): lazy("%(place)s tells people by it"),
    ("action", "title"): lazy("%(place)s shows it in a text"),
    ("action", "body"): lazy("%(place)s shows it in a text"),
    ("action", "message"): lazy("%(place)s shows it in a text"),
    ("action", "transition"): lazy("%(place)s does it"),
    ("example", "as"): lazy("%(place)s is done by this role"),
    ("example", "given"): lazy("%(place)s names it"),
    ("example_decision", "as"): lazy("%(place)s is decided by this role"),
    ("example", "state"): lazy("%(place)s starts there"),
    ("example_act", "transition"): lazy("%(place)s tries it"),
}
