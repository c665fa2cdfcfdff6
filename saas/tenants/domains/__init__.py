"""Addresses of a tenant's own: named by its administrators, proved by a DNS record, answered only while the proof is there (docs/domains.md)."""

from saas.tenants.domains.names import check_name, shown
from saas.tenants.domains.resolver import Answer, DnsResolver, Resolver
from saas.tenants.domains.store import (
    LOSE_DAYS,
    MOST,
    Change,
    Domain,
    Due,
    add_domain,
    apply_answer,
    challenge,
    check_now,
    due_domains,
    forget_unowned,
    is_verified,
    list_domains,
    remove_domain,
    set_main,
    target_of,
)

__all__ = [
    "LOSE_DAYS",
    "MOST",
    "Answer",
    "Change",
    "DnsResolver",
    "Domain",
    "Due",
    "Resolver",
    "add_domain",
    "apply_answer",
    "challenge",
    "check_name",
    "check_now",
    "due_domains",
    "forget_unowned",
    "is_verified",
    "list_domains",
    "remove_domain",
    "set_main",
    "shown",
    "target_of",
]
