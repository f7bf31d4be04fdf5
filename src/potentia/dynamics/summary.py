"""What a network predicts over all windows: spread and bounds of each parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from potentia.checks import integer
from potentia.dynamics.dataset import FeatureDataset
from potentia.dynamics.network import SATURATED
from potentia.dynamics.predicting import inputs_of
from potentia.dynamics.sensitivities import entry_names
from potentia.dynamics.spec import ModelSpec
from potentia.dynamics.training import Fitted

__all__ = ["ParameterSummary", "summarize"]

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


@dataclass(frozen=True, eq=False)
class ParameterSummary:
    """Parameters over windows."""

    spec: ModelSpec = field(repr=False)
    """The model."""
    n_windows: int
    """Windows that were looked at."""
    table: pd.DataFrame = field(repr=False)
    """A row for each entry of the parameters: ``mean``, ``std``, quantiles ``q05``, ``q50``, ``q95``, ``min``, ``max``
    (its unit); its bounds ``lo`` and ``hi``; and in which part of the windows it is ``at_lower`` and ``at_upper``, that
    is nearer than 1 % of the way between the bounds."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: ``{"model", "n", "params": {name: {column: number or numbers of its shape}}}``."""
        params, begin = {}, 0
        for parameter in self.spec.parameters:
            rows = self.table.iloc[begin : begin + parameter.size]
            begin += parameter.size
            params[parameter.name] = {
                str(column): rows[column].to_numpy().reshape(parameter.shape).tolist() for column in rows
            }
        return {"model": self.spec.name, "n": self.n_windows, "params": params}

    def means(self) -> dict[str, Any]:
        """Return the mean of each parameter, as plain values."""
        return {name: columns["mean"] for name, columns in self.to_dict()["params"].items()}

    def __str__(self) -> str:
        return f"{self.spec.name}: parameters of {self.n_windows} windows\n{self.table.to_string()}"


@torch.no_grad()
def summarize(fitted: Fitted, data: FeatureDataset, chunk_size: int = 4096) -> ParameterSummary:
    """Return the summary; see `DynamicsParameterNet.summarize`."""
    network = fitted.network
    values = np.empty((len(data), fitted.spec.vector_size))
    at_lower, at_upper = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    begin = 0
    for rows in inputs_of(fitted, data, integer("chunk_size", chunk_size, low=1)):
        places = network.places(rows)
        found = network.between(places).clamp(network.low, network.high)
        values[begin : begin + len(rows)] = found.cpu().numpy()
        at_lower += (places < SATURATED).sum(0).cpu().numpy()
        at_upper += (places > 1 - SATURATED).sum(0).cpu().numpy()
        begin += len(rows)
    columns = {"mean": values.mean(0), "std": values.std(0)}
    columns |= dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0), strict=True))
    columns |= {"min": values.min(0), "max": values.max(0)}
    columns |= {"lo": network.low.cpu().numpy(), "hi": network.high.cpu().numpy()}
    columns |= {"at_lower": at_lower / len(data), "at_upper": at_upper / len(data)}
    index = pd.Index(entry_names(fitted.spec), name="parameter")
    return ParameterSummary(fitted.spec, len(data), pd.DataFrame(columns, index=index))
