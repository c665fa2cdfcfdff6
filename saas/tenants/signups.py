"""Sign-ups: a company asks for a workspace, confirms by e-mail, and only then is there one. Belongs to no tenant yet, so everything here is
done by the system's role at home, in small functions that say what they do.

A link works once, for a day; the database knows only its hash. The address is kept for whoever asked for two hours: nobody squats on
names by filling in forms. What is answered never depends on whether an e-mail address is known anywhere.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from saas.db import current_database, system_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound, PermissionDenied, TooManyRequests
from saas.i18n import LOCALES, lazy
from saas.tenants import throttles
from saas.tenants.addresses import problem_of, proposals
from saas.tenants.auth import fingerprint
from saas.tenants.features import is_on
from saas.tenants.ids import new_id
from saas.tenants.links import platform_address
from saas.tenants.mail.messages import compose_platform
from saas.tenants.mail.outbox import check_recipient, mail_is_sent, queue_platform_mail
from saas.tenants.plans import catalogue
from saas.tenants.sessions import hash_token
from saas.tenants.users import clean_email

LIFE_HOURS, HELD_HOURS = 24, 2
ANSWER_SECONDS = 0.4  # every answer takes at least this long, so that its time tells nothing
LEAST_SECONDS, MOST_HOURS = 2, 24  # between the form being shown and sent: people need a moment
MOST_HELD_PER_EMAIL = 3  # addresses kept for one e-mail address; a further one gives up the oldest, whose link still works
PER_EMAIL = throttles.Throttle("signup.email", 4, 3600)
PER_NETWORK = throttles.Throttle("signup.ip", 10, 3600)
PER_INSTALLATION = throttles.Throttle("signup.all", 500, 3600)
CHECKS = throttles.Throttle("signup.check", 90, 60)  # addresses looked up while typing
GUESSES = throttles.Throttle("signup.guess", 60, 600)  # links opened
_HOLDS = "confirmed_at IS NULL AND held_until > now() AND expires_at > now()"
_SHOWN = "id, email, slug, company, name, locale, pack_key, plan_key, with_sample, time_zone, expires_at, confirmed_at, made_tenant"
# Whoever confirmed and found the machine switched off under them may confirm again.
_USABLE = (
    "expires_at > now() AND (confirmed_at IS NULL OR (confirmed_at < now() - interval '1 minute' AND NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = made_tenant)))"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a company asks for. `plan_key` "": the installation's choice."""

    company: str
    slug: str
    email: str
    name: str
    locale: str
    pack_key: str
    plan_key: str = ""
    with_sample: bool = True
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """An address somebody may want: `state` is free, taken, reserved or malformed."""

    slug: str
    state: str

    @property
    def is_free(self) -> bool:
        return self.state == "free"


def is_open() -> bool:
    """Whether companies may sign up by themselves: the operator's setting and switch, and somewhere for the link to go."""
    settings = current_database().settings
    return settings.signup_open and is_on(None, "sign_up") and (mail_is_sent() or settings.is_local)


def offered_plans() -> list[str]:
    """Plans a company may choose at sign-up; the first is proposed: the operator's setting, else the smallest that can be tried for some
    days. A plan that is named there but not offered to everybody leaves no choice."""
    plans, named = catalogue(), current_database().settings.signup_plan
    offered = [p.key for p in plans.values() if p.offered]
    if named in plans and not plans[named].offered:
        return [named]
    first = named if named in plans else next((p.key for p in plans.values() if p.offered and p.trial_days), offered[0])
    return [first, *(key for key in offered if key != first)]


# ---- addresses while typing -----------------------------------------------------------------------------------------------


async def look_up(slug: str, ip: str = "") -> Address:
    """Whether an address is still to be had. Says no more than that. Errors: TooManyRequests."""
    await _refuse_flood(CHECKS, ip)
    async with system_transaction("sign_up") as conn:
        return Address(slug, await _state(conn, slug))


async def propose(company: str, ip: str = "") -> Address | None:
    """A free address for a company's name; None where it has no letters. Errors: TooManyRequests."""
    await _refuse_flood(CHECKS, ip)
    found = proposals(company)
    if not found:
        return None
    async with system_transaction("sign_up") as conn:
        gone = await _gone(conn, found)
    return Address(next((slug for slug in found if slug not in gone), found[0]), "free" if set(found) - gone else "taken")


