"""Checkpoints of this family as the mapping that its users know, and how a run goes on from an old one."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from potentia.errors import ConfigError, FileFormatError, warn_user
from potentia.operators.bad_steps import bad_steps_in
from potentia.operators.old_checkpoint import is_old_checkpoint, read_old_checkpoint
from potentia.operators.task import FieldModel
from potentia.train import Best, GradientStepper, Run
from potentia.train import load_checkpoint as load_run

__all__ = ["load_checkpoint", "resume", "resumed_lines"]

NO_PROJECTOR = (
    "Old checkpoint has no projector weights! Projector will restart from random initialization. L_latent training "
    "will be inconsistent with pre-crash training. Recommend: either train without the latent loss or train from "
    "scratch"
)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint, new or old, without running anything that is in it.

    Returns:
        ``model_state_dict`` (of the network), ``optimizer_state_dict``, ``scheduler_state_dict`` (``step``, ``lr``),
        ``epoch`` (the one in progress, from 0), ``global_step`` (all batches that were consumed, also those left out),
        ``history`` (``train_loss`` and ``val_loss`` by epoch, and what else there is), ``best_val_loss``,
        ``alignment_state`` (of the projector, None where there is none), ``config`` (of the network) and ``args`` (of
        the training). New ones have ``completed_epochs``, ``batch_in_epoch``, ``bad_batches``, ``seed``, ``data`` and
        ``normalizer`` too. Of an old one: what stands in it, and ``global_step`` from the name of the file where it
        says so.

    Raises:
        FileFormatError: it is truncated, foreign, or holds more than tensors and plain values.
    """
    if is_old_checkpoint(path):
        content = read_old_checkpoint(path)
        named = re.search(r"step_(\d+)", Path(path).name)
        return content if "global_step" in content or named is None else {**content, "global_step": int(named[1])}
    stored = load_run(path)
    run, learned = stored.run, stored.extra["learned"]
    history = {name: column.tolist() for name, column in run["history"].items()}
    weights = run["model"]
    step = int(run["epoch"]) * steps_in(stored.extra) + int(run["batch"])
    return {
        "model_state_dict": part_of(weights, "network"),
        "optimizer_state_dict": run["method"],
        "scheduler_state_dict": {"step": step, "lr": run["learning_rate"]},
        "epoch": run["epoch"],
        "global_step": step,
        "history": {"train_loss": [], "val_loss": [], **history},
        "best_val_loss": run["best"][0],
        "alignment_state": part_of(weights, "projector") or None,
        "config": stored.settings["network"],
        "args": learned["record"]["training_config"],
        "completed_epochs": run["epoch"],
        "batch_in_epoch": run["batch"],
        "bad_batches": bad_steps_in(run["memory"]),
        "seed": run["seed"],
        "data": learned["record"]["data"],
        "normalizer": learned["normaliser"],
    }


def resume(run: Run, model: FieldModel, path: str | os.PathLike[str], steps: int, *, strict: bool = False) -> None:
    """Let a run with new weights go on where an old checkpoint stands.

    Args:
        run: Changed in place.
        model: The model of it.
        path: The checkpoint.
        steps: Steps of an epoch.
        strict: Refuse what does not hold all that is trained.

    Raises:
        ConfigError: its weights are of another network, or it is refused.
        FileFormatError: it cannot be read, or does not say how far it had come.

    Warns:
        PotentiaWarning: something has to begin anew.
    """
    content = read_old_checkpoint(path)
    if "model_state_dict" not in content:
        raise FileFormatError(f"{path} has no `model_state_dict`: it is no checkpoint of a neural operator")
    reached = _reached(path, content, steps)
    _load(model.network, content["model_state_dict"], f"{path}: model_state_dict")
    if model.projector is not None:
        if content.get("alignment_state"):
            _load(model.projector, content["alignment_state"], f"{path}: alignment_state")
        elif strict:
            raise ConfigError(f"{path}: {NO_PROJECTOR}; or resume with strict_resume=False")
        else:
            warn_user(NO_PROJECTOR)
    if not _take_moments(run, model, content.get("optimizer_state_dict")):
        if strict:
            raise ConfigError(f"{path}: its optimizer state does not fit; or resume with strict_resume=False")
        text = f"{path}: its optimizer state does not fit, so the optimizer begins anew"
        warn_user(text)
    run.epoch, run.batch = divmod(reached, steps)
    run.batches = steps
    run.history = _rows(content.get("history") or {}, run.epoch)
    values = [row["val_loss"] for row in run.history]
    known = [value for value in values if math.isfinite(value)]
    best = content.get("best_val_loss", math.inf)
    if known and math.isfinite(best):
        run.best = Best(float(best), values.index(min(known)) + 1)


