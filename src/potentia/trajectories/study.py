"""Studies of trajectory surrogates: from settings to tasks, one model for each, and what they say of held-out data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potentia.config import to_dict
from potentia.errors import ConfigError, FileFormatError
from potentia.study import Ended, PlannedTask, StudyResult, progress, read_yaml, run_study, settle, task_seed
from potentia.train.device import usable_device
from potentia.trajectories.dataset import TrajectoryData
from potentia.trajectories.estimator import TrajectorySurrogate
from potentia.trajectories.hdf5 import read_trajectories
from potentia.trajectories.modalities import MAIN, Variant, part_of
from potentia.trajectories.study_config import FREE, StudyConfig, SurrogatePlan
from potentia.trajectories.study_data import defaults_beside, find_data
from potentia.trajectories.study_work import TrainVariant
from potentia.trajectories.surrogates import SURROGATES
from potentia.trajectories.trainable import require_trainable
from potentia.trajectories.trained import require_trained

if TYPE_CHECKING:
    import pandas as pd

    from potentia.trajectories.evaluation import Evaluation

__all__ = ["Study"]


class Study:
    """Surrogates trained side by side on the same data, each also in the variants that its modalities ask for.

    Files are in ``trained/<training_id>/`` and ``results/<training_id>/`` below a root.

    Args:
        config: All settings.
        root: Directory with ``datasets/``, ``trained/`` and ``results/``.
        path: File of the data.
        data: Its content.

    Raises:
        ConfigError: the data do not have the content that the settings name, or a modality leaves nothing of them.
        DataError: values have no logarithm, but networks are to see it.

    Example:
        ::

            study = Study.from_config("config.yaml")
            result = study.run()
            model = study.load("FullyConnected")
    """

    def __init__(self, config: StudyConfig, root: Path, path: Path, data: TrajectoryData) -> None:
        mark = data.mark()
        if config.dataset.mark not in {None, mark}:
            raise ConfigError(
                f"{path} has other content than the settings name: dataset.mark is {config.dataset.mark}, the file's "
                f"is {mark}; put the data back, or leave dataset.mark out and train anew"
            )
        require_trainable(config, path, data)
        self.config = replace(config, dataset=replace(config.dataset, mark=mark))
        self.root = root
        self.path = path
        self.data = data

    @classmethod
    def from_config(
        cls, config: str | os.PathLike[str] | Mapping[str, Any], *, root: str | os.PathLike[str] = "."
    ) -> Study:
        """Return the study of a YAML file or of its content; the data are read, nothing is written.

        Raises:
            ConfigError: a key or surrogate is unknown, a key is missing, or a value cannot be.
            DataError: the data cannot be trained on.
            FileFormatError: a file cannot be read.
        """
        mapping = config if isinstance(config, Mapping) else read_yaml(config)
        first = StudyConfig.from_mapping(mapping)
        path = find_data(Path(root), first.dataset.name)
        optimal = defaults_beside(path) if first.dataset.use_optimal_params else {}
        resolved = StudyConfig.from_mapping(mapping, optimal) if optimal else first
        return cls(resolved, Path(root), path, read_trajectories(path))

    @property
    def optimal(self) -> dict[str, dict[str, Any]]:
        """Settings beside the data that take the place of defaults, by surrogate."""
        return defaults_beside(self.path) if self.config.dataset.use_optimal_params else {}

    @property
    def directory(self) -> Path:
        """Directory of the models."""
        return self.root / "trained" / self.config.training_id

    @property
    def results(self) -> Path:
        """Directory of the evaluation."""
        return self.root / "results" / self.config.training_id

    def tasks(self) -> list[PlannedTask]:
        """Return all tasks in their order: of each surrogate the main model, then its variants."""
        plans = self.config.surrogates
        return [self._task(plan, variant) for plan in plans for variant in self.config.variants(plan)]

    def run(
        self,
        executor: Executor | None = None,
        *,
        on_mismatch: str = "error",
        on_end: Callable[[Ended[bool]], None] | None = None,
    ) -> StudyResult:
        """Train the models that are not there yet; see `potentia.study.run_study`.

        Args:
            executor: Who trains, one task at a time for each of ``devices``; None takes spawned processes, or this one
                where one device is given.
            on_mismatch: When the directory holds models of other settings: ``"error"``, ``"resume"`` or ``"restart"``,
                see `potentia.study.settle`.
            on_end: Is called with the end of each task.

        Raises:
            ConfigError: the directory holds models of other settings, or this machine is to train and lacks a device.
        """
        if executor is None:
            for device in self.config.devices:
                usable_device(device)
        holds = settle(self.directory, self.config.to_mapping(), on_mismatch, FREE, [self.results])
        study = self if holds == self.config.to_mapping() else self._with(holds)
        config = study.config
        return run_study(
            self.directory,
            study.tasks(),
            TrainVariant(str(self.path.absolute())),
            devices=config.devices,
            executor=executor,
            threads=config.threads,
            on_end=on_end,
        )

    def progress(self) -> pd.DataFrame:
        """Return one row for each task: whether it is done, and why not; see `potentia.study.progress`."""
        return progress(self.directory, self.tasks())

    def load(self, surrogate: str, mode: str = MAIN, metric: str | int = "") -> TrajectorySurrogate:
        """Open a model of the study, such as ``load("FullyConnected", "interpolation", 2)``.

        Raises:
            ConfigError: the study has no such model.
            FileFormatError: it is not trained yet.
        """
        wanted = (surrogate, mode, str(metric))
        for task in self.tasks():
            if wanted == tuple(task.settings[key] for key in ("surrogate", "mode", "metric")):
                path = self.directory / task.folder / task.files[0]
                if not path.is_file():
                    raise FileFormatError(f"there is no {path}: this model is not trained yet; run the study")
                return SURROGATES[surrogate].load(path)
        names = ", ".join(task.name for task in self.tasks())
        raise ConfigError(f"the study has no model {' '.join(wanted).strip()!r}; it has {names}")

    def evaluate(self) -> Evaluation:
        """Measure the models on the held-out part, on the first of the devices.

        Raises:
            ConfigError: the models are of other settings, or some are not trained.
        """
        from potentia.trajectories.study_evaluation import Model, evaluate_models  # a second, for who evaluates

        require_trained(self.config, self.directory)
        progress = self.progress()
        missing = list(progress[progress["status"] != "done"]["task"])
        if missing:
            raise ConfigError(f"{self.directory} lacks {', '.join(missing)}: run the study, or leave them out")
        device = self.config.devices[0]
        models = [
            Model(plan.name, variant, self.load(plan.name, variant.mode, variant.metric).to(device))
            for plan in self.config.surrogates
            for variant in self.config.variants(plan)
        ]
        return evaluate_models(models, self.data, self.config)

    def forecast(self) -> pd.DataFrame:
        """Return one row for each task with the time and memory that it is likely to need.

        Each surrogate's main model is measured for some batches; the variants follow from the points they train on.
        """
        import pandas as pd

        work, device = TrainVariant(str(self.path.absolute())), self.config.devices[0]
        rows: list[dict[str, Any]] = []
        for plan in self.config.surrogates:
            main, *beside = self.config.variants(plan)
            whole = self._part(main)
            measured = work.forecast(self._task(plan, main), whole, device)
            for variant in (main, *beside):
                part = self._part(variant)
                task = self._task(plan, variant)
                share = part.train.states.size / whole.train.states.size
                row = {"task": task.name, "seed": task.seed, "trajectories": len(part.train)}
                row |= {"times": len(part.train.times), "batch_size": variant.batch_size}
                row |= {"epochs": plan.training.epochs, "seconds": measured.seconds_total * share}
                rows.append({**row, "memory_bytes": measured.memory_bytes})
        return pd.DataFrame(rows)

    def _part(self, variant: Variant) -> TrajectoryData:
        return part_of(self.data, self.config.dataset.subset_factor, variant.mode, variant.value)

    def _task(self, plan: SurrogatePlan, variant: Variant) -> PlannedTask:
        name = f"{plan.name.lower()}_{variant.suffix}"
        settings = {
            "surrogate": plan.name,
            "mode": variant.mode,
            "metric": variant.metric,
            "value": variant.value,
            "batch_size": variant.batch_size,
            "epochs": plan.training.epochs,
            "checkpoint": self.config.checkpoint,
            "settings": plan.settings(),
            "preprocessing": to_dict(self.config.dataset.preprocessing),
            "subset_factor": self.config.dataset.subset_factor,
            "data": self.config.dataset.mark,
        }
        seed = task_seed(self.config.seed, plan.name, variant.mode, variant.metric)
        return PlannedTask(name, settings, seed, plan.name, (f"{name}.pth",))

    def _with(self, holds: Mapping[str, Any]) -> Study:
        """Return the study of the settings of its snapshot, which name the data by their content."""
        return Study(StudyConfig.from_mapping(holds), self.root, self.path, self.data)
