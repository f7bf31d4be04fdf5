"""What predictions of dynamics are worth: errors beside baselines, spread of parameters, and scenarios to look at."""

from potentia.dynamics.evaluation.accuracy import RolloutEvaluation, evaluate_rollouts
from potentia.dynamics.evaluation.dispersion import parameter_spread, spread_by_group
from potentia.dynamics.evaluation.figures import scenario_figures
from potentia.dynamics.evaluation.scenarios import Scenario, choose_scenarios
from potentia.dynamics.evaluation.window_errors import WindowErrors

__all__ = [
    "RolloutEvaluation",
    "Scenario",
    "WindowErrors",
    "choose_scenarios",
    "evaluate_rollouts",
    "parameter_spread",
    "scenario_figures",
    "spread_by_group",
]
