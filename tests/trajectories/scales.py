"""How errors are measured in tests of the evaluation."""

from __future__ import annotations

from potentia.trajectories.evaluation import ErrorScale, EvaluationSettings

DEFAULTS = EvaluationSettings()
DEX = ErrorScale(log10=True, floor=1e-30)


def by_name(metrics):
    return {metric.metric: metric.value for metric in metrics}