async def _state(conn: Any, slug: str, *, own: UUID | None = None) -> str:
    return problem_of(slug) or ("taken" if await _gone(conn, [slug], own=own) else "free")


async def _gone(conn: Any, slugs: Sequence[str], *, own: UUID | None = None) -> set[str]:
    rows = await conn.fetch(
        f"SELECT slug FROM tenant WHERE slug = ANY($1::text[]) UNION SELECT slug FROM signup WHERE slug = ANY($1::text[]) AND {_HOLDS} AND id IS DISTINCT FROM $2",  # noqa: S608  constants of this file
        list(slugs), own,
    )  # fmt: skip
    return {row["slug"] for row in rows}


# ---- asking ----------------------------------------------------------------------------------------------------------------


async def ask(wanted: Wanted, *, known_packs: Sequence[str], ip: str = "") -> str:
    """Keep what a company asks for and send the link. Returns the link itself only where nobody sends mail and the installation is a
    developer's own machine, else "".

    Errors: InvalidInput (all problems at once), PermissionDenied (sign-up is closed), TooManyRequests for a network that asks for many. An
    e-mail address that is asked for too often gets no further message, and the answer is the same.
    """
    started = time.monotonic()
    try:
        if not is_open():
            raise PermissionDenied(lazy("New companies cannot sign up here at the moment."), reason="closed")
        wanted = _checked(wanted, known_packs)
        return await _ask(wanted, ip)
    finally:
        await asyncio.sleep(max(0.0, ANSWER_SECONDS - (time.monotonic() - started)))


def _checked(wanted: Wanted, known_packs: Sequence[str]) -> Wanted:
    problems: list[FieldProblem] = []
    company, name = " ".join(wanted.company.split()), " ".join(wanted.name.split())
    for field, text, missing in (("company", company, lazy("Please give the name of your company")), ("name", name, lazy("Please give your name"))):
        if not text:
            problems.append(FieldProblem(field, "required", missing))
        elif len(text) > 120:
            problems.append(FieldProblem(field, "too_long", lazy("Use at most %(count)s characters", count=120)))
    email = wanted.email.strip().lower()
    try:
        check_recipient(clean_email(email))
    except InvalidInput as error:
        problems += error.problems
    if wanted.locale not in LOCALES:
        problems.append(FieldProblem("locale", "unknown", lazy("This language is not available")))
    if wanted.pack_key not in known_packs:
        problems.append(FieldProblem("pack", "required", lazy("Please choose what you want to begin with")))
    plans = offered_plans()
    if wanted.plan_key and wanted.plan_key not in plans:
        problems.append(FieldProblem("plan", "unknown", lazy("This plan is not offered")))
    problem = problem_of(wanted.slug)
    if problem:
        problems.append(FieldProblem("slug", problem, said_of(problem)))
    if problems:
        raise InvalidInput(problems)
    return Wanted(company, wanted.slug, email, name, wanted.locale, wanted.pack_key, wanted.plan_key or plans[0], wanted.with_sample, wanted.time_zone)


def said_of(state: str) -> Any:
    """What people read about an address that cannot be had."""
    return {
        "malformed": lazy("Use 3 to 40 small letters, digits and single hyphens"),
        "reserved": lazy("This address is reserved, please choose another"),
        "taken": lazy("This address is taken, please choose another"),
    }[state]


