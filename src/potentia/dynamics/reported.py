"""What a report is about: the network in a file, that of a run, or a committee in its directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from potentia.dynamics.committee import CommitteePrediction, DynamicsCommittee
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.estimator import DynamicsParameterNet
from potentia.dynamics.load import load_feature_dataset_group
from potentia.dynamics.opened_run import OpenedRun
from potentia.dynamics.run_inputs import read_inputs
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.windows import WindowSettings
from potentia.ensemble import METADATA
from potentia.errors import DataError, FileFormatError
from potentia.report import expected_kind

__all__ = ["Reported"]


@dataclass(frozen=True, eq=False)
class Reported:
    """One network or several that are asked together."""

    net: DynamicsParameterNet
    """The network, or the first member."""
    file: Path
    """Where it is."""
    run: OpenedRun | None = None
    """Its run, if it is known."""
    committee: DynamicsCommittee | None = None
    """The committee, if it is one."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the file of a network or a committee, or the directory of a run or a committee.

        Raises:
            FileFormatError: it is none of them.
            NotFittedError: no member of the committee is trained.
        """
        if not path.is_dir():
            if expected_kind(path, {DynamicsParameterNet.kind, DynamicsCommittee.kind}) == DynamicsParameterNet.kind:
                return cls(DynamicsParameterNet.load(path), path)
            committee = DynamicsCommittee.load(path)
            return cls(committee.load_members()[0], path, committee=committee)
        if (path / METADATA).is_file():
            committee = DynamicsCommittee.from_directory(path)
            return cls(committee.load_members()[0], committee.member_model_paths[0], committee=committee)
        run = OpenedRun.of(path)
        return cls(run.net, run.directory.model, run, run.committee)

    @property
    def word(self) -> str:
        """What its predictions are called in tables."""
        return "network" if self.committee is None else "committee"

    @property
    def title(self) -> str:
        """What it is, in words."""
        title = f"Parameters of {self.net.spec_.name}"
        return title if self.committee is None else f"{title} by {len(self.committee.load_members())} networks"

    def windows(self, data: Sequence[Path]) -> dict[str, FeatureDataset]:
        """Return the windows of the given logs, else those of the run by part, else none."""
        if self.run is not None and data:
            return {"data": self.run.windows([str(path) for path in data])}
        if self.run is not None:
            try:
                return dict(read_inputs(replace(self.run.config, dataset_cache=None, val_dataset_cache=None)).parts)
            except (DataError, FileFormatError):  # they are gone: the report says that nothing was measured
                return {}
        if not data:
            return {}
        steps, features = self.net.fitted().record["n_steps"], self.net.features_
        settings = WindowSettings(
            horizon=steps, stride=steps, history=features.settings.history or 0, features=features.feature_names
        )
        return {"data": load_feature_dataset_group([str(path) for path in data], self.net.spec_, settings).dataset}

    def windows_of_bars(self, data: Sequence[Path]) -> FeatureDataset | None:
        """Return the windows that error bars are measured on; None where there are none."""
        if self.run is not None:
            logs = [str(path) for path in data] or self.run.calibrated_by
            try:
                return self.run.windows_apart(logs) if logs else None
            except (DataError, FileFormatError):  # they are gone: the report says that nothing was measured
                return None
        return self.windows(data).get("data")

    def prediction(self, windows: FeatureDataset) -> CommitteePrediction | None:
        """Return what all members of a committee say; None of a single network."""
        return None if self.committee is None else self.committee.predict(windows)

    def states(self, windows: FeatureDataset) -> NDArray[np.float64]:
        """Return predicted states; of a committee, the mean.  [windows, steps, states]"""
        found = self.prediction(windows)
        return self.net.predict(windows) if found is None else found.states

    def params(self, windows: FeatureDataset) -> dict[str, NDArray[np.float64]]:
        """Return predicted parameters; of a committee, the mean.  [windows, *shape] each"""
        found = self.prediction(windows)
        return self.net.predict_params(windows) if found is None else found.params

    def parameter_table(self, windows: FeatureDataset) -> pd.DataFrame:
        """Return a row for each entry of the parameters: over windows, and over the members of a committee."""
        found = self.prediction(windows)
        if found is None:
            return self.net.summarize(windows).table
        frame, names = found.frame(), entry_names(self.net.spec_)
        table = frame[names].agg(["mean", "std", "min", "max"]).T
        table["spread of the members"] = [frame[f"std_of_{name}"].mean() for name in names]
        return table.rename_axis("parameter")
