"""Train a neural operator on Gray-Scott patterns, compare it with simple predictions, and draw and film what it says.

A few minutes on two cores; more data and epochs make it better, see `make bench-operators`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from potentia.operators import FNOConfig, NeuralOperator, OperatorTrainingConfig, baselines_of, evaluate
from potentia.operators.evaluation import alive
from potentia.operators.figures import Film, animate, error_growth, field_rows, spectra
from potentia.operators.make import make_data


def main() -> None:
    """Make data, train, compare, draw, save and load."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)

    data = make_data("gray_scott", n_train=256, n_val=16, n_test=32, steps=16)
    operator = NeuralOperator(FNOConfig(width=20, modes=8, scale=1.0))
    config = OperatorTrainingConfig(
        epochs=options.epochs,
        batch_size=8,
        lr=4e-3,
        weight_decay=1e-5,
        bptt_window=2,
        teacher_start=1.0,
        lambda_ic=0.0,
        seed=1,
        show_progress=True,
    )
    begun = time.perf_counter()
    operator.train(data, config)
    print(f"\nTrained {options.epochs} epochs in {time.perf_counter() - begun:.0f} s.\n")

    base = baselines_of(data)
    found = evaluate({**base, "operator": operator}, data)
    print(found.scores.xs("alive", level="group")[["rel_l2", "vrmse", "one_step_vrmse", "valid_time"]].round(3))

    test = data.test
    fields = operator.predict(test.initial, test.parameters, test.steps)
    sample = int(np.flatnonzero(alive(test))[0])  # one whose pattern lives on
    film = Film.of(data, test, sample, fields[sample].astype(np.float64))
    field_rows(film, show=["v"], title="Gray-Scott", outfile=options.output / "fields.png")
    animate(film, options.output / "fields.gif", title="Gray-Scott")
    spectra(
        test.fields,
        {"operator": fields},
        channels=data.channels,
        time_step=data.time_step,
        outfile=options.output / "spectra.png",
    )
    errors = found.by_step["vrmse"].xs("alive", level="group").unstack("predictor")
    error_growth(
        {"operator": errors["operator"]},
        {name: errors[name] for name in base},
        measure="VRMSE",
        time_step=data.time_step,
        outfile=options.output / "errors.png",
    )
    operator.save(options.output / "operator.potentia")
    again = NeuralOperator.load(options.output / "operator.potentia")
    assert np.array_equal(again.predict(test.initial, test.parameters, test.steps), fields)
    print(f"\nFigures, a film and the operator are in {options.output}.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path("demo-output") / "operators")
    return parser.parse_args()


if __name__ == "__main__":
    main()
