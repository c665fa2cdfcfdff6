"""What a job has done and what is left, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import gettext as _
from saas.i18n import ngettext, pick, sentences
from saas.runtime.backfill.model import Step, step_kinds
from saas.runtime.jobs import JobInfo, JobLine


def lines_of(info: JobInfo) -> list[JobLine]:
    """One line for each step, then what cancelling left undone."""
    memories = (info.result or {}).get("steps") or []
    found, running = [], False
    for place, raw in enumerate(info.payload.get("steps") or ()):
        memory = memories[place] if place < len(memories) else {}
        state = _state(info, memory, first=not running)
        running = running or state == "running"
        found.append(JobLine(_title(Step.from_json(raw)), state, _detail(memory)))
    return found


def _state(info: JobInfo, memory: Mapping[str, Any], *, first: bool) -> str:
    if memory.get("collisions") or memory.get("failed"):
        return "problem"
    if info.status == "done" or memory.get("finished") or memory.get("void"):
        return "done"
    return "running" if info.status == "running" and first else "undone"


def _title(step: Step) -> str:
    kind = step_kinds.find(step.kind)
    what = str(kind.label) if kind else step.kind
    entity, field = pick(step.names.get("entity") or {}) or step.entity, pick(step.names.get("field") or {}) or step.field
    if field:
        return _("%(entity)s, %(field)s: %(what)s", entity=entity, field=field, what=what)
    return _("%(entity)s: %(what)s", entity=entity, what=what)


def _detail(memory: Mapping[str, Any]) -> str:
    if memory.get("void"):
        return _("No longer needed: the configuration changed again.")
    parts = []
    if count := memory.get("changed"):
        parts.append(ngettext("%(count)s record changed.", "%(count)s records changed.", count))
    if count := memory.get("lost"):
        parts.append(ngettext("%(count)s value could not be converted; it comes back if you go back.", "%(count)s values could not be converted; they come back if you go back.", count))
    if count := memory.get("collisions"):
        parts.append(ngettext("%(count)s record has a value that another one had before; it keeps it until somebody edits it.", "%(count)s records have a value that another one had before; they keep it until somebody edits them.", count))
    if count := memory.get("failed"):
        parts.append(ngettext("For %(count)s record no value could be computed.", "For %(count)s records no value could be computed.", count))
    if note := memory.get("note"):
        parts.append(_(note))
    return sentences(parts)
