"""What an evaluation looks at: switches and thresholds."""

from __future__ import annotations

from dataclasses import dataclass

from potentia.checks import integer, number
from potentia.errors import ConfigError

__all__ = ["EvaluationSettings"]


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Switches and thresholds of `evaluate`; accuracy is always looked at, modalities when their models are given."""

    losses: bool = False
    """Whether the curves of training are drawn."""
    iterative: bool = False
    """Whether surrogates are rolled out from their own predictions."""
    gradients: bool = False
    """Whether errors are compared with the slopes of the data, and slopes with slopes."""
    timing: bool = False
    """Whether predictions are timed."""
    compute: bool = False
    """Whether parameters, memory and operations are counted."""
    compare: bool = True
    """Whether surrogates are put side by side in a table and figures, if there are two or more."""
    figures: bool = True
    """Whether figures are drawn."""
    relative_error_threshold: float = 0.0
    """Smallest denominator of relative errors (unit of the data). Where it and the state are 0 there is none."""
    error_percentile: float = 99.0
    """Percentile of the errors that is reported beside mean and median (0 to 100)."""
    log10: bool | None = None
    """Whether errors are also taken of log10 of the states; None: where all held-out states are above zero."""
    tolerance: float | None = None
    """In log10, smaller states and predictions count as this one; None: predictions as the smallest held-out state."""
    log_timesteps: bool = False
    """Whether time is drawn on a logarithmic axis."""
    iterative_interval: int = 10
    """Steps from one restart of a roll-out to the next."""
    iterative_offsets: int | None = None
    """Number of steps at which roll-outs begin, from the first on; None for as many as the interval has."""
    timing_batch_sizes: tuple[int, ...] = (1, 64, 4096)
    """Trajectories in one call; that of all held-out ones is timed too."""
    timing_runs: int = 5
    """Calls for each batch size, after one that is not counted."""
    timing_seconds: float = 20.0
    """After so long no more calls are begun for a batch size (s); one is always made."""
    levels: tuple[float, ...] = (0.5, 0.68, 0.9, 0.95)
    """Levels at which the coverage of error bars is measured."""

    def __post_init__(self) -> None:
        number("relative_error_threshold", self.relative_error_threshold, low=0.0)
        number("error_percentile", self.error_percentile, low=0.0, high=100.0)
        integer("iterative_interval", self.iterative_interval, low=1)
        if self.iterative_offsets is not None:
            integer("iterative_offsets", self.iterative_offsets, low=1, high=self.iterative_interval)
        if self.tolerance is not None and number("tolerance", self.tolerance, low=0.0) == 0:
            raise ConfigError("tolerance must be above 0, got 0; leave it out for none")
        for size in self.timing_batch_sizes:
            integer("timing_batch_sizes", size, low=1)
        integer("timing_runs", self.timing_runs, low=1)
        number("timing_seconds", self.timing_seconds, low=0.0)
        for level in self.levels:
            number("levels", level, low=0.001, high=0.999)
