"""What people find under the bell about approvals, each in their own language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from saas.i18n import LOCALES, pick, use_locale
from saas.i18n import gettext as _
from saas.metadata.config import Entity
from saas.runtime.acts import Act
from saas.runtime.approvals.store import Flow
from saas.runtime.notifications import Notice, deliver
from saas.runtime.present import titles_of
from saas.tenants import user_names

KIND = "approval"


async def asked(act: Act, entity: Entity, flow: Flow, people: Sequence[UUID]) -> None:
    """Those who are to decide, and whoever stands in for them today."""
    deputies = await act.conn.fetch(
        "SELECT deputy_id FROM approval_deputy WHERE tenant_id = $1 AND user_id = ANY($2::uuid[]) AND deputy_id IS NOT NULL AND $3::date BETWEEN first_day AND last_day",
        act.ctx.tenant_id, list(people), act.ctx.today,
    )  # fmt: skip
    told = [p for p in dict.fromkeys([*people, *(r[0] for r in deputies)]) if p != act.ctx.user_id]
    applicant = await _name(act, flow.applicant_id)
    await _tell(
        act, entity, flow, told, lambda title: _("Please decide: %(title)s", title=title),
        lambda: _("%(approval)s, asked for by %(name)s", approval=pick(flow.definition.label), name=applicant) if applicant else pick(flow.definition.label),
    )  # fmt: skip


async def ended(act: Act, entity: Entity, flow: Flow) -> None:
    if flow.applicant_id is None or flow.applicant_id == act.ctx.user_id:
        return

    def title(record: str) -> str:
        match flow.status:
            case "approved":
                return _("Approved: %(title)s", title=record)
            case "rejected":
                return _("Rejected: %(title)s", title=record)
        return _("Withdrawn: %(title)s", title=record)

    await _tell(act, entity, flow, [flow.applicant_id], title, lambda: pick(flow.definition.label))


async def returned(act: Act, entity: Entity, flow: Flow, comment: str) -> None:
    if flow.applicant_id is not None and flow.applicant_id != act.ctx.user_id:
        await _tell(act, entity, flow, [flow.applicant_id], lambda title: _("Returned to you: %(title)s", title=title), lambda: comment)


async def left(act: Act, entity: Entity, flow: Flow, people: Sequence[UUID]) -> None:
    """An application that was returned, whose applicant has left: somebody else has to send it again, or withdraw it."""
    await _tell(act, entity, flow, people, lambda title: _("Returned, and the applicant has left: %(title)s", title=title), lambda: pick(flow.definition.label))


async def commented(act: Act, entity: Entity, flow: Flow, comment: str) -> None:
    """The applicant and those who are asked now."""
    rows = await act.conn.fetch(
        "SELECT DISTINCT p.user_id FROM approval_person p JOIN approval_task t ON t.tenant_id = p.tenant_id AND t.id = p.task_id "
        "WHERE p.tenant_id = $1 AND t.flow_id = $2 AND p.is_open",
        act.ctx.tenant_id, flow.id,
    )  # fmt: skip
    people = {flow.applicant_id, *(r[0] for r in rows)} - {None, act.ctx.user_id}
    await _tell(act, entity, flow, sorted(p for p in people if p), lambda title: _("Comment on %(title)s", title=title), lambda: comment)


async def reminded(act: Act, entity: Entity, flow: Flow, people: Sequence[UUID]) -> None:
    await _tell(act, entity, flow, people, lambda title: _("Still to be decided: %(title)s", title=title), lambda: pick(flow.definition.label))


async def _name(act: Act, person: UUID | None) -> str:
    return (await user_names(act.conn, act.ctx.tenant_id, [person])).get(person, "") if person else ""


async def _tell(act: Act, entity: Entity, flow: Flow, people: Sequence[UUID], title: Callable[[str], str], body: Callable[[], str]) -> None:
    if not people:
        return
    titles, bodies = {}, {}
    for locale in LOCALES:
        with use_locale(locale):
            record = (await titles_of(act.conn, act.ctx.replace(elevated=True, locale=locale), entity, [flow.record_id])).get(flow.record_id, "")
            titles[locale], bodies[locale] = title(record), body()
    await deliver(act.conn, act.ctx, people, Notice(titles, bodies, entity.key, flow.record_id, KIND))
