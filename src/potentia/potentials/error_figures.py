"""Figures of a potential's errors: over the epochs, and predictions beside references."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from potentia.errors import NotFittedError
from potentia.plots import ErrorPanel, ParityPanel, error_curves, parity_panels
from potentia.potentials.parity import NO_PREDICTIONS, ParityData
from potentia.potentials.quantities import ENERGY, FORCE, STRESS, Quantity

__all__ = ["energy_figure", "errors_figure", "parity_figure"]

PathLike = str | os.PathLike[str]


def errors_figure(
    frame: pd.DataFrame, quantities: Iterable[Quantity], *, rate: str | None = None, outfile: PathLike | None = None
) -> Figure:
    """Draw the errors of each quantity over the epochs.

    Args:
        frame: A row for each epoch, all columns of the quantities among its own.
        quantities: A panel for each.
        rate: Column of the learning rate; None for none.
        outfile: Where to write the figure; None for nowhere.
    """
    return error_curves(frame, [_error_panel(one) for one in quantities], rate=rate, outfile=outfile)


def parity_figure(splits: Mapping[str, ParityData | None], outfile: PathLike | None = None) -> Figure:
    """Draw predicted against reference energies, and forces and stress where there are labels, with their errors.

    Raises:
        NotFittedError: there is nothing to draw.
    """
    panels = [panel for quantity in (ENERGY, FORCE, STRESS) if (panel := _parity_panel(quantity, splits))]
    if not panels:
        raise NotFittedError(NO_PREDICTIONS)
    return parity_panels(panels, outfile=outfile)


def energy_figure(groups: Mapping[str, tuple[ArrayLike, ArrayLike]], outfile: PathLike | None = None) -> Figure:
    """Draw predicted against reference energies (eV/atom) of each group."""
    return parity_panels([_parity_of(ENERGY, groups)], outfile=outfile)


def _error_panel(quantity: Quantity) -> ErrorPanel:
    columns = quantity.measures
    return ErrorPanel(
        quantity=quantity.component,
        unit=quantity.shown_unit,
        columns=columns,
        marked=columns["RMSE"]["test"],
        factor=quantity.factor,
    )


def _parity_panel(quantity: Quantity, splits: Mapping[str, ParityData | None]) -> ParityPanel | None:
    """Return what to draw of a quantity, None if no split has labels of it; a split without any keeps its colour."""
    groups: dict[str, tuple[ArrayLike, ArrayLike]] = {}
    for split, data in splits.items():
        reference, predicted = (None, None) if data is None else data.pair(quantity.name)
        groups[split] = (np.empty(0), np.empty(0)) if reference is None or predicted is None else (reference, predicted)
    if not any(np.size(reference) for reference, _ in groups.values()):
        return None
    return _parity_of(quantity, groups)


def _parity_of(quantity: Quantity, groups: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> ParityPanel:
    return ParityPanel(
        quantity=quantity.component,
        unit=quantity.unit,
        groups=groups,
        error_unit=quantity.shown_unit,
        error_factor=quantity.factor,
    )
