"""`Desk`: one request of an admin working on their draft."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from litestar import Request, Response

from saas.errors import Conflict, DefinitionProblem, NotFound
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.metadata import drafts, edits
from saas.metadata.anatomy import key_of
from saas.metadata.config import Config, Entity
from saas.metadata.drafts import Draft
from saas.metadata.examined import Examined
from saas.metadata.parse import examine
from saas.metadata.quotas import quota_problems
from saas.metadata.store import canonical
from saas.runtime import Context, configuration, permissions
from saas.ui import settings_views
from saas.ui.guards import Ask, signed_in
from saas.ui.views import Toast

Errors = dict[str, str]


class Desk:
    """What builder pages work with. `raw` is the draft's JSON; `config` what can be understood of it, which may have dangling
    references; `ctx` is the admin under that configuration, for words and choices (it has no columns: read records with `ask.ctx`)."""

    def __init__(self, ask: Ask, draft: Draft) -> None:
        self.ask, self.draft = ask, draft

    @property
    def raw(self) -> Mapping[str, Any]:
        return self.draft.raw

    @cached_property
    def problems(self) -> Sequence[DefinitionProblem]:
        """What stops the draft from being published: what is wrong with it, and what the tenant's plan does not allow."""
        found = self.draft.examined
        return (*found.problems, *quota_problems(found.bundle, configuration.index_quota(self.ask.ctx)))

    @property
    def locale(self) -> str:
        return self.ask.ctx.locale

    @cached_property
    def config(self) -> Config:
        return config_of(self.ask.ctx, self.draft.examined)

    @cached_property
    def ctx(self) -> Context:
        return self.ask.ctx.replace(config=self.config)

    # ---- finding ----------------------------------------------------------------------------------------------------

    def find(self, path: str) -> Any:
        """The definition at a path of the draft. Errors: NotFound."""
        found = edits.find(self.raw, path)
        if found is None:
            raise NotFound()
        return found

    def entity(self, key: str) -> Entity:
        """Errors: NotFound."""
        found = self.config.entities.get(key)
        if found is None:
            raise NotFound()
        return found

    def problems_at(self, path: str) -> list[DefinitionProblem]:
        """Problems of the definition at a path and of what stands below it."""
        return [p for p in self.problems if is_below(p.path, path)]

    # ---- answering --------------------------------------------------------------------------------------------------

    async def page(self, template: str, current: str, *, status: int = 200, **data: Any) -> Response[Any]:
        """`templates/<template>.html`, which extends settings/_layout.html; `current` names the item of the settings menu."""
        async with self.ask.work():
            pass
        return self.ask.page(f"{template}.html", status=status, nav=settings_views.navigation(self.ask.ctx, current), current=current, desk=self.bar(), **data)

    def fragment(self, template: str, *, status: int = 200, **data: Any) -> Response[Any]:
        return self.ask.fragment(f"{template}.html", status=status, **data)

    def bar(self) -> dict[str, Any]:
        """What the draft's bar above every builder page shows."""
        draft = self.draft
        count = len(draft.steps)
        return {
            "changes": count, "text": ngettext("%(count)s unpublished change", "%(count)s unpublished changes", count) if count else "",
            "last": draft.steps[0].title if draft.steps else "", "problems": len(self.problems) if count else 0,
            "problem_text": ngettext("%(count)s problem to solve", "%(count)s problems to solve", len(self.problems)) if self.problems and count else "",
            "conflicts": len(draft.merge.conflicts) if draft.merge else 0, "revision": draft.base,
        }  # fmt: skip

    def done(self, url: str, text: str = "") -> Response[Any]:
        """After a change was taken into the draft."""
        return self.ask.redirect(url, Toast(text or _("Saved in your draft. Nobody else sees it until you publish.")))

    # ---- changing ---------------------------------------------------------------------------------------------------

    def mark(self, path: str) -> str:
        """What a form carries as `_mark`, so that a change made meanwhile in another window is not lost."""
        return mark_of(self.raw, path)

    async def save(
        self, path: str, definition: Any, title: str, *, mark: str | None = None, data: Sequence[Mapping[str, Any]] = (), after: str | None = None, within: str | None = None,
        found: Errors | None = None,
    ) -> Errors:  # fmt: skip
        """Put `definition` at `path` of the draft. Returns {} when it is saved, else what is wrong with it by property path below
        `path` ("" for the whole); then nothing is saved. What other definitions lose by it is no error here: the draft's problems
        name it, and publishing waits until it is solved. `within`: a path further up whose rules this could break (the pipeline of
        a stage, "roles"); such errors come with their whole path. `after`: the key behind which it shall stand in its list, "" for
        the front; None leaves it where it is. `found`: errors the page has found itself; their words go before those of the check."""
        there = edits.find(self.raw, path)
        new = edits.put(self.raw, path, definition)
        if after is not None:
            new = _behind(new, path, after)
        if mark is not None and there is not None and mark != self.mark(path):
            return {"": _changed_elsewhere()}
        around = {p: text for p, text in (await self.check(new, within, whole=True)).items() if not is_below(p, path)} if within is not None else {}
        if around or found:
            errors = {**(found or {})}
            for name, text in (*around.items(), *(await self.check(new, path)).items()):
                errors.setdefault(name, text)
            return errors
        return await self.take(new, title, path=path, data=data, mark=mark)

    async def take(
        self, new: Mapping[str, Any], title: str, *, path: str | None = None, data: Sequence[Mapping[str, Any]] = (), forget: Callable[[Mapping[str, Any]], bool] | None = None,
        mark: str | None = None,
    ) -> Errors:  # fmt: skip
        """Make `new` the draft's bundle. With `path`: refuse problems at and below it that were not there before. `data` steps take the
        place of earlier ones about the same thing; those that `forget` picks are taken back.

        What another window saved since this request began is kept. Where both changed the same, or what stands at `path` is no longer
        what `mark` was made of, nothing is saved: an error with `path`, else Conflict.
        """
        if path is not None:
            found = await self.check(new, path)
            if found:
                return found
        expected = canonical(self.raw)
        if not data and forget is None and canonical(new) == expected:
            return {}  # saved as it was: no step

        def change(raw: Mapping[str, Any], steps: list[dict[str, Any]]) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
            if canonical(raw) != expected:  # two windows saved at this very moment
                from saas.metadata.merge import merge

                merged = merge(self.raw, new, raw)
                if merged.conflicts or (mark is not None and path is not None and edits.find(self.raw, path) is not None and mark != mark_of(raw, path)):
                    raise Conflict(_changed_elsewhere())
                return merged.bundle, _ordered(steps, data, forget)
            return new, _ordered(steps, data, forget)

        try:
            await drafts.edit(self.ask.ctx.tenant_id, self.draft.author_id, title, change)  # `change` runs with the draft locked
        except Conflict as error:
            if path is None:
                raise
            return {"": str(error.message)}
        return {}

    async def check(self, new: Mapping[str, Any], path: str, *, whole: bool = False) -> Errors:
        """New problems of the definition at `path` if the draft were `new`, by property path below it, or by their `whole` path."""
        errors: Errors = {}
        for problem in await self.new_problems(new):
            if is_below(problem.path, path):
                errors.setdefault(problem.path if whole else problem.path[len(path) :].lstrip("."), f"{problem.message} {problem.hint}".strip())
        return errors

    async def new_problems(self, new: Mapping[str, Any]) -> list[DefinitionProblem]:
        """Problems the draft would have if it were `new`, and has not now."""
        bundle, problems = await asyncio.to_thread(examine, new)
        problems = [*problems, *quota_problems(bundle, configuration.index_quota(self.ask.ctx))]
        before = {(p.path, p.code) for p in self.problems}
        return [p for p in problems if (p.path, p.code) not in before]

    async def remove(self, path: str, title: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None) -> None:
        """Take the definition at `path` out of the draft; `change` may do more than that."""
        await self.take(change(self.raw) if change else edits.remove(self.raw, path), title)

    def key(self, label: Mapping[str, str], section: str, fallback: str, *, typed: str = "") -> str:
        """A machine name for a new definition of a list, from its label unless one was typed."""
        items = edits.find(self.raw, section) or []
        return typed or edits.key_for(label, {i.get("key") for i in items if isinstance(i, Mapping)}, fallback)

    # ---- words ------------------------------------------------------------------------------------------------------

    def words(self, label: Any, fallback: str = "") -> str:
        return pick(label or {}, self.locale) or fallback


