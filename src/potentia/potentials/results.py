"""What the training of a potential returns: errors by epoch, by group and by species, and figures of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Self, final

import numpy as np
import pandas as pd

from potentia.errors import DataError, NotFittedError
from potentia.potentials.breakdown import errors_by_group, errors_by_species
from potentia.potentials.histories import read_history, rows_of
from potentia.potentials.parity import NO_PREDICTIONS, ParityData, ParityRows
from potentia.potentials.predictions import PredictOut
from potentia.potentials.quantities import ENERGY, FORCE, STRESS, Quantity
from potentia.potentials.tables import Energies
from potentia.train.history import TrainingHistory, final_and_lowest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ParityData", "ParityRows", "PredictOut", "TrainOut"]

PathLike = str | os.PathLike[str]


_ERRORS = [*ENERGY.columns, *FORCE.columns, *STRESS.columns]
_ALWAYS = ["MAE_train", "RMSE_train", "MAE_test", "RMSE_test", "RMSE_force_train", "RMSE_force_test"]
_NO_FORCES = "there are no force errors in this training: give structures with forces and a force_weight above 0"


@final
@dataclass(frozen=True, eq=False, repr=False)
class TrainOut(TrainingHistory):
    """History of a training: errors and times of each epoch, their summary and figures. Epochs are counted from 1.

    Force and stress errors are over components, energy errors over structures. A column that is absent from the
    history and one that holds only NaN mean the same: this was not trained.

    >>> out = TrainOut([{"RMSE_train": 0.030, "RMSE_test": 0.040}, {"RMSE_train": 0.010, "RMSE_test": 0.050}])
    >>> out.stats["min_RMSE_test"], out.stats["epoch_min_RMSE_test"], out.stats["final_RMSE_train"]
    (0.04, 1, 0.01)
    >>> out.has_force_data
    False
    """

    _: KW_ONLY
    train_parity: ParityData | None = None
    """Reference and prediction of the training set at the end."""
    test_parity: ParityData | None = None
    """Reference and prediction of the test set at the end."""
    energies: Energies | None = None
    """Energies of each structure, where they were asked for."""
    reading: str | None = None
    """What was read and left out, in words."""
    split_seed: int | None = None
    """Seed of the split."""
    train_indices: list[int] | None = None
    """Places of the training structures in the input, counted from 0."""
    test_indices: list[int] | None = None
    """Places of the test structures in the input, counted from 0."""

    @classmethod
    def from_torch_history(
        cls,
        history: Mapping[str, Iterable[float | None]],
        *,
        energies_train_files: Sequence[PathLike] = (),
        energies_test_files: Sequence[PathLike] = (),
    ) -> Self:
        """Build the record again from the columns of a history, of here or of ænet's PyTorch trainer.

        Args:
            history: A value for each epoch under the name of each column.
            energies_train_files: Tables of energies of the training set.
            energies_test_files: Tables of energies of the test set.
        """
        return cls(rows_of(history), energies=_energies(energies_train_files, energies_test_files))

    @classmethod
    def from_file(
        cls,
        path: PathLike,
        *,
        energies_train_files: Sequence[PathLike] = (),
        energies_test_files: Sequence[PathLike] = (),
    ) -> Self:
        """Build the record again from a ``history.json`` of `export_history`; the rest as in `from_torch_history`.

        Raises:
            FileFormatError: a file cannot be read.
        """
        return cls(read_history(path), energies=_energies(energies_train_files, energies_test_files))

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Errors by epoch (index ``epoch``, from 1): eV/atom, eV/Å, eV/Å³.

        MAE and RMSE of the energies and RMSE of the forces are always there, NaN where they were not trained; the other
        errors of forces and stress where they are finite in any epoch.
        """
        more = [column for column in _ERRORS if column not in _ALWAYS and self._any_finite(column)]
        return self._table.reindex(columns=_ALWAYS + more)

    @property
    def has_force_data(self) -> bool:
        """Whether any force error is finite."""
        return self._has(FORCE)

    @property
    def has_stress_data(self) -> bool:
        """Whether any stress error is finite."""
        return self._has(STRESS)

    @cached_property
    def stats(self) -> dict[str, float]:
        """Last and lowest errors in the units of `errors`, NaN where there are none.

        ``final_<column>`` of each column of `errors`; ``min_<column>`` and ``epoch_min_<column>`` of each RMSE of the
        test set, over the epochs in which it is finite. Of equally low epochs the first counts.
        """
        return final_and_lowest(self.errors, ("RMSE_test", "RMSE_force_test", "RMSE_stress_test"))

    def errors_by_group(self) -> pd.DataFrame:
        """Return the energy and force errors of each group of structures (``config_type``), train and test.

        Energies in eV/atom over structures, forces in eV/Å over components; see `potentia.potentials.breakdown`.

        Raises:
            NotFittedError: this record was made from a history alone.
        """
        return self._by(errors_by_group)

    def errors_by_species(self) -> pd.DataFrame:
        """Return the force errors (eV/Å, over components) of the atoms of each species, train and test.

        Raises:
            NotFittedError: this record was made from a history alone.
            DataError: no structure has forces that were trained on.
        """
        errors = self._by(errors_by_species)
        if errors.empty:
            raise DataError(_NO_FORCES)
        return errors

    def plot_training_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the energy errors over the epochs (meV/atom), and write the figure if a file is named."""
        from potentia.potentials.error_figures import errors_figure

        return errors_figure(self._complete, [ENERGY], outfile=outfile)

    def plot_force_errors(self, outfile: PathLike | None = None) -> Figure:
        """Draw the force errors over the epochs (eV/Å, over components), and write the figure if a file is named.

        Raises:
            DataError: no epoch has a force error.
        """
        from potentia.potentials.error_figures import errors_figure

        if not self.has_force_data:
            raise DataError(_NO_FORCES)
        return errors_figure(self._complete, [FORCE], outfile=outfile)

    def plot_training_summary(self, outfile: PathLike | None = None) -> Figure:
        """Draw the errors of all that was trained, and the learning rate if it changed."""
        from potentia.potentials.error_figures import errors_figure

        return errors_figure(self._complete, self._quantities, rate=self._rate_column, outfile=outfile)

    def plot_parity(self, outfile: PathLike | None = None) -> Figure:
        """Draw predicted against reference energies, and forces and stress where there are labels, with their errors.

        Raises:
            NotFittedError: this record was made from a history alone.
        """
        from potentia.potentials.error_figures import parity_figure

        return parity_figure({"train": self.train_parity, "test": self.test_parity}, outfile)

    def __str__(self) -> str:
        lines = [self._title(), "", f"{'final errors':<34}{'train':>12}{'test':>12}"]
        for quantity in self._quantities:
            for measure, splits in quantity.measures.items():
                values = [quantity.factor * self.stats.get(f"final_{column}", math.nan) for column in splits.values()]
                label = f"{quantity.component} {measure} ({quantity.shown_unit})"
                lines.append(label.ljust(34) + "".join(f"{_digits(value):>12}" for value in values))
        if len(self._quantities) > 1:
            lines.append("Errors of forces and stress are per component, not per atom or structure.")
        lines.append("")
        epoch = self.stats["epoch_min_RMSE_test"]
        if not math.isnan(epoch):
            lowest = _digits(ENERGY.factor * self.stats["min_RMSE_test"])
            lines.append(f"The lowest energy RMSE of the test set was {lowest} meV/atom, in epoch {epoch}.")
        return "\n".join([*lines, *self._remarks, self.reading or ""]).rstrip()

    def __repr__(self) -> str:
        return f"TrainOut({self._title()}; print it for the errors)"

    def _by(self, breakdown: Callable[[ParityData], pd.DataFrame]) -> pd.DataFrame:
        parts = {"train": self.train_parity, "test": self.test_parity}
        tables = {split: breakdown(data) for split, data in parts.items() if data is not None}
        if not tables:
            raise NotFittedError(NO_PREDICTIONS)
        return pd.concat(tables, names=["split"])

    @cached_property
    def _complete(self) -> pd.DataFrame:
        """All that can be drawn, a column that is absent as NaN."""
        return self._table.reindex(columns=[*_ERRORS, "learning_rate"])

    def _any_finite(self, column: str) -> bool:
        return column in self._table and bool(np.isfinite(self._table[column]).any())

    def _has(self, quantity: Quantity) -> bool:
        return any(self._any_finite(column) for column in quantity.columns)

    @cached_property
    def _quantities(self) -> list[Quantity]:
        """The energy, and what else was trained."""
        return [ENERGY, *(quantity for quantity in (FORCE, STRESS) if self._has(quantity))]

    def _title(self) -> str:
        parts = [f"{len(self.history)} epoch{'s' * (len(self.history) != 1)}"]
        for name, indices in (("training", self.train_indices), ("test", self.test_indices)):
            parts += [] if indices is None else [f"{len(indices)} {name} structures"]
        for name, seed in (("seed", self.seed), ("split seed", self.split_seed)):
            parts += [] if seed is None else [f"{name} {seed}"]
        return ", ".join(parts)


def _energies(train: Sequence[PathLike], test: Sequence[PathLike]) -> Energies | None:
    if not train and not test:
        return None
    energies = Energies()
    for path_train, path_test in zip_longest(train, test):
        energies.add_energies(path_train, path_test)
    return energies


def _digits(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:#.4g}".rstrip(".")
