"""Billing: subscriptions at the payment provider, or invoices by hand; what follows for a tenant's plan, seats and status (docs/billing.md).

    client      the way to the provider                  snapshot   what it says about a customer, and what that means: a pure function
    catalogue   plans as its products and prices         apply      from there into the tenant's rows
    checkout    what an administrator does               webhooks   events, stored once, applied by the worker
    dunning     overdue: announced, read-only, suspended extras     what is paid by use
    reconcile   the nightly comparison                   invoices   the operator's own
"""

from saas.tenants.billing import apply, catalogue, checkout, dunning, extras, invoices, reconcile, store, webhooks
from saas.tenants.billing.client import SignatureInvalid, hears_events, is_configured
from saas.tenants.billing.dunning import Reader
from saas.tenants.billing.store import Account

__all__ = [
    "Account", "Reader", "SignatureInvalid", "apply", "catalogue", "checkout", "dunning", "extras", "hears_events", "invoices", "is_configured", "reconcile", "store", "webhooks",
]  # fmt: skip
