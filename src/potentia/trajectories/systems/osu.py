"""The gas of a dark cloud: 29 species of H, C and O of the OSU 2008 network, as in Grassi et al. (2022).

The reactions stand in ``osu2008.reactions``: those of the gas-phase network of the Ohio State University (version of
2008) among the species of T. Grassi et al., "Reducing the complexity of chemical networks via interpretable
autoencoders", A&A 668, A139 (2022), arXiv:2104.09516, which also gives the conditions and the initial densities.
"""

from __future__ import annotations

from functools import cached_property
from importlib import resources

import numpy as np

from potentia.trajectories.systems.base import Floats, Interval, Starts, System
from potentia.trajectories.systems.reactions import Network, read_reactions

__all__ = ["OSU2008"]

TEMPERATURE = 50.0
"""Of the gas (K)."""
IONISATION = 1e-16
"""Rate of H₂ by cosmic rays (1/s)."""
YEAR = 31_536_000.0
"""s"""
HYDROGEN = 1e4
"""Initial density of H₂ (1/cm³)."""
TRACE = 1e-16
"""Initial density of what is not there (1/cm³)."""
FILE = "osu2008.reactions"


class OSU2008(System):
    """Densities (1/cm³) of 29 species from a millionth of a year, 31.536 s, to 1e8 years.

    C and C+ begin anywhere between 1e-6 and 1e-4 of H₂, with four times their sum of O, and electrons that make the
    gas neutral. The densities are integrated as logarithms.
    """

    name = "osu2008"
    labels = (
        *("H", "H2", "H+", "H2+", "H3+", "C", "C+", "O", "O+", "O2", "O2+", "OH", "OH+", "H2O", "H2O+", "H3O+"),
        *("CH", "CH+", "CH2", "CH2+", "CH3", "CH3+", "CH4", "CH4+", "CH5+", "CO", "CO+", "HCO+", "E"),
    )
    times = 10 ** np.linspace(np.log10(1e-6 * YEAR), np.log10(1e8 * YEAR), 101)
    box = (Interval(1e-6 * HYDROGEN, 1e-4 * HYDROGEN, log=True),) * 2
    rtol = 1e-7
    atol = 1e-7
    log_states = True

    @cached_property
    def network(self) -> Network:
        """The reactions, read from the file at first use."""
        text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
        return Network(read_reactions(text, FILE), self.labels, TEMPERATURE, IONISATION)

    def rates(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return the change of densities [quantities] (1/cm³) per second."""
        return self.network.rates(state)

    def jacobian(self, t: float, state: Floats, parameters: Floats | None) -> Floats:
        """Return ∂rates[i]/∂density[j] (1/s)."""
        return self.network.jacobian(state)

    def starts(self, drawn: Floats) -> Starts:
        """Return initial densities; drawn are those of C and C+ [trajectories, 2]."""
        place = self.labels.index
        states = np.full((len(drawn), len(self.labels)), TRACE)
        states[:, place("H2")] = HYDROGEN
        states[:, [place("C"), place("C+")]] = drawn
        states[:, place("O")] = 4 * drawn.sum(1)
        ions = [n for n, label in enumerate(self.labels) if label.endswith("+")]
        states[:, place("E")] = states[:, ions].sum(1)
        return Starts(states, None)
