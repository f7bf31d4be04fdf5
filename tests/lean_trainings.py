"""Trains a small model of a family in this process, and prints which of the modules it was asked for were loaded."""

import sys


def train_operator() -> None:
    from potentia.operators import FNOConfig, NeuralOperator, OperatorTrainingConfig, make_data

    data = make_data("gray_scott", n_train=2, n_val=1, n_test=1, grid=(8, 8), steps=2)
    operator = NeuralOperator(FNOConfig(width=2, modes=2, layers=1))
    assert operator.train(data, OperatorTrainingConfig(epochs=1, seed=1)).kept_epoch == 1


def train_parameter_network() -> None:
    from potentia.dynamics import DynamicsParameterNet, DynamicsTrainingConfig, get_model_spec, simulate_dataset

    data = simulate_dataset(get_model_spec("unicycle"), windows=8, horizon=3)
    network = DynamicsParameterNet("unicycle", hidden=(2,))
    assert network.train(data, DynamicsTrainingConfig(epochs=1, seed=1, compiled=False)).kept_epoch == 1


FAMILIES = {"operators": train_operator, "dynamics": train_parameter_network}

if __name__ == "__main__":
    FAMILIES[sys.argv[1]]()
    sys.stdout.write(" ".join(name for name in sys.argv[2:] if name in sys.modules))