async def _ask(wanted: Wanted, ip: str) -> str:
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    # Counted even if what follows is refused.
    await _refuse_flood(PER_NETWORK, ip)
    async with system_transaction("sign_up") as conn:
        silent = await throttles.take(conn, PER_EMAIL, fingerprint(wanted.email)) > 0
    async with system_transaction("sign_up") as conn:
        # One after the other: two companies cannot both find the same address free.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('signup', 0))")
        mine = await conn.fetchval("SELECT id FROM signup WHERE email = $1 AND slug = $2 AND confirmed_at IS NULL AND expires_at > now()", wanted.email, wanted.slug)
        if await _state(conn, wanted.slug, own=mine) == "taken":
            raise InvalidInput([FieldProblem("slug", "taken", said_of("taken"))])
        if silent:
            return ""
        _refuse(await throttles.take(conn, PER_INSTALLATION))  # only what is really sent: else one machine could close sign-up for everybody
        if mine is not None:  # asked again: a fresh link, the old one ends
            await conn.execute("DELETE FROM signup WHERE id = $1", mine)
        await conn.execute(
            f"UPDATE signup SET held_until = now() WHERE id IN (SELECT id FROM signup WHERE email = $1 AND {_HOLDS} ORDER BY created_at DESC OFFSET $2)", wanted.email, MOST_HELD_PER_EMAIL - 1,  # noqa: S608  constants
        )  # fmt: skip
        await conn.execute(
            "INSERT INTO signup (id, token_hash, email, slug, company, name, locale, pack_key, plan_key, with_sample, time_zone, ip, held_until, expires_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            new_id(), hash_token(token), wanted.email, wanted.slug, wanted.company, wanted.name, wanted.locale, wanted.pack_key, wanted.plan_key, wanted.with_sample, wanted.time_zone,
            ip[:64], now + timedelta(hours=HELD_HOURS), now + timedelta(hours=LIFE_HOURS),
        )  # fmt: skip
        url = platform_address(f"/signup/confirm/{token}")
        values = {"name": wanted.name, "wanted": wanted.company, "host": platform_address("", slug=wanted.slug), "url": url, "hours": LIFE_HOURS}
        await queue_platform_mail(conn, compose_platform("signup", wanted.locale, values), wanted.email, name=wanted.name, is_secret=True)
    return url if not mail_is_sent() and current_database().settings.is_local else ""


async def _refuse_flood(throttle: throttles.Throttle, ip: str) -> None:
    """In a transaction of its own: what was counted stays counted."""
    async with system_transaction("sign_up") as conn:
        seconds = await throttles.take(conn, throttle, throttles.network_of(ip))
    _refuse(seconds)


def _refuse(seconds: int) -> None:
    if seconds:
        raise TooManyRequests(lazy("Too many attempts. Please try again a little later."), retry_after=seconds)


# ---- confirming --------------------------------------------------------------------------------------------------------------


async def find(token: str, ip: str = "") -> dict[str, Any]:
    """The sign-up behind a link, `is_done` when there is a workspace already (`made_tenant`). Looking at it does not use it up.
    Errors: NotFound (unknown, run out), TooManyRequests."""
    async with system_transaction("sign_up") as conn:
        row = await conn.fetchrow(f"SELECT {_SHOWN}, ({_USABLE}) AS is_usable FROM signup WHERE token_hash = $1 AND expires_at > now()", hash_token(token))  # noqa: S608  constants of this file
    if row is None:
        await _refuse_flood(GUESSES, ip)
        raise NotFound(lazy("This link does not work any more."))
    return {**dict(row), "is_done": not row["is_usable"]}


async def claim(token: str, *, slug: str = "") -> Mapping[str, Any]:
    """Use the link up: the sign-up with the id its workspace is to have (`made_tenant`). Whoever comes with the same link at the same moment
    finds nothing. `slug`: another address, where the one asked for went to somebody else meanwhile.
    Errors: NotFound, InvalidInput (slug)."""
    async with system_transaction("sign_up") as conn:
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('signup', 0))")
        row = await conn.fetchrow(f"SELECT {_SHOWN} FROM signup WHERE token_hash = $1 AND {_USABLE} FOR UPDATE", hash_token(token))  # noqa: S608  constants of this file
        if row is None:
            raise NotFound(lazy("This link does not work any more."))
        slug = slug or row["slug"]
        state = await _state(conn, slug, own=row["id"])
        if state != "free":
            raise InvalidInput([FieldProblem("slug", state, said_of(state))])
        row = await conn.fetchrow(f"UPDATE signup SET confirmed_at = now(), made_tenant = $2, slug = $3 WHERE id = $1 RETURNING {_SHOWN}", row["id"], new_id(), slug)  # noqa: S608  constants of this file
    return dict(row)


async def give_back(signup_id: UUID) -> None:
    """The workspace could not be made: the link works again."""
    async with system_transaction("sign_up") as conn:
        await conn.execute("UPDATE signup SET confirmed_at = NULL, made_tenant = NULL WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM tenant t WHERE t.id = made_tenant)", signup_id)
