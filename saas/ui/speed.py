"""What the advisor knows about views, in words: badges, reasons, measures before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from saas.i18n import gettext as _
from saas.i18n import pick, titled
from saas.metadata import edits
from saas.runtime import Context, advisor, costs
from saas.ui import formats

Raw = Mapping[str, Any]


def badge(ctx: Context, verdict: advisor.Verdict) -> dict[str, str]:
    """{text, color, tip}: what a list of views shows beside each."""
    text, color = {
        "fast": (_("fast at your size"), "green"), "slow": (_("slow at your size"), "orange"), "unknown": (_("not measured yet"), "gray"),
    }[verdict.state]  # fmt: skip
    return {"text": text, "color": color, "tip": reason(ctx, verdict)}


def reason(ctx: Context, verdict: advisor.Verdict) -> str:
    """Why it is fast or slow, in one or two sentences."""
    found = [took(ctx, verdict.now)] if verdict.now else []
    if verdict.state == "fast":
        if verdict.reason == "few":
            found.append(_("%(count)s records need no index.", count=formats.number(ctx, verdict.records)))
        elif verdict.reason == "served":
            found.append(_("What it filters and sorts by has an index."))
        return " ".join(found)
    found += [costs.burden_words(ctx.locale, b) for b in verdict.burdens[:3]]
    if not verdict.burdens:
        found.append(_("It adds up or counts all records it is about; no index spares that. Narrow its filter.") if verdict.subject.kind != "list" else _("No single condition is to blame. Narrow its filter."))
    elif not any(b.can_be_indexed for b in verdict.burdens):
        found.append(costs.advice(ctx, verdict.burdens))
    return " ".join(found)


def took(ctx: Context, measure: advisor.Measure) -> str:
    """“12 ms for 30,000 records.”"""
    records = formats.number(ctx, measure.records)
    if measure.is_stopped:
        return _("Stopped after %(time)s, with %(records)s records.", time=milliseconds(ctx, measure), records=records)
    return _("%(time)s for %(records)s records.", time=milliseconds(ctx, measure), records=records)


def milliseconds(ctx: Context, measure: advisor.Measure) -> str:
    value = measure.milliseconds
    if value >= 1000:
        return _("%(seconds)s s", seconds=formats.number(ctx, round(value / 1000, 1)))
    return _("%(count)s ms", count=formats.number(ctx, round(value) if value >= 10 else round(value, 1)))


def row(ctx: Context, verdict: advisor.Verdict, draft: Raw) -> dict[str, Any]:
    """One subject for the page and its parts."""
    subject, now, before = verdict.subject, verdict.now, verdict.before
    entity = ctx.config.entity(subject.entity)
    return {
        "path": subject.path, "id": "".join(c if c.isalnum() else "-" for c in subject.path), "name": _name(ctx, subject),
        "icon": "bookmark" if subject.person_id else {"board": "board", "widget": "chart-bar"}.get(subject.kind, "list"), "who": _who(ctx, subject), "entity": pick(entity.defn.plural, ctx.locale), "url": _designer(ctx, subject),
        "state": verdict.state, "badge": badge(ctx, verdict), "reason": reason(ctx, verdict), "stale": verdict.is_stale,
        "milliseconds": now.milliseconds if now else 0.0, "now": milliseconds(ctx, now) if now else "", "before": milliseconds(ctx, before) if before else "", "measured": formats.full(ctx, now.measured_at) if now else "",
        "proposals": [_proposal(ctx, p, draft) for p in verdict.proposals],
    }  # fmt: skip


def _name(ctx: Context, subject: advisor.Subject) -> str:
    """What it is called; a view somebody keeps for themselves only whose it is."""
    name = pick(subject.label, ctx.locale)
    if subject.person_id is not None and not name:
        return _("A view of %(name)s", name=subject.person)
    return titled(pick(subject.owner, ctx.locale), name or subject.path) if subject.owner else name or subject.path


def _who(ctx: Context, subject: advisor.Subject) -> str:
    if subject.person_id is None:
        return ""
    if subject.is_shared:
        return _("saved by %(name)s for everybody", name=subject.person)
    return _("saved by you") if subject.person_id == ctx.user_id else _("name and filter stay private")


def _designer(ctx: Context, subject: advisor.Subject) -> str:
    """Where it is shaped; "" for what nobody else can open."""
    if subject.person_id is not None:
        assert subject.view is not None
        mine = subject.is_shared or subject.person_id == ctx.user_id
        return f"/r/{subject.entity}{'/board' if subject.kind == 'board' else ''}?view={quote(subject.view.key)}" if mine else ""
    if subject.view is not None and subject.view not in ctx.config.bundle.views:
        return f"/r/{subject.entity}"  # nobody shaped it
    if subject.view is not None:
        return f"/settings/views/{subject.entity}/{subject.view.key}"
    section, _bracket, rest = subject.path.partition("[")
    return f"/settings/{section}/{rest.partition(']')[0]}"


def _proposal(ctx: Context, proposal: advisor.Proposal, draft: Raw) -> dict[str, str]:
    found = edits.find(draft, f"entities[{proposal.entity}].fields[{proposal.field}]") or {}
    status = "draft" if proposal.status == "open" and found.get("indexed") else proposal.status
    return {"entity": proposal.entity, "field": proposal.field, "status": status, "name": field_name(ctx, proposal.entity, proposal.field)}


def field_name(ctx: Context, entity: str, key: str) -> str:
    return pick(ctx.config.entity(entity).declared[key].label, ctx.locale) or key


def quota_rows(ctx: Context, found: advisor.Quota) -> list[dict[str, str]]:
    """The fields with an index of their own."""
    words = {"ready": (_("ready"), "green"), "building": (_("being made"), "blue"), "failed": (_("failed"), "red"), "dropping": (_("being removed"), "gray")}
    return [
        {
            "name": titled(pick(ctx.config.entity(entity).defn.plural, ctx.locale), field_name(ctx, entity, key)), "url": f"/settings/entities/{entity}/fields/{key}",
            "status": words[status][0], "color": words[status][1],
        }
        for entity, key, status in found.used
    ]  # fmt: skip
