"""Values made comparable, and how alike two texts are. No database here."""

from __future__ import annotations

import re
import unicodedata

from rapidfuzz import fuzz

from saas.runtime.search import is_han, runs

# What a company's name ends with and says nothing about which company it is. Longest first: each is taken away once.
_FORMS_HAN = re.compile("(?:集团)?(?:股份)?(?:有限)?(?:责任)?(?:合伙企业|公司|事务所)$|株式会社$|有限会社$|^株式会社")
_FORMS = frozenset((
    "ab", "ag", "as", "asa", "bhd", "bv", "co", "company", "corp", "corporation", "cv", "eg", "ehf", "gmbh", "inc", "incorporated", "kft",
    "kg", "kgaa", "kk", "limited", "llc", "llp", "lp", "ltd", "mbh", "nv", "ohg", "oy", "oyj", "plc", "pte", "pty", "sa", "sarl", "sas",
    "sdn", "se", "sl", "spa", "spzoo", "srl", "sro", "ug",
))  # fmt: skip
_SEPARATORS = re.compile(r"[^\w]+|_+")
MAX_GRAMS = 48
LONGEST = 200  # characters of a text that are compared


def folded(text: str) -> str:
    """Full and half width, capitals, and what is no letter or digit make no difference; words stay apart."""
    text = unicodedata.normalize("NFKC", text[: LONGEST * 2]).casefold()
    # Dots and apostrophes stand inside words: “S.A.” is “sa”, “O'Neill” “oneill”.
    return _SEPARATORS.sub(" ", re.sub(r"[.'’]", "", text)).strip()[:LONGEST]


def compact(text: str) -> str:
    """Letters and digits alone."""
    return folded(text).replace(" ", "")


def core(name: str) -> str:
    """A company's name without its legal form: “海鸥仪器（北京）有限公司” is “海鸥仪器 北京”, “Gull Instruments Co., Ltd.” “gull instruments”. A name that
    is nothing else stays as it is."""
    text = folded(name)
    words = [_FORMS_HAN.sub("", word) if is_han(word[-1:]) else word for word in text.split()]
    while words and (not words[-1] or words[-1] in _FORMS):
        words.pop()
    return " ".join(word for word in words if word) or text


def grams(text: str) -> set[str]:
    """Pieces that two similar names share: pairs of Chinese characters, three letters of words, with where a word begins."""
    found: set[str] = set()
    for run in runs(core(text)):
        if is_han(run[0]):
            found.update(run[i : i + 2] for i in range(len(run) - 1))
            if len(run) == 1:
                found.add(run)
        else:
            padded = f"^{run}"
            found.update(padded[i : i + 3] for i in range(max(len(padded) - 2, 1)))
    return set(sorted(found)[:MAX_GRAMS])


def similarity(one: str, other: str, least: int = 0) -> int:
    """How alike two names are, in percent: by the letters that differ, whatever the order of the words and the legal form;
    Chinese characters that sound alike count for half. Below `least` it is not looked at more closely."""
    a, b = core(one), core(other)
    if not a or not b:
        return 0
    one, other = a.replace(" ", ""), b.replace(" ", "")
    best = max(fuzz.ratio(a, b), fuzz.token_sort_ratio(a, b), fuzz.ratio(one, other))
    if best < 100 and (best + 100) / 2 >= least and is_han(one) and is_han(other):  # who types by sound picks another character of the same sound
        from pypinyin import lazy_pinyin  # its dictionary takes a moment to load

        best = max(best, (best + fuzz.ratio(lazy_pinyin(one), lazy_pinyin(other))) / 2)
    return int(best)
