"""Ids are made in an order, are all different, and are what they say they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saas.tenants import new_id

NOW = datetime(2031, 5, 4, 12, tzinfo=UTC)


def test_ids_of_one_moment_sort_as_they_were_made():
    made = [new_id(NOW) for _ in range(10_000)]
    assert made == sorted(made) and len(set(made)) == len(made)
    assert new_id(NOW - timedelta(milliseconds=1)) < made[0] < made[-1] < new_id(NOW + timedelta(milliseconds=1))


def test_an_id_is_a_uuid_of_version_7():
    made = new_id(NOW)
    assert made.version == 7 and made.variant == "specified in RFC 4122"
    assert made.int >> 80 == int(NOW.timestamp() * 1000)
