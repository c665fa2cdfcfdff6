"""Links to surveys: each for one record, good once and for some days; kept nowhere."""

from __future__ import annotations

import secrets
from uuid import UUID

from saas.metadata.models import WebFormDef
from saas.runtime.context import Context
from saas.tenants.tokens import make_token

SURVEY = "survey"


def survey_path(ctx: Context, form: WebFormDef, record_id: UUID) -> str:
    """The page on which one record's survey is answered: once, for as many days as the form says."""
    until = int(ctx.now.timestamp()) + form.days * 86400
    return f"/f/{form.key}?for={make_token(SURVEY, ctx.tenant_id, {'f': form.key, 'r': str(record_id), 'x': until, 'n': secrets.token_urlsafe(9)})}"
