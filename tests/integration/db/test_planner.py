"""What the planner is told: an entity belongs to one tenant. Without it, with thousands of tenants, two indexes that begin with both
look equally good, and all rows of a tenant may be read to find those of one record (docs/adr/0010-what-the-planner-sees.md)."""

from __future__ import annotations

from saas.db import direct_connection
from saas.db.roles import OWNER

TWO_WAYS = """
SELECT c.relname AS name FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
AND (SELECT array_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey::int[]) WITH ORDINALITY k (number, place)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number WHERE k.place <= 2) = ARRAY['tenant_id', 'entity_id']::name[]
GROUP BY c.relname HAVING count(*) > 1
"""
TOLD = """
SELECT s.stxrelid::regclass::text AS name FROM pg_statistic_ext s WHERE 'f' = ANY(s.stxkind) AND
(SELECT array_agg(a.attname) FROM unnest(s.stxkeys::int[]) k (number) JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.number) @> ARRAY['tenant_id', 'entity_id']::name[]
"""


async def test_tables_with_two_ways_in_have_statistics_of_tenant_and_entity(database):
    async with direct_connection(OWNER) as conn:
        wanted = {r["name"] for r in await conn.fetch(TWO_WAYS)}
        told = {r["name"] for r in await conn.fetch(TOLD)}
    assert {"stage_history", "search_token", "unique_value", "record_link"} <= wanted
    assert wanted <= told, f"without CREATE STATISTICS: {sorted(wanted - told)}"
    assert {f"record_p{n:02}" for n in range(32)} <= told
