"""What to change when a training of an operator does not go as it should: rules of thumb, applied to its history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from potentia.checks import integer
from potentia.operators.alignment import Alignment
from potentia.operators.results import TrainOut
from potentia.operators.training_config import OperatorTrainingConfig

__all__ = ["GUIDANCE", "Advice", "advise", "window_for"]

GUIDANCE = pd.DataFrame(
    [
        ("lambda_commit", "0", "no alignment: learn the fields only"),
        ("lambda_commit", "0.1", "weak: the tokenizer fits the data well already"),
        ("lambda_commit", "0.5", "what to begin with"),
        ("lambda_commit", "1.0", "strong: predictions drift away from the codes"),
        ("lambda_commit", "2.0 or more", "very strong: it may cost accuracy"),
        ("lambda_latent", "0", "no latent alignment"),
        ("lambda_latent", "0.1", "what to begin with"),
        ("lambda_latent", "0.5", "strong, where 0.1 has come to a halt"),
        ("lambda_latent", "1.0", "very strong: representation first"),
        ("lambda_latent", "2.0 or more", "dominant: it may cost accuracy"),
        ("latent_sample_steps", "3", "first, middle and last; about 15 % more memory"),
        ("latent_sample_steps", "8", "more of the course; about 48 % more memory"),
        ("latent_sample_steps", "-1", "all steps; about 200 % more memory, for short windows only"),
        ("bptt_window", "all", "up to 16 steps: no window is needed"),
        ("bptt_window", "16", "from 16 to 32 steps: may be of use"),
        ("bptt_window", "32", "more than 32 steps: without it gradients explode"),
        ("lr", "3e-4", "what to begin with; 1e-4 if more than 10 % of the steps are not finite, and to fine-tune"),
        ("out of memory", "batch_size 4 → 2", "then latent_sample_steps 8 → 3, then lambda_latent 0"),
    ],
    columns=["setting", "value", "when"],
)
"""Settings, their usual values, and when to take them; memory is of a U-AFNO of the usual size."""

RISE = 1.2
"""A term has risen if it is more than so many times its lowest value."""
HALT = 0.98
"""A term has come to a halt if the second half of the training has left more than this part of it."""
BAD = 0.1
"""More than this part of the steps left out is too much."""
ENOUGH = 4
"""So many epochs tell."""


@dataclass(frozen=True)
class Advice:
    """One thing that has been seen, and what may help, the likeliest first."""

    seen: str
    do: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.seen, *(f"  - {one}" for one in self.do)])


def advise(
    out: TrainOut, config: OperatorTrainingConfig | None = None, alignment: Alignment | None = None
) -> list[Advice]:
    """Return what is to be said of a training; nothing if all is well.

    Args:
        out: What `NeuralOperator.train` has returned.
        config: Its settings, so that advice names values; the usual ones if None.
        alignment: The alignment, likewise.

    >>> rows = [{"train_loss": 1.0, "train_traj": 1.0, "val_loss": 1.0, "skipped": 0.0}] * 6
    >>> print(advise(TrainOut(rows))[0])
    L_traj does not fall: 1 after 3 epochs, 1 after 6
      - change lr (now 0.0003), by a factor of 3 up or down
    """
    rate = 3e-4 if config is None else config.lr
    found = [_not_finite(out, rate), _window(out, config)]
    if len(out.history) >= ENOUGH:
        found += [_traj(out, rate, alignment), _commit(out, alignment), _latent(out, alignment), _overfit(out)]
    return [one for one in found if one is not None]


def window_for(steps: int) -> int | None:
    """Return the window of backpropagation for trajectories of so many steps; None for all of them.

    >>> window_for(16), window_for(20), window_for(256)
    (None, 16, 32)
    """
    if integer("steps", steps, low=1) <= 16:
        return None
    return 16 if steps <= 32 else 32


def _not_finite(out: TrainOut, rate: float) -> Advice | None:
    bad = [row["skipped"] for row in out.history if row.get("skipped", 0.0) > 0]
    if not bad:
        return None
    return Advice(
        f"{sum(bad):.0f} steps were not finite, in {len(bad)} of {len(out.history)} epochs",
        (
            f"if these are more than {BAD:.0%} of the steps, lower lr (now {rate:g}) to {rate / 3:.2g}",
            "look for values that are far off in the data",
            "roll out shorter windows (bptt_window)",
        ),
    )


def _window(out: TrainOut, config: OperatorTrainingConfig | None) -> Advice | None:
    if config is None or out.n_steps is None or min(config.bptt_window, out.n_steps) <= 32:
        return None
    seen = f"gradients go through {min(config.bptt_window, out.n_steps)} steps"
    return Advice(seen, (f"set bptt_window={window_for(out.n_steps)}: through longer windows gradients explode",))


def _traj(out: TrainOut, rate: float, alignment: Alignment | None) -> Advice | None:
    values = _column(out, "train_traj")
    if not _halted(values):
        return None
    ways = []
    if alignment is not None and alignment.lambda_commit > 0:
        ways.append(f"lower lambda_commit (now {alignment.lambda_commit:g}): it may hold the fields back")
    if alignment is not None and alignment.lambda_latent > 0:
        ways.append(f"lower lambda_latent (now {alignment.lambda_latent:g})")
    ways.append(f"change lr (now {rate:g}), by a factor of 3 up or down")
    return Advice(f"L_traj does not fall: {_halves(values)}", tuple(ways))


def _commit(out: TrainOut, alignment: Alignment | None) -> Advice | None:
    values = _column(out, "train_commit")
    if len(values) < ENOUGH or not values[-1] > RISE * min(values):
        return None
    weight = 0.5 if alignment is None else alignment.lambda_commit
    ways = [f"raise lambda_commit (now {weight:g}) to {2 * weight:g}"]
    ways.append("look at the health of the tokenizer: it may have to be trained on more diverse trajectories")
    if alignment is not None and alignment.lambda_latent > 0:
        ways.append(f"lower lambda_latent (now {alignment.lambda_latent:g}): it may pull predictions off the codes")
    return Advice(f"L_commit rises: from {min(values):.3g} to {values[-1]:.3g}", tuple(ways))


def _latent(out: TrainOut, alignment: Alignment | None) -> Advice | None:
    values = _column(out, "train_latent")
    if not _halted(values):
        return None
    weight, steps = (0.1, 3) if alignment is None else (alignment.lambda_latent, alignment.latent_sample_steps)
    ways = [f"raise lambda_latent (now {weight:g})" + (" to 0.5" if weight < 0.5 else "")]
    if steps != -1:
        ways.append(f"raise latent_sample_steps (now {steps}) to {8 if steps < 8 else -1}")
    ways += ["train longer: strong alignment may need 20 epochs", "look whether the weights of the projector change"]
    return Advice(f"L_latent does not fall: {_halves(values)}", tuple(ways))


def _overfit(out: TrainOut) -> Advice | None:
    values = _column(out, "val_loss")
    if len(values) < ENOUGH or not values[-1] > RISE * min(values):
        return None
    best = values.index(min(values)) + 1
    return Advice(
        f"the validation loss rises: {values[-1]:.3g}, it was {min(values):.3g} after epoch {best}",
        ("take more samples of other parameters", "set early_stop_patience=2", "raise weight_decay"),
    )


def _column(out: TrainOut, name: str) -> list[float]:
    return [row[name] for row in out.history if math.isfinite(row.get(name, math.nan))]


def _halted(values: Sequence[float]) -> bool:
    half = len(values) // 2
    return len(values) >= ENOUGH and values[-1] > HALT * values[half - 1]


def _halves(values: Sequence[float]) -> str:
    half = len(values) // 2
    return f"{values[half - 1]:.3g} after {half} epochs, {values[-1]:.3g} after {len(values)}"
