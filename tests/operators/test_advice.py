"""Each rule of thumb is told where it holds, with the present values, and none where all is well."""

from __future__ import annotations

import pytest

from operators import aligned
from potentia.operators import OperatorTrainingConfig, TrainOut
from potentia.operators.advice import GUIDANCE, advise, window_for
from potentia.operators.alignment import Alignment


def out(**columns):
    n = max(len(column) for column in columns.values())
    falling = [2.0**-k for k in range(n)]
    rows = {"train_traj": falling, "val_loss": falling, "skipped": [0.0] * n, **columns}
    return TrainOut([{name: column[k] for name, column in rows.items()} for k in range(n)], n_steps=8)


def told(*arguments):
    return "\n".join(str(one) for one in advise(*arguments))


def settings(**changes):
    return OperatorTrainingConfig(epochs=6, **changes), Alignment(aligned.tokenizer(), lambda_latent=0.1)


def test_nothing_is_said_where_all_falls():
    falling = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05]
    assert advise(out(train_commit=falling, train_latent=falling), *settings()) == []


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        (
            {"train_traj": [1.0] * 6},
            ["L_traj does not fall", "lower lambda_commit (now 0.5)", "change lr (now 0.0003)"],
        ),
        (
            {"train_commit": [1.0, 1.0, 1.2, 1.4, 2.0, 3.0]},
            ["L_commit rises: from 1 to 3", "raise lambda_commit (now 0.5) to 1", "health of the tokenizer"],
        ),
        (
            {"train_latent": [0.65, 0.65, 0.65, 0.64, 0.64, 0.64]},
            ["L_latent does not fall", "to 0.5", "raise latent_sample_steps (now 3) to 8", "projector"],
        ),
        ({"skipped": [0.0, 3.0, 4.0]}, ["7 steps were not finite", "lower lr (now 0.0003) to 0.0001"]),
        ({"val_loss": [1.0, 0.5, 0.7, 0.9, 1.0]}, ["validation loss rises", "after epoch 2", "early_stop_patience=2"]),
    ],
)
def test_each_symptom_has_its_advice(columns, texts):
    found = told(out(**columns), *settings())
    for text in texts:
        assert text in found


def test_windows_go_by_the_steps():
    assert [window_for(n) for n in (1, 16, 17, 32, 33, 256)] == [None, None, 16, 16, 32, 32]
    long = TrainOut([{"train_loss": 1.0}], n_steps=256)
    assert "set bptt_window=32" in told(long, settings(bptt_window=256)[0])
    assert told(long, settings()[0]) == ""


def test_all_values_of_the_guide_are_in_the_table():
    assert {"lambda_commit", "lambda_latent", "latent_sample_steps", "bptt_window", "lr"} <= set(GUIDANCE["setting"])
