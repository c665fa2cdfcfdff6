"""Why the system role may be used: a closed list. docs/tenancy.md explains each; a test holds the two equal."""

from __future__ import annotations

from typing import Literal

SystemReason = Literal[
    "resolve_host",  # which tenant a host name means, before any tenant is known
    "domains",  # one owner for each proved domain, among all tenants; records are looked at again in turn
    "list_tenants",  # command line and schedulers go through all tenants
    "claim_jobs",  # workers take the next due job of any tenant
    "send_mail",  # senders take the next due message of any tenant; the platform's own messages have none
    "send_outbox",  # senders take the next due effect on the outside world of any tenant
    "operator_console",  # operators look after tenants; every act is audited
    "sign_up",  # a company that signs up is no tenant yet: its request, and whether an address is still to be had
    "find_workspace",  # somebody who forgot their company's address: in which tenants an e-mail address signs in
    "billing",  # an event of the payment provider names a customer, not a tenant
    "delete_tenant",  # removes rows the app role may only append to
    "purge",  # takes purged fields, entities and records out of the history, which the app role may only append to
    "metering",  # which tenants used something, and whose figures are due for a check
    "housekeeping",  # expired sessions, old partitions, retention
    "health",  # is the database there? no tenant is asked about
    "doctor",  # proves roles, policies and isolation
]
