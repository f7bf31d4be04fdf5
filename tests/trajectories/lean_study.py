"""Trains a study in this process, and prints which of the modules it was asked for were loaded for it."""

import sys
from pathlib import Path


def main(root: Path, asked: set[str]) -> None:
    from study_data import root_with, settings

    from potentia.trajectories import Study
    from potentia.trajectories.study_work import TrainVariant

    assert TrainVariant.__module__ in sys.modules
    study = Study.from_config(settings(checkpoint=True), root=root_with(root))
    assert study.run().complete
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & asked)
    sys.stdout.write(f"{' '.join(loaded)}\n{'torch._dynamo' in sys.modules}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
