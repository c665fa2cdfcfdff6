"""Where the payment provider tells that something happened: on the apex host, for programs only."""

from __future__ import annotations

from litestar import Request, Response, Router, post

from saas.errors import NotFound
from saas.log import get_logger
from saas.observe import metrics
from saas.tenants.billing import SignatureInvalid, hears_events, webhooks
from saas.ui.guards import client_ip, site_of

log = get_logger(__name__)


@post("/billing/stripe/webhook", status_code=200, request_max_body_size=webhooks.MAX_BYTES)
async def webhook(request: Request) -> Response[dict[str, str]]:
    """Store the event and answer; the worker does the rest. 400 for what the provider did not sign, 404 where it is not set up."""
    if site_of(request).kind != "apex" or not hears_events():
        raise NotFound()
    try:
        state = await webhooks.receive(await request.body(), request.headers.get("stripe-signature", ""))
    except SignatureInvalid:
        metrics.webhooks.labels("stripe", "forged").inc()
        log.warning("billing.forged_event", ip=client_ip(request))
        return Response({"error": "the signature does not fit"}, status_code=400)
    return Response({"state": state})


router = Router("", route_handlers=[webhook])
