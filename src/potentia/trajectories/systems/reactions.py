"""Networks of chemical reactions: a text format, rate coefficients, and the rates and Jacobian of mass action.

A line of the file is a reaction, its three coefficients and its type, and ``#`` begins a comment::

    # reactants -> products    A         alpha  gamma (K)  type
    C+ + CH -> C + CH+         2.7e-09   -0.5   0.0        MA
    H2 -> E + H2+              0.93      0.0    0.0        CR

``MA`` is a modified Arrhenius law, k = A·(T/300 K)^alpha·exp(−gamma/T) in cm³/s (1/s with one reactant); ``CR`` is an
ionisation or dissociation by cosmic rays, k = A·ζ. A species is its formula, with its charge at the end; E is the
electron.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.errors import DataError, FileFormatError
from potentia.trajectories.systems.base import Floats

__all__ = ["Network", "Reaction", "composition", "read_reactions"]

TYPES = ("MA", "CR")
REFERENCE = 300.0
"""Temperature of the modified Arrhenius law (K)."""
PART = re.compile(r"([A-Z][a-z]?)(\d*)")


@dataclass(frozen=True)
class Reaction:
    """One reaction and how fast it is."""

    reactants: tuple[str, ...]
    """One or two, the same one twice where it meets itself."""
    products: tuple[str, ...]
    """Each as often as it is made."""
    a: float
    """Prefactor (cm³/s or 1/s for MA, per ionisation rate of H₂ for CR)."""
    alpha: float
    """Exponent of the temperature."""
    gamma: float
    """Barrier (K)."""
    kind: str
    """``"MA"`` or ``"CR"``."""

    def coefficient(self, temperature: float, ionisation: float) -> float:
        """Return k at a temperature (K) and an ionisation rate by cosmic rays (1/s)."""
        if self.kind == "CR":
            return self.a * ionisation
        return float(self.a * (temperature / REFERENCE) ** self.alpha * np.exp(-self.gamma / temperature))


def composition(species: str) -> Counter[str]:
    """Return the atoms and the charge of a formula.

    >>> composition("H3O+")
    Counter({'H': 3, 'O': 1, 'charge': 1})
    """
    if species == "E":
        return Counter({"charge": -1})
    formula = species.rstrip("+-")
    if not formula or PART.sub("", formula):
        raise DataError(f"{species!r} is no formula, such as H2, HCO+ or E for the electron")
    found: Counter[str] = Counter()
    for element, count in PART.findall(formula):
        found[element] += int(count or 1)
    charge = species.count("+") - species.count("-")
    return found + Counter() if not charge else Counter({**found, "charge": charge})


def read_reactions(text: str, where: str) -> tuple[Reaction, ...]:
    """Return the reactions of a file's text.

    Args:
        text: What stands in the file.
        where: Its name, for messages.

    Raises:
        FileFormatError: a line is no reaction, or its atoms or its charge do not add up.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        try:
            found.append(_reaction(content))
        except ValueError as error:
            raise FileFormatError(f"{where}, line {number}: {error}") from None
    return tuple(found)


class Network:
    """Reactions by mass action at one temperature, vectorised over reactions.

    Args:
        reactions: What happens.
        species: Their order in a state.
        temperature: Of the gas (K).
        ionisation: Rate of H₂ by cosmic rays (1/s).
    """

    def __init__(
        self, reactions: Sequence[Reaction], species: Sequence[str], temperature: float, ionisation: float
    ) -> None:
        place = {name: n for n, name in enumerate(species)}
        none = len(place)  # the place of a second reactant that is not there: its density is 1
        self._k = np.array([one.coefficient(temperature, ionisation) for one in reactions])  # [reactions]
        self._pairs: NDArray[np.intp] = np.array(
            [
                [place[one.reactants[0]], place[one.reactants[1]] if len(one.reactants) == 2 else none]
                for one in reactions
            ]
        ).T  # [2, reactions]
        self._change = np.zeros((len(place), len(reactions)))
        for r, one in enumerate(reactions):
            for name in one.products:
                self._change[place[name], r] += 1
            for name in one.reactants:
                self._change[place[name], r] -= 1
        self._rows = np.arange(len(reactions))

    def rates(self, densities: Floats) -> Floats:
        """Return the change of densities [species] (1/cm³) per second."""
        first, second = np.append(densities, 1.0)[self._pairs]
        return np.asarray(self._change @ (self._k * first * second))

    def jacobian(self, densities: Floats) -> Floats:
        """Return ∂rates[i]/∂density[j].  [species, species]"""
        first, second = np.append(densities, 1.0)[self._pairs]
        slopes = np.zeros((len(self._k), len(densities) + 1))  # of each reaction by each density
        slopes[self._rows, self._pairs[0]] = self._k * second
        slopes[self._rows, self._pairs[1]] += self._k * first
        return np.asarray(self._change @ slopes[:, :-1])


def _reaction(content: str) -> Reaction:
    head, arrow, tail = content.partition("->")
    right = tail.rsplit(maxsplit=4)
    if not arrow or len(right) != 5:
        raise ValueError(f"wanted 'reactants -> products A alpha gamma type', got {content!r}")
    reactants, products = _species(head), _species(right[0])
    if not 1 <= len(reactants) <= 2:
        raise ValueError(f"a reaction has one or two reactants, got {head.strip()!r}")
    if right[4] not in TYPES:
        raise ValueError(f"the type must be one of {', '.join(TYPES)}, got {right[4]!r}")
    before, after = (_sum(side) for side in (reactants, products))
    if before != after:
        raise ValueError(f"{content!r} makes {dict(after)} of {dict(before)}")
    a, alpha, gamma = (float(value) for value in right[1:4])
    return Reaction(reactants, products, a, alpha, gamma, right[4])


def _species(side: str) -> tuple[str, ...]:
    return tuple(re.split(r"\s+\+\s+", side.strip()))


def _sum(side: Sequence[str]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for name in side:
        total.update(composition(name))
    return {part: count for part, count in total.items() if count}
