"""Compositions: how many atoms of which species, from a formula, a mapping or a list of species."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from math import gcd, isfinite

from potentia.errors import DataError

__all__ = ["Composition", "composition", "formula", "unit_of"]

Composition = dict[str, int]
"""Number of atoms by species; each at least 1."""

_TOKEN = re.compile(r"(?P<symbol>[A-Z][a-z]*)|(?P<open>[(\[])|(?P<close>[)\]])")
_COUNT = re.compile(r"\d+(?:\.\d+)?")


def composition(value: str | Mapping[str, object], where: str = "") -> Composition:
    """Return the composition that a formula or a mapping tells; ``where`` says in messages where it stood.

    Symbols begin with a capital letter; groups stand in round or square brackets.

    Raises:
        DataError: it is no formula and no mapping, is empty, or counts are not whole.

    >>> composition("Ca10(PO4)6(OH)2")
    {'Ca': 10, 'P': 6, 'O': 26, 'H': 2}
    """
    if isinstance(value, str):
        return _parsed(value, where)
    if not isinstance(value, Mapping):
        raise DataError(f"a composition must be a formula or a mapping of counts, got {value!r}{_in(where)}")
    found = {str(symbol): _whole(count, value, where) for symbol, count in value.items()}
    found = {symbol: count for symbol, count in found.items() if count}
    if not found:
        raise DataError(f"a composition needs at least one atom, got {value!r}{_in(where)}")
    return found


def formula(counts: Mapping[str, int]) -> str:
    """Return the formula, species in the order of ``counts``.

    >>> formula({"Ti": 1, "O": 2})
    'TiO2'
    """
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts.items())


def unit_of(counts: Mapping[str, int]) -> Composition:
    """Return the smallest composition of the same ratios, species sorted.

    >>> unit_of({"Ti": 8, "O": 16})
    {'O': 2, 'Ti': 1}
    """
    unit = reduce(gcd, counts.values())
    return {symbol: counts[symbol] // unit for symbol in sorted(counts)}


def _parsed(text: str, where: str) -> Composition:
    groups: list[Counter[str]] = [Counter()]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise DataError(f"cannot read the formula {text!r} at {text[at:]!r}{_in(where)}: write it like 'TiO2'")
        at = token.end()
        if token["open"]:
            groups.append(Counter())
            continue
        if token["close"] and len(groups) == 1:
            raise DataError(f"a bracket is closed but not opened in the formula {text!r}{_in(where)}")
        inner = groups.pop() if token["close"] else Counter({token["symbol"]: 1})
        count, at = _count_at(text, at, where)
        groups[-1].update({symbol: count * n for symbol, n in inner.items()})
    if len(groups) > 1:
        raise DataError(f"a bracket is not closed in the formula {text!r}{_in(where)}")
    if not groups[0]:
        raise DataError(f"a composition needs at least one atom, got the formula {text!r}{_in(where)}")
    return dict(groups[0])


def _count_at(text: str, at: int, where: str) -> tuple[int, int]:
    """Return the count that stands at ``at`` (1 if none does) and the place behind it."""
    digits = _COUNT.match(text, at)
    if digits is None:
        return 1, at
    count = _whole(float(digits.group()), text, where)
    if count == 0:
        raise DataError(f"a count in a formula must be at least 1, got {text!r}{_in(where)}")
    return count, digits.end()


def _whole(count: object, given: object, where: str) -> int:
    try:
        number = float(count)  # type: ignore[arg-type]  # whatever cannot be is caught
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(count, bool | str) or not isfinite(number) or number != round(number) or number < 0:
        raise DataError(
            f"Composition counts must be integer-valued and not negative, got {count!r} in {given!r}{_in(where)}"
        )
    return round(number)


def _in(where: str) -> str:
    return f" in {where}" if where else ""