def resumed_lines(path: str | os.PathLike[str]) -> list[str]:
    """Return what a user is told when a run goes on from a checkpoint, line by line."""
    found = load_checkpoint(path)
    lines = [f"Resuming from checkpoint: {path}", "  ✓ Loaded model weights", "  ✓ Loaded optimizer state"]
    if "scheduler_state_dict" in found:
        lines.append("  ✓ Loaded scheduler state")
    elif "global_step" in found:
        step = found["global_step"]
        lines.append(f"  ⚠ Old checkpoint format detected - inferred global_step={step} from filename")
        lines.append(f"  ⚠ Syncing scheduler to step {step}...")
    if "global_step" in found:
        lines.append(f"  ✓ Resuming from epoch {found.get('epoch', 0) + 1}, step {found['global_step']}")
    if found.get("batch_in_epoch"):
        skipped, epoch = found["batch_in_epoch"], found["epoch"] + 1
        lines.append(f"    (Will skip first {skipped} batches of epoch {epoch})")
    best = found.get("best_val_loss", math.inf)
    lines.append(
        f"  ✓ Best val loss so far: {best:.6f}"
        if math.isfinite(best)
        else "  ✓ No validation history (first epoch incomplete)"
    )
    if found.get("alignment_state"):
        lines.append("  ✓ Loaded latent projector weights")
    return lines


def part_of(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the weights of a part of `FieldModel` by their names in it."""
    head = f"{name}."
    return {key.removeprefix(head): tensor for key, tensor in weights.items() if key.startswith(head)}


def steps_in(extra: Mapping[str, Any]) -> int:
    """Return the steps of an epoch of the run that a checkpoint is of."""
    return int(extra["learned"]["record"]["steps_per_epoch"])


def _reached(path: str | os.PathLike[str], content: Mapping[str, Any], steps: int) -> int:
    """Return the batches that had been consumed: as it says, or else as its name says."""
    if "global_step" in content:
        return int(content["global_step"])
    name = Path(path).name
    step, epoch = re.search(r"step_(\d+)", name), re.search(r"epoch_(\d+)", name)
    if step is None and epoch is None:
        raise FileFormatError(
            f"{path} does not say how far it had come: name it step_N.pt after N batches, or epoch_N.pt after N epochs"
        )
    reached = int(step[1]) if step is not None else int(epoch[1]) * steps if epoch is not None else 0
    text = f"Old checkpoint format detected - inferred global_step={reached} from filename {name}"
    warn_user(text)
    return reached


def _load(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    own = module.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in weights]
    wrong += [f"{name} is not known" for name in weights if name not in own]
    wrong += [
        f"{name} has shape {tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigError(f"{what} is of another network: {'; '.join(wrong[:3])}{more}")
    module.load_state_dict(dict(weights))


def _take_moments(run: Run, model: FieldModel, stored: Any) -> bool:
    """Give the optimizer the moments that torch has stored of each parameter, and return whether they fit.

    A projector may have none yet.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    needed = len([p for p in model.network.parameters() if p.requires_grad])
    states = stored.get("state") if isinstance(stored, dict) else None
    if not isinstance(run.stepper, GradientStepper) or not isinstance(states, dict):
        return False
    names = ("exp_avg", "exp_avg_sq")
    found = []
    for k, parameter in enumerate(parameters):
        zero = torch.zeros_like(parameter)
        one = states.get(k, dict.fromkeys(names, zero) if k >= needed else {})
        if not all(name in one and one[name].shape == parameter.shape for name in names):
            return False
        found.append(one)
    columns = {name: run.stepper.joined([one[name] for one in found]) for name in names}
    count = torch.as_tensor(found[0].get("step", 0), dtype=torch.float32)
    vectors = range(len(run.stepper.flat))
    moments: list[dict[str, Tensor]] = [{name: columns[name][k] for name in names} for k in vectors]
    state: dict[Any, Any] = {k: {"step": count.clone(), **one} for k, one in enumerate(moments)}
    run.stepper.load_state(state)
    return True


def _rows(history: Mapping[str, Sequence[float]], epochs: int) -> list[dict[str, float]]:
    names = ("train_loss", "val_loss")
    columns = {name: [float(value) for value in history.get(name, ())][:epochs] for name in names}
    return [
        {name: column[k] if k < len(column) else math.nan for name, column in columns.items()} for k in range(epochs)
    ]
