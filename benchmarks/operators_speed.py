"""Time of a training step of neural operators beside what its layers cost: `make bench-operators-speed`.

Four things, in turns: the forward and backward passes of the Fourier layers alone, of the whole network, a plain loop
(network, loss, AdamW, clipping) on normalised tensors, and `NeuralOperator.train`, with all that comes before, between
and behind its steps. One thread; nothing here passes or fails.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from machine import describe_machine
from table import number, ratio, table
from timing import alternate, seconds
from torch import Tensor, nn

from potentia.operators import FNOConfig, NeuralOperator, OperatorData, OperatorTrainingConfig, UAFNOConfig
from potentia.operators.make import make_data
from potentia.operators.networks.base import FieldNetworkConfig, FieldShape
from potentia.operators.networks.fno import FNO
from potentia.operators.normaliser import Normaliser
from potentia.operators.rollout import rollout

BATCH, WINDOW, SAMPLES, EPOCHS = 16, 4, 64, 3
NETWORKS: dict[str, FieldNetworkConfig] = {
    "FNO, width 24, 8 modes, 4 layers": FNOConfig(),
    "U-AFNO, 8 channels, 2 levels, 1 block": UAFNOConfig(
        base_channels=8, encoder_levels=2, modes=8, afno_blocks=1, residual_blocks=1
    ),
}
SETTINGS = OperatorTrainingConfig(
    epochs=EPOCHS, batch_size=BATCH, bptt_window=WINDOW, teacher_start=1.0, lambda_ic=0.0, timesteps=WINDOW, seed=1
)
"""Windows are as long as the samples, so that none is rolled out before its window."""


def main() -> None:
    """Measure and print."""
    options = _options()
    torch.set_num_threads(1)
    data = make_data("gray_scott", n_train=SAMPLES, n_val=1, n_test=1, steps=WINDOW)
    print("# A training step of neural operators\n")
    print("\n".join(f"- {name}: {value}" for name, value in describe_machine().items()))
    print(f"- one thread; {BATCH} samples of 32×32 points, windows of {WINDOW} steps; medians in ms\n")
    rows = []
    for name, config in NETWORKS.items():
        works = {key: partial(_timed, work) for key, work in _works(config, data).items()}
        found = {key: 1e3 * times.median for key, times in alternate(works, options.rounds, options.limit).items()}
        over = found["train"] / found["plain"]
        rows.append([name, *(number(found.get(key)) for key in ("layers", "network", "plain", "train")), ratio(over)])
    print(table(["", "layers alone", "network", "plain loop", "`train`", "over the plain loop"], rows))


def _timed(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of one of the steps that ``work`` makes."""
    return {"": seconds(work) / (EPOCHS * SAMPLES // BATCH)}


def _works(config: FieldNetworkConfig, data: OperatorData) -> dict[str, Callable[[], object]]:
    """Return what is timed; each makes as many steps as the training has."""
    normalised = Normaliser.fit(data.train).scaled(torch.from_numpy(data.train.fields))
    seen = torch.from_numpy(data.space.embed(data.train.parameters)).float()
    network = config.build(FieldShape(normalised.shape[2], 2, seen.shape[1]))
    batches = [slice(first, first + BATCH) for first in range(0, SAMPLES, BATCH)] * EPOCHS
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def rolled(batch: slice) -> None:
        found = rollout(network, normalised[batch, 0], seen[batch], WINDOW)
        network.zero_grad()
        (found[:, 1:] - normalised[batch, 1:]).square().mean().backward()

    def plain(batch: slice) -> None:
        rolled(batch)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    works: dict[str, Callable[[], object]] = {
        "network": lambda: [rolled(batch) for batch in batches],
        "plain": lambda: [plain(batch) for batch in batches],
    }
    if isinstance(network, FNO):
        works["layers"] = partial(_through_layers, network, len(batches))
    works["train"] = lambda: NeuralOperator(config).train(data, SETTINGS)
    return works


def _through_layers(network: FNO, batches: int) -> None:
    """Forward and backward passes of the Fourier layers, once for each step of each window."""
    features = torch.randn(network.width, BATCH, 32, 32, requires_grad=True)
    for _ in range(batches * WINDOW):
        now: Tensor = features
        for layer in network.layers:
            now = layer(now)
        now.sum().backward()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each network, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
