"""What follows from the pools of an entity: the field that counts the days left, and the scheduled rules that warn and bring records back.

The field and the rules are made of one expression, so that what people read in a list is what happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from saas.metadata import models as m

COUNTDOWN = "days_left"
POOL_VIEW = "pool_"  # the view of what lies in a pool is called so and by the pool's key
TOUCHED = "touched_at"
KEYS = (COUNTDOWN, TOUCHED)  # fields that an entity has when records come back to a pool by themselves
AT = "5 0 * * *"  # once a day, soon after midnight where the company is


def amount_text(amount: m.Amount) -> str:
    """A number, or the setting that holds it, as an expression."""
    return f"setting('{amount}')" if isinstance(amount, str) else str(amount)


def countdown(pools: Sequence[m.PoolDef], released_from: Mapping[str, Sequence[str]], label: m.Label) -> Iterator[m.FieldDef]:
    """The field that says in how many days a record comes back to its pool; nothing for what nobody owns or what stays."""
    text = "null"
    for pool in reversed(pools):  # the first pool whose condition holds is a record's own
        left = _left(pool, released_from.get(pool.key, ("",)))
        text = left if not pool.when else text if left == text == "null" else f"if({pool.when}, {left}, {text})"
    if text != "null":
        yield m.FieldDef(
            key=COUNTDOWN, type="formula", label=label or m.TITLES[COUNTDOWN], made=True, options={"expr": f"if(owner == null, null, {text})", "returns": "int"},
        )  # fmt: skip


def _left(pool: m.PoolDef, released_from: Sequence[str]) -> str:
    if pool.recycle_days is None:
        return "null"
    field, *stages = released_from
    stands = f"{field} in [{', '.join(repr(s) for s in stages)}]" if field else ""
    stays = f"not ({pool.recycle_unless})" if pool.recycle_unless else ""
    conditions = " and ".join(f"({c})" for c in (stands, stays) if c)
    left = f"{amount_text(pool.recycle_days)} - days_between(coalesce({TOUCHED}, updated_at), today())"
    return f"if({conditions}, {left}, null)" if conditions else left


def pool_schedules(entity: m.EntityDef) -> Iterator[m.ScheduleDef]:
    """Warnings first, the last of them first, so that nobody hears two on one day; then the return."""
    others: list[str] = []
    for pool in entity.pools:
        among = "".join([*(f" and not ({when})" for when in others), f" and ({pool.when})" if pool.when else ""])
        others.append(pool.when or "true")
        if pool.recycle_days is None:
            continue
        for days in sorted(pool.warn_days):
            yield m.ScheduleDef(
                key=f"pool_{entity.key}_{pool.key}_warn_{days}", label=_titled(pool, {"en": "warning", "zh_CN": "提醒"}), cron=AT, entity=entity.key,
                do=(m.ActionDef("warn_owner", {"pool": pool.key, "days": days}),), where=f"{COUNTDOWN} <= {days} and {COUNTDOWN} > 0{among}",
            )  # fmt: skip
        yield m.ScheduleDef(
            key=f"pool_{entity.key}_{pool.key}_return", label=_titled(pool, {"en": "return", "zh_CN": "收回"}), cron=AT, entity=entity.key,
            do=(m.ActionDef("to_pool", {"pool": pool.key, "overdue": True}),), where=f"{COUNTDOWN} <= 0{among}",
        )  # fmt: skip


def _titled(pool: m.PoolDef, what: m.Label) -> m.Label:
    return {locale: f"{pool.label.get(locale) or next(iter(pool.label.values()), pool.key)}: {text}" for locale, text in what.items()}
