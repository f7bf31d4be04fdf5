"""Committees of potentials: trained side by side, asked together, their spread as the error bar."""

from potentia.potentials.committee.calibrating import TorchCommitteeCalibrateResult
from potentia.potentials.committee.calibration import CommitteeCalibration
from potentia.potentials.committee.config import TorchCommitteeConfig
from potentia.potentials.committee.potential import TorchCommitteePotential
from potentia.potentials.committee.predictions import AenetEnsembleResult, TorchCommitteePredictResult
from potentia.potentials.committee.results import TorchCommitteeMemberResult, TorchCommitteeTrainResult

__all__ = [
    "AenetEnsembleResult",
    "CommitteeCalibration",
    "TorchCommitteeCalibrateResult",
    "TorchCommitteeConfig",
    "TorchCommitteeMemberResult",
    "TorchCommitteePotential",
    "TorchCommitteePredictResult",
    "TorchCommitteeTrainResult",
]
