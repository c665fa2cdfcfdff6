"""Option lists that people keep up to date who configure nothing else: a new exit type is there as soon as it is added.

Each act publishes the live configuration with this one change, so colleagues see it at once and it stands among the revisions like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied
from saas.i18n import gettext as _
from saas.i18n import lazy, pick
from saas.metadata import store
from saas.metadata.edits import key_for
from saas.metadata.models import OptionSetDef
from saas.runtime import configuration, permissions
from saas.runtime.context import Context

LONGEST = 200  # characters of a name
Option = dict[str, Any]


def kept(ctx: Context) -> list[OptionSetDef]:
    """The lists the person keeps up to date."""
    return [s for s in ctx.config.bundle.option_sets if may_keep(ctx, s)]


def may_keep(ctx: Context, options: OptionSetDef) -> bool:
    """People with one of the list's roles; administrators keep those that somebody keeps this way at all."""
    if not options.edit_roles or ctx.user is None or ctx.viewer is not None or ctx.support is not None:
        return False
    return permissions.may_configure(ctx, "config") or any(key in options.edit_roles for key in ctx.user.role_keys)


def kept_list(ctx: Context, key: str) -> OptionSetDef:
    """Errors: NotFound, PermissionDenied."""
    found = next((s for s in ctx.config.bundle.option_sets if s.key == key and s.edit_roles), None)
    if found is None:
        raise NotFound(lazy("There is no such list here."))
    if not may_keep(ctx, found):
        raise PermissionDenied(lazy("Your role does not include this list."))
    return found


async def add(ctx: Context, key: str, label: Mapping[str, str], *, color: str | None = None, parent: str | None = None) -> str:
    """One more option, at the end; returns its key. Errors: NotFound, PermissionDenied, InvalidInput, InvalidDefinition, Conflict."""
    options = kept_list(ctx, key)
    names = _names(label)
    if any(_plain(text) in names for o in options.options for text in map(_plain, o.label.values()) if o.active):
        raise InvalidInput([FieldProblem("label", "known", lazy("There is an option with this name already."))])
    made = key_for(dict(label), {o.key for o in options.options}, "option")

    def change(raw: list[Option]) -> None:
        raw.append({"key": made, "label": _clean(label), **({"color": color} if color else {}), **({"parent": parent} if parent else {})})

    await _publish(ctx, options, change, _("Option “%(name)s” added", name=pick(_clean(label), ctx.locale)))
    return made


async def change(ctx: Context, key: str, option: str, *, label: Mapping[str, str] | None = None, active: bool | None = None) -> None:
    """Rename an option, retire it (records keep it, nobody chooses it any more) or bring it back. Errors: as `add`."""
    options = kept_list(ctx, key)
    if all(o.key != option for o in options.options):
        raise NotFound(lazy("There is no such option here."))
    if label is not None:
        _names(label)

    def apply(raw: list[Option]) -> None:
        for one in raw:
            if one.get("key") == option:
                if label is not None:
                    one["label"] = {**one.get("label", {}), **_clean(label)}
                if active is not None:
                    one.pop("active", None) if active else one.update(active=False)

    await _publish(ctx, options, apply, _("Option “%(name)s” changed", name=option))


async def _publish(ctx: Context, options: OptionSetDef, change: Callable[[list[Option]], None], message: str) -> None:
    permissions.require_active(ctx)
    raw = deepcopy(dict((await store.revision(ctx.tenant_id)).bundle or {}))
    found = next((s for s in raw.get("option_sets", ()) if s.get("key") == options.key), None)
    if found is None:
        raise NotFound(lazy("There is no such list here."))
    change(found["options"])
    # Whoever keeps the list gets no other right by it: what is published differs from what is live by this one option.
    await configuration.publish(ctx.replace(elevated=True), raw=raw, base_revision=ctx.config.revision, message=message)


def _clean(label: Mapping[str, str]) -> dict[str, str]:
    return {locale: " ".join(str(text).split())[:LONGEST] for locale, text in label.items() if str(text).strip()}


def _plain(text: str) -> str:
    return " ".join(str(text).casefold().split())


def _names(label: Mapping[str, str]) -> set[str]:
    names = {_plain(text) for text in _clean(label).values()}
    if not names:
        raise InvalidInput([FieldProblem("label", "required", lazy("Give it a name in at least one language."))])
    return names
