"""The one Piccolo engine. It never connects by itself, at import or later.

Queries run on the connection of the transaction open in this context (saas.db.scope); without one they are refused, so no
query can forget its tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from piccolo.engine.postgres import PostgresEngine, Savepoint


class JoinedTransaction:
    """What `DB.transaction()` gives inside an open scope: a savepoint, so that an inner failure leaves the outer usable."""

    def __init__(self, scope: Any) -> None:
        self.connection = scope.connection
        self._transaction = scope.connection.transaction()
        self._savepoints = 0

    async def __aenter__(self) -> JoinedTransaction:
        await self._transaction.start()
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            await self._transaction.commit()
        else:
            await self._transaction.rollback()
        return False

    async def savepoint(self, name: str | None = None) -> Savepoint:
        self._savepoints += 1
        name = name or f"savepoint_{self._savepoints}"
        await self.connection.execute(f'SAVEPOINT "{name}"')
        return Savepoint(name=name, transaction=self)  # type: ignore[arg-type]


class TenantEngine(PostgresEngine):
    """PostgresEngine without connections of its own."""

    def __init__(self) -> None:
        super().__init__(config={}, extensions=())

    async def check_version(self) -> None:
        """Not here: it would connect at import."""

    async def prep_database(self) -> None:
        """Not here: it would connect at import."""

    def _scope(self) -> Any:
        scope = self.current_transaction.get()
        if scope is None or scope.is_closed:
            raise RuntimeError("open tenant_transaction() or system_transaction() before running queries")
        return scope

    async def run_querystring(self, querystring: Any, in_pool: bool = True) -> Any:
        query, arguments = querystring.compile_string(engine_type=self.engine_type)
        return await self._scope().connection.fetch(query, *arguments)

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> Any:
        return await self._scope().connection.fetch(ddl)

    async def run_script(self, *statements: str) -> None:
        """For migrations: statements without parameters, each text may hold several."""
        for statement in statements:
            await self._scope().connection.execute(statement)

    async def batch(self, query: Any, batch_size: int = 100, node: str | None = None) -> Any:
        raise RuntimeError("batch() opens a connection without a tenant; use a cursor on the transaction's connection")

    async def get_new_connection(self) -> Any:
        raise RuntimeError("connections are opened by saas.db only")

    async def start_connection_pool(self, **kwargs: Any) -> None:
        raise RuntimeError("use saas.db.open_database")

    def transaction(self, allow_nested: bool = True) -> Any:
        return JoinedTransaction(self._scope())

    def transform_response_to_dicts(self, results: Sequence[Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in results]


DB = TenantEngine()
