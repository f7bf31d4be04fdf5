"""Trains a study in this process, and prints which of the modules it was asked for were loaded for it."""

import sys
from pathlib import Path

from study_data import root_with, settings

from potentia.trajectories import Study
from potentia.trajectories.study_work import TrainVariant

assert TrainVariant.__module__ in sys.modules
study = Study.from_config(settings(checkpoint=True), root=root_with(Path(sys.argv[1])))
assert study.run().complete
loaded = sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:]))
sys.stdout.write(f"{' '.join(loaded)}\n{'torch._dynamo' in sys.modules}\n")
