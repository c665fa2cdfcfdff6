"""The only code that speaks about connections: tenants' transactions, the system role, the embedded server, migrations."""

from saas.db.reasons import SystemReason
from saas.db.scope import (
    close_database,
    count_queries,
    current_database,
    direct_connection,
    in_transaction,
    only_read,
    open_database,
    own_limits,
    query_count,
    system_transaction,
    tenant_transaction,
)

__all__ = [
    "SystemReason",
    "close_database",
    "count_queries",
    "current_database",
    "direct_connection",
    "in_transaction",
    "only_read",
    "open_database",
    "own_limits",
    "query_count",
    "system_transaction",
    "tenant_transaction",
]