def mark_of(raw: Mapping[str, Any], path: str) -> str:
    """Of what stands at a path of a bundle; another when anything of it is."""
    return hashlib.sha256(canonical(edits.find(raw, path))).hexdigest()[:16]


def _changed_elsewhere() -> str:
    return _("This was changed in another window meanwhile. Your input is still here: compare, then save again.")


def _ordered(steps: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], forget: Callable[[Mapping[str, Any]], bool] | None) -> list[dict[str, Any]]:
    """The data steps of the draft with new ones: one each about a field's filling, or about one of its options."""
    about = [tuple(step.get(name) for name in ("do", "entity", "field", "from")) for step in new]
    kept = [s for s in steps if tuple(s.get(name) for name in ("do", "entity", "field", "from")) not in about and not (forget and forget(s))]
    return [*map(dict, kept), *map(dict, new)]


def _behind(raw: Mapping[str, Any], path: str, after: str) -> Mapping[str, Any]:
    """The bundle with the item at `path` moved behind its neighbour with the key `after`, or to the front."""
    section, key = edits.parent_of(path), path[path.rindex("[") + 1 : -1]
    keys = [key_of(section.rpartition(".")[2], item) or "" for item in edits.find(raw, section)]
    rest = [k for k in keys if k != key]
    at = rest.index(after) + 1 if after in rest else 0 if after == "" else len(rest)
    return edits.reorder(raw, section, [*rest[:at], key, *rest[at:]])


def is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith((f"{parent}.", f"{parent}["))


def config_of(ctx: Context, found: Examined) -> Config:
    tenant = ctx.tenant
    # Only JSON without a problem can be read by what takes it to be whole; otherwise it is written anew from what was understood.
    return Config(found.bundle, raw=None if found.problems else found.raw, currency=tenant.currency, country=tenant.country, time_zone=tenant.time_zone)


async def open_desk(request: Request) -> Desk:
    """The signed-in admin's desk. Errors: PermissionDenied without the right to configure."""
    ask = await signed_in(request)
    permissions.require_setting(ask.ctx, "config")
    if request.method not in ("GET", "HEAD"):
        permissions.require_active(ask.ctx)
    assert ask.ctx.user_id is not None
    return Desk(ask, await drafts.open_draft(ask.ctx.tenant_id, ask.ctx.user_id))
