"""What a tenant asks of its people's accounts: how passwords must be, and who needs a second factor."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from saas.db import tenant_transaction
from saas.errors import FieldProblem, InvalidInput, NotFound
from saas.i18n import lazy
from saas.tenants.audit import record_audit

SHORTEST, LONGEST_MINIMUM, MAXIMUM_LENGTH = 8, 64, 200
DAYS = (1, 1000)  # of a maximum age
REMEMBER = (1, 365)  # days that a device is remembered
_COMMON = Path(__file__).parent / "common_passwords.txt"
_END = re.compile(r"[\d\W_]+\Z")
_PART = 4  # characters of a name that count as one


@dataclass(frozen=True, slots=True)
class SecurityRules:
    """`maximum_days` None: passwords grow no old. `second_factor_roles` counts where not everybody needs one."""

    minimum_length: int = SHORTEST
    refuse_common: bool = True
    refuse_personal: bool = True
    maximum_days: int | None = None
    second_factor_for_all: bool = False
    second_factor_roles: tuple[str, ...] = ()
    successor_required: bool = False  # nobody leaves whose open records nobody takes over
    remember_days: int | None = 30  # so long a device signs in again without a password, where its person said so; None: never

    def needs_second_factor(self, role_keys: Iterable[str]) -> bool:
        return self.second_factor_for_all or any(key in self.second_factor_roles for key in role_keys)

    def check_password(self, password: str, *, name: str = "", email: str = "") -> None:
        """Errors: InvalidInput, whose words say the rule."""
        if len(password) < self.minimum_length:
            raise _refused("too_short", lazy("Use at least %(count)s characters", count=self.minimum_length))
        if len(password) > MAXIMUM_LENGTH:
            raise _refused("too_long", lazy("Use at most %(count)s characters", count=MAXIMUM_LENGTH))
        if email and password.strip().lower() == email.lower():
            raise _refused("too_simple", lazy("The password must not be the e-mail address"))
        if self.refuse_common and is_common(password):
            raise _refused("too_common", lazy("This password is one of those tried first. Choose one that nobody else has"))
        if self.refuse_personal and is_personal(password, name, email):
            raise _refused("personal", lazy("The password must not contain the name or the e-mail address"))

    def to_json(self) -> dict[str, Any]:
        return {
            "minimum_length": self.minimum_length, "refuse_common": self.refuse_common, "refuse_personal": self.refuse_personal,
            "maximum_days": self.maximum_days, "second_factor_for_all": self.second_factor_for_all, "second_factor_roles": list(self.second_factor_roles),
            "successor_required": self.successor_required, "remember_days": self.remember_days,
        }  # fmt: skip


STANDARD = SecurityRules()


def rules_of(text: str | None) -> SecurityRules:
    """From the column `tenant.security`."""
    if not text or text == "{}":
        return STANDARD
    found: Mapping[str, Any] = json.loads(text)
    known = {key: found[key] for key in SecurityRules.__slots__ if key in found}
    return SecurityRules(**{**known, "second_factor_roles": tuple(known.get("second_factor_roles", ()))})


async def security_rules(conn: Any, tenant_id: UUID) -> SecurityRules:
    """Within an open transaction of the tenant."""
    return rules_of(await conn.fetchval("SELECT security FROM tenant WHERE id = $1", tenant_id))


async def get_security_rules(tenant_id: UUID) -> SecurityRules:
    async with tenant_transaction(tenant_id) as conn:
        return await security_rules(conn, tenant_id)


async def set_security_rules(tenant_id: UUID, rules: SecurityRules, *, actor_id: UUID | None = None) -> None:
    """They count from the next request on. Errors: InvalidInput, NotFound."""
    problems = []
    if not SHORTEST <= rules.minimum_length <= LONGEST_MINIMUM:
        problems.append(FieldProblem("minimum_length", "out_of_range", lazy("Between %(least)s and %(most)s", least=SHORTEST, most=LONGEST_MINIMUM)))
    if rules.maximum_days is not None and not DAYS[0] <= rules.maximum_days <= DAYS[1]:
        problems.append(FieldProblem("maximum_days", "out_of_range", lazy("Between %(least)s and %(most)s", least=DAYS[0], most=DAYS[1])))
    if rules.remember_days is not None and not REMEMBER[0] <= rules.remember_days <= REMEMBER[1]:
        problems.append(FieldProblem("remember_days", "out_of_range", lazy("Between %(least)s and %(most)s", least=REMEMBER[0], most=REMEMBER[1])))
    if problems:
        raise InvalidInput(problems)
    async with tenant_transaction(tenant_id) as conn:
        before = await conn.fetchval("SELECT security FROM tenant WHERE id = $1 FOR UPDATE", tenant_id)
        if before is None:
            raise NotFound()
        old, new = rules_of(before).to_json(), rules.to_json()
        await conn.execute("UPDATE tenant SET security = $2::jsonb WHERE id = $1", tenant_id, json.dumps(new))
        await record_audit(conn, tenant_id, "security.changed", actor_id=actor_id, data={key: new[key] for key in new if new[key] != old[key]})


def is_common(password: str) -> bool:
    """One of the eight thousand most used ones, also with digits and signs after it, or the same few characters again and again."""
    text = password.strip().lower()
    return text in _common() or _END.sub("", text) in _common() or len(set(text)) < 4


def is_personal(password: str, name: str, email: str) -> bool:
    text = password.lower()
    local, _, domain = email.lower().partition("@")
    parts = [*re.split(r"[\W_]+", name.lower()), "".join(name.lower().split()), *re.split(r"[\W_]+", local), local, domain]
    return any(part in text for part in parts if len(part) >= _PART or (len(part) >= 2 and not part.isascii()))


@functools.cache
def _common() -> frozenset[str]:
    return frozenset(_COMMON.read_text(encoding="utf-8").split())


def _refused(code: str, message: Any) -> InvalidInput:
    return InvalidInput([FieldProblem("password", code, message)])
