"""Make a document of the record as a PDF and keep it in its field for files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saas.i18n import lazy, pick
from saas.i18n import noop as N_
from saas.metadata.kinds import ActionType, action_types
from saas.runtime import documents, files
from saas.runtime.actions.set import TARGET
from saas.runtime.acts import ActionRun
from saas.runtime.documents.typesetting import pdf
from saas.runtime.records import find, update


@action_types.register
class GenerateDocument(ActionType):
    key = "generate_document"
    label = lazy("Make a document")
    icon = "printer"
    options_schema = {
        "type": "object",
        "description": N_("A PDF as the document says, kept in the field it names; where that holds several files, earlier ones stay."),
        "properties": {"document": {"type": "string", "maxLength": 48, "title": N_("Document"), "x-control": "document"}, "target": TARGET},
        "required": ["document"],
        "additionalProperties": False,
    }

    async def run(self, run: ActionRun, options: Mapping[str, Any]) -> None:
        found = await run.target(options.get("target"))
        defn = next((d for d in run.ctx.config.bundle.documents if d.key == options["document"]), None)
        if found is None or defn is None or defn.file_field is None or found[0].key != defn.entity:
            return
        entity, record_id = found
        if run.ctx.foreseeing:  # a file on disk is not taken back
            run.act.effect("generate_document", entity.key, record_id)
            return
        if run.ctx.user is None:  # nobody reads it now: in the company's language
            ctx = run.ctx.replace(locale=run.ctx.tenant.locale)
        else:
            ctx = run.ctx
        sheet = await documents.sheet_of(ctx, defn, record_id)
        info = await files.store_bytes(run.ctx, f"{pick(defn.label, ctx.locale)} {run.ctx.today.isoformat()}.pdf", await pdf(sheet))
        row = await find(run.act.conn, run.ctx, entity, record_id)
        held = list(row.values.get(defn.file_field) or ()) if row is not None and entity.fields[defn.file_field].options.get("multiple") else []
        changed = await update(run.act, entity, record_id, {defn.file_field: [*held, str(info.id)]})
        if not options.get("target"):
            run.row = changed
        run.act.effect("generate_document", entity.key, record_id)
