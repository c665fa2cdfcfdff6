"""Check digits: the algorithms a checked code may name. Each says what form a code has, and whether its digits agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saas.i18n import LazyString, lazy
from saas.i18n import noop as N_

USCC_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@dataclass(frozen=True, slots=True)
class CheckDigit:
    """`pattern` is of the whole code, without separators, in capitals; `form` says the same in words."""

    title: str
    pattern: str
    form: LazyString
    agrees: Callable[[str], bool]


def mod10(code: str) -> bool:
    """Luhn, ISO/IEC 7812: card numbers, IMEI."""
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(code)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def mod11_2(code: str) -> bool:
    """ISO/IEC 7064 MOD 11-2: identity cards, ORCID, ISNI. X stands for ten."""
    total = 0
    for sign in code:
        total = total * 2 + (10 if sign == "X" else int(sign))
    return total % 11 == 1


def mod97(code: str) -> bool:
    """ISO/IEC 7064 MOD 97-10 as ISO 13616 uses it: IBAN."""
    return int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def ean13(code: str) -> bool:
    """GS1: EAN-13, ISBN-13."""
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(code)) % 10 == 0


def uscc(code: str) -> bool:
    """GB 32100-2015: 统一社会信用代码."""
    total = sum(USCC_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(code[:17]))
    return USCC_SIGNS[-total % 31] == code[17]


CHECKS: dict[str, CheckDigit] = {
    "mod10": CheckDigit(N_("Luhn (cards, IMEI)"), "^[0-9]{2,40}$", lazy("Use digits only, the last one being the check digit."), mod10),
    "mod11_2": CheckDigit(N_("ISO 7064 MOD 11-2 (ORCID, ISNI)"), "^[0-9]{1,39}[0-9X]$", lazy("Use digits only; the last sign may be an X."), mod11_2),
    "mod97": CheckDigit(N_("ISO 7064 MOD 97 (IBAN)"), "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", lazy("Use two letters, two digits, then 11 to 30 letters or digits."), mod97),
    "ean13": CheckDigit(N_("EAN-13 (products, ISBN)"), "^[0-9]{13}$", lazy("Use exactly 13 digits."), ean13),
    "uscc": CheckDigit(N_("Unified social credit code (GB 32100)"), f"^[{USCC_SIGNS}]{{2}}[0-9]{{6}}[{USCC_SIGNS}]{{10}}$", lazy("Use 18 digits and capital letters, without I, O, S, V and Z."), uscc),
}  # fmt: skip
