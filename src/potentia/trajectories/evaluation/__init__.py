"""How good surrogates of trajectories are: tables, figures and a page, of anything that predicts trajectories."""

from potentia.trajectories.error_scale import ErrorScale
from potentia.trajectories.evaluation.accuracy import Accuracy, accuracy, relative_errors
from potentia.trajectories.evaluation.compute import Forward, compute_metrics
from potentia.trajectories.evaluation.evaluation import Evaluation
from potentia.trajectories.evaluation.gradients import Gradients, gradients
from potentia.trajectories.evaluation.histories import TrainingCurve
from potentia.trajectories.evaluation.modality_errors import MODALITIES, ModalityErrors, modality_errors
from potentia.trajectories.evaluation.roll_out import RollOuts, roll_out, roll_outs
from potentia.trajectories.evaluation.run import evaluate
from potentia.trajectories.evaluation.timing import Solve, speed_ups, time_predictions, time_solver
from potentia.trajectories.evaluation.uncertainty import Uncertainty, uncertainty
from potentia.trajectories.evaluation_settings import EvaluationSettings
from potentia.trajectories.predictor import Predictor

__all__ = [
    "MODALITIES",
    "Accuracy",
    "ErrorScale",
    "Evaluation",
    "EvaluationSettings",
    "Forward",
    "Gradients",
    "ModalityErrors",
    "Predictor",
    "RollOuts",
    "Solve",
    "TrainingCurve",
    "Uncertainty",
    "accuracy",
    "compute_metrics",
    "evaluate",
    "gradients",
    "modality_errors",
    "relative_errors",
    "roll_out",
    "roll_outs",
    "speed_ups",
    "time_predictions",
    "time_solver",
    "uncertainty",
]
