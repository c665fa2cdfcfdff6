"""A Stripe of our own for tests, over real HTTP: what saas/tenants/billing uses of it, in the shapes of API version 2026-10-28.

    async with stripe_open() as stripe:                    # serves on a port of its own
        settings = replace(settings, stripe_api_key="sk_test_x", stripe_api_base=stripe.url, stripe_webhook_secret=stripe.secret)
        stripe.endpoint = "http://localhost:8000/billing/stripe/webhook"   # where events go; None: they are only kept
        stripe.advance(days=31)                            # its clock: renewals, ends of trials, retries of payments
        stripe.declines.add(customer_id)                   # whose card is refused from now on

`python -m tests.stripe_fake --port 8420` serves it for trying things by hand (docs/billing.md).
"""

from tests.stripe_fake.server import stripe_open
from tests.stripe_fake.store import Fake, Refused

__all__ = ["Fake", "Refused", "stripe_open"]
