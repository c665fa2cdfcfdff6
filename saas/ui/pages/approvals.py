"""Approvals: the inbox, a record's approvals with their drawing, starting one, deciding, deputies.

Who opens it: whoever is asked to decide, several times a day, often on a telephone, straight from a message; they read, decide and go on to the
next. And the applicant, who wants to know where it hangs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from saas.errors import AppError, Conflict, InvalidInput, NotFound
from saas.i18n import gettext as _
from saas.i18n import ngettext, pick
from saas.runtime import execute, permissions
from saas.runtime import operations as ops
from saas.runtime.approvals import deputies, reading
from saas.runtime.present import UNREADABLE
from saas.tenants import find_user
from saas.tenants.ids import uuid_of
from saas.ui import approval_views as views
from saas.ui import formats
from saas.ui.guards import Ask, local_path, signed_in
from saas.ui.pages.settings import date_of
from saas.ui.views import Choice, Empty, Link, Toast

PAGE = 100
MOST_AT_ONCE = 100


# ---- inbox ---------------------------------------------------------------------------------------------------------------


@get("/approvals")
async def inbox(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    return await _inbox(ask, request.query_params.get("box", "mine"), request.query_params.get("approval", ""))


async def _inbox(ask: Ask, box: str, approval: str, *, failures: list[dict[str, str]] | None = None, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    box = box if box in reading.BOXES else "mine"
    async with ask.work():
        found = await reading.tasks(ctx, box, limit=PAGE)
    names = {t.approval_key: t.approval for t in found}
    shown = [t for t in found if not approval or t.approval_key == approval]
    titles = {"mine": _("For me to decide"), "started": _("Started by me"), "done": _("Decided by me")}
    tabs = [Link(text, f"/approvals?box={key}", "", key == box, count=str(ask.waiting or "") if key == "mine" else "") for key, text in titles.items()]
    base = f"/approvals?box={box}"
    filters = [Link(_("All approvals"), base, "", not approval), *(Link(text, f"{base}&approval={key}", "", key == approval) for key, text in sorted(names.items(), key=lambda i: i[1]))]
    empties = {
        "mine": Empty("circle-check", _("Nothing waits for you"), _("When somebody asks you to decide, it appears here and under the bell.")),
        "started": Empty("shield", _("You have started no approval"), _("Where a record needs one, its page has a button.")),
        "done": Empty("history", _("You have decided nothing yet"), _("What you decide can be found here again.")),
    }
    return ask.page(
        "approvals/inbox.html", status=status, box=box, tabs=tabs, filters=filters if len(names) > 1 or approval else [], rows=[views.task(ctx, t) for t in shown],
        empty=empties[box], failures=failures or [], approval=approval,
    )  # fmt: skip


@post("/approvals/bulk", status_code=200)
async def bulk(request: Request) -> Response[Any]:
    """Approve what is ticked, each for itself: what cannot be approved says why, the others are."""
    ask = await signed_in(request)
    form = await ask.form()
    ids = list(dict.fromkeys(i for i in (uuid_of(str(v)) for v in form.getall("ids", [])) if i))[:MOST_AT_ONCE]
    if not ids:
        return ask.redirect("/approvals", Toast(_("Tick at least one row first."), "warn"))
    mine = {t.task_id: t for t in await reading.tasks(ask.ctx, "mine", limit=reading.MAX_TASKS)}
    done, failures = 0, []
    for task_id in ids:
        try:
            entity, record_id, flow_id = await reading.task_place(ask.ctx, task_id)
            await execute(ask.ctx, ops.ActOnApproval(entity=entity, id=record_id, flow=flow_id, act="approve", task=task_id, comment=str(form.get("comment") or "")))
            done += 1
        except AppError as error:
            known = mine.get(task_id)
            failures.append({"title": known.title if known else _("Already gone"), "text": " ".join([str(error.message), *(str(p.message) for p in error.problems)])})
    if failures:
        said = [{"title": ngettext("%(count)s approved", "%(count)s approved", done), "text": ""}] if done else []
        return await _inbox(ask, "mine", "", failures=[*said, *failures], status=422)
    return ask.redirect("/approvals", Toast(ngettext("%(count)s approved", "%(count)s approved", done)))


# ---- a record's approvals ------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/approval")
async def show(request: Request, entity: FromPath[str], record_id: FromPath[UUID]) -> Response[Any]:
    return await _show(await signed_in(request), entity, record_id)


async def _show(ask: Ask, entity: str, record_id: UUID, *, error: AppError | None = None, typed: dict[str, str] | None = None, status: int = 200) -> Response[Any]:
    ctx, url = ask.ctx, f"/r/{entity}/{record_id}/approval"
    async with ask.work() as conn:
        found = await reading.record_flows(ctx, entity, record_id, 20)
        if not found:
            raise NotFound()
        title, fields = await reading.shown_fields(ctx, entity, record_id, found[0].id)
        try:
            record_url = f"/r/{entity}/{record_id}" if (await execute(ctx, ops.Get(entity=entity, id=record_id))) else ""
        except (NotFound, AppError):
            record_url = ""
        people = await reading.offered(conn, ctx)
    defn = ctx.config.entity(entity).defn
    said = {p.field: str(p.message) for p in error.problems if p.field in ("comment", "person", "to")} if isinstance(error, InvalidInput) else {}
    other = "" if error is None or said else " ".join([str(error.message), *(str(p.message) for p in error.problems)])
    return ask.page(
        "approvals/show.html", status=status, title=title if title != UNREADABLE else "", fields=fields, icon_name=defn.icon, plural=pick(defn.plural, ctx.locale),
        flows=[views.flow(ctx, f, url) for f in found], record_url=record_url, people=[Choice(str(i), n) for i, n in people], errors={"comment": "", "person": "", "to": "", **said},
        problem=other, typed={"act": "", "comment": "", **(typed or {})}, next=local_path(ask.request.query_params.get("next"), ""),
    )  # fmt: skip


@post("/r/{entity:str}/{record_id:uuid}/approval/{flow_id:uuid}", status_code=200)
async def act_on(request: Request, entity: FromPath[str], record_id: FromPath[UUID], flow_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    typed = {name: str(form.get(name) or "") for name in ("act", "task", "comment", "to", "person")}
    try:
        change = await execute(
            ask.ctx,
            ops.ActOnApproval(
                entity=entity, id=record_id, flow=flow_id, act=typed["act"], task=uuid_of(typed["task"]), comment=typed["comment"], to=typed["to"] or None, person=uuid_of(typed["person"])
            ),
        )
    except (InvalidInput, Conflict) as error:
        return await _show(ask, entity, record_id, error=error, typed=typed, status=error.status)
    back = f"/r/{entity}/{record_id}" if change.record else "/approvals"
    return ask.redirect(local_path(str(form.get("next") or ""), back), Toast(change.message), *(Toast(w, "warn") for w in change.warnings))


# ---- starting ------------------------------------------------------------------------------------------------------------


@get("/r/{entity:str}/{record_id:uuid}/approval/start/{key:str}")
async def ask_start(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    """What starting it would do, step by step."""
    return await _start(await signed_in(request), entity, record_id, key, {})


@post("/r/{entity:str}/{record_id:uuid}/approval/start/{key:str}/preview", status_code=200)
async def preview(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    steps, problem = await _preview(ask, entity, record_id, key, _typed(await ask.form()))
    return ask.fragment("approvals/_path.html", steps=steps, problem=problem)


def _typed(form: Any) -> dict[str, Any]:
    return {
        "way": str(form.get("way") or ""), "people": [i for i in (uuid_of(str(v)) for v in form.getall("people", [])) if i], "together": form.get("together") == "on",
        "comment": str(form.get("comment") or ""),
    }  # fmt: skip


async def _preview(ask: Ask, entity: str, record_id: UUID, key: str, typed: dict[str, Any]) -> tuple[Any, str]:
    try:
        found = await reading.preview(ask.ctx, entity, record_id, key, way=typed.get("way") or None, people=typed.get("people", ()), together=bool(typed.get("together")))
    except InvalidInput as error:
        return (), " ".join(str(p.message) for p in error.problems)
    return views.steps(ask.ctx, found), ""


async def _start(ask: Ask, entity: str, record_id: UUID, key: str, typed: dict[str, Any], *, error: AppError | None = None, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    async with ask.work():
        record = await execute(ctx, ops.Get(entity=entity, id=record_id))
        found = next((s for s in await reading.startable(ctx, entity, record_id) if s.key == key), None)
        if found is None:
            raise error or Conflict(_("This approval cannot be started now."))
        typed = {"way": found.ways[0][0] if found.ways else "", **typed}
        steps, hint = await _preview(ask, entity, record_id, key, typed)
    url = f"/r/{entity}/{record_id}"
    problem = " ".join([str(error.message), *(str(p.message) for p in error.problems)]) if error else ""
    chosen = set(typed.get("people", ()))
    shown = {
        "label": found.label, "description": found.description, "model": found.model, "url": f"{url}/approval/start/{key}", "cancel_url": url, "title": record.title,
        "plural": pick(ctx.config.entity(entity).defn.plural, ctx.locale), "list_url": f"/r/{entity}", "ways": [(k, t, d, k == typed["way"]) for k, t, d in found.ways],
        "people": [Choice(str(i), n, i in chosen) for i, n in found.people], "limits": _("Name %(least)s to %(most)s people, in the order in which they are asked.", least=found.least, most=found.most),
        "together": bool(typed.get("together")), "comment": typed.get("comment", ""), "problem": problem, "dialog": ask.target == "dialog",
    }  # fmt: skip
    hint = "" if found.model == "adhoc" and not chosen else hint
    if shown["dialog"]:
        return ask.fragment("approvals/_start.html", status=status, start=shown, steps=steps, problem=hint)
    return ask.page("approvals/start.html", status=status, start=shown, steps=steps, problem=hint)


@post("/r/{entity:str}/{record_id:uuid}/approval/start/{key:str}", status_code=200)
async def start(request: Request, entity: FromPath[str], record_id: FromPath[UUID], key: FromPath[str]) -> Response[Any]:
    ask = await signed_in(request)
    typed = _typed(await ask.form())
    try:
        change = await execute(
            ask.ctx,
            ops.StartApproval(entity=entity, id=record_id, approval=key, way=typed["way"] or None, people=typed["people"], together=typed["together"], comment=typed["comment"]),
        )
    except (InvalidInput, Conflict) as error:
        return await _start(ask, entity, record_id, key, typed, error=error, status=error.status)
    return ask.redirect(f"/r/{entity}/{record_id}", Toast(change.message), *(Toast(w, "warn") for w in change.warnings))


# ---- deputies ------------------------------------------------------------------------------------------------------------


@get("/approvals/deputies")
async def show_deputies(request: Request) -> Response[Any]:
    """Opened before a holiday, or by whoever looks after people when somebody is ill (`person`); next they close the page."""
    return await _deputies(await signed_in(request), uuid_of(request.query_params.get("person") or ""), {}, {})


async def _deputies(ask: Ask, person: UUID | None, typed: dict[str, str], errors: dict[str, str], *, status: int = 200) -> Response[Any]:
    ctx = ask.ctx
    whose = person if person is not None and person != ctx.user_id else None
    if whose:
        permissions.require_setting(ctx, "users")
    name = (await find_user(ctx.tenant_id, user_id=whose))["name"] if whose else ""
    async with ask.work() as conn:
        found = await deputies.deputies(ctx, everybody=whose is not None)
        people = await reading.offered(conn, ctx)
    me = whose or ctx.user_id
    rows = [
        {"id": str(d.id), "mine": d.user_id == me, "who": d.deputy if d.user_id == me else d.user, "first": formats.day(ctx, d.first_day), "last": formats.day(ctx, d.last_day),
         "now": d.first_day <= ctx.today <= d.last_day}
        for d in found if me in (d.user_id, d.deputy_id)
    ]  # fmt: skip
    values = {"deputy": "", "first_day": ctx.today.isoformat(), "last_day": "", **typed}
    return ask.page(
        "approvals/deputies.html", status=status, rows=rows, people=[Choice(str(i), n, str(i) == values["deputy"]) for i, n in people if i != me and (not whose or i != ctx.user_id or permissions.is_admin(ctx))], values=values,
        person=str(whose or ""), name=name, errors={"deputy": "", "first_day": "", "last_day": "", **errors},
    )  # fmt: skip


@post("/approvals/deputies", status_code=200)
async def set_deputy(request: Request) -> Response[Any]:
    ask = await signed_in(request)
    form = await ask.form()
    typed = {name: str(form.get(name) or "") for name in ("deputy", "first_day", "last_day")}
    person = uuid_of(str(form.get("person") or ""))
    try:
        await deputies.set_deputy(ask.ctx, uuid_of(typed["deputy"]), date_of(typed["first_day"]), date_of(typed["last_day"]), user_id=person)
    except InvalidInput as error:
        return await _deputies(ask, person, typed, error.by_field(), status=422)
    return ask.redirect("/approvals/deputies" + (f"?person={person}" if person else ""), Toast(_("Saved")))


@post("/approvals/deputies/{deputy_id:uuid}/remove", status_code=200)
async def remove_deputy(request: Request, deputy_id: FromPath[UUID]) -> Response[Any]:
    ask = await signed_in(request)
    person = uuid_of(str((await ask.form()).get("person") or ""))
    await deputies.remove_deputy(ask.ctx, deputy_id)
    return ask.redirect("/approvals/deputies" + (f"?person={person}" if person else ""), Toast(_("Saved")))


router = Router("", route_handlers=[inbox, bulk, show, act_on, ask_start, preview, start, show_deputies, set_deputy, remove_deputy])
