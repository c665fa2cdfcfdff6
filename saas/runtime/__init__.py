"""The generic engine: interprets a tenant's configuration over records. Neighbours import from here."""

from saas.runtime import operations, permissions
from saas.runtime.context import Context, Tenant, User
from saas.runtime.door import execute
from saas.runtime.kinds import load_kinds

__all__ = ["Context", "Tenant", "User", "execute", "load_kinds", "operations", "permissions"]
