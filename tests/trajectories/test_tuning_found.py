"""Laws of what a search finds: fronts and their areas by hand, models of trials, and defaults that stay those of its
beginning."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
import pytest

from potentia.errors import ConfigError
from potentia.study import read_yaml, write_yaml
from potentia.trajectories import SURROGATES
from potentia.trajectories.tuning import Tuning
from potentia.trajectories.tuning.figures import fronts_figure, growths_figure
from potentia.trajectories.tuning.tables import front_growth, hypervolume, on_front
from trajectories.study_data import root_with
from trajectories.test_tuning import SPACE, wanted

TWO = {"multi_objective": True, "population_size": 2}
RATE = {"type": "float", "low": "1e-3", "high": "1e-2", "log": True}


def defaults_of(root, **settings):
    file = root / "datasets/Decay/surrogate_configs.yaml"
    write_yaml(file, {"FullyConnected": settings})
    return file


def test_a_front_and_its_area_by_hand():
    points = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [2.0, 2.0]])
    assert on_front(points).tolist() == [True, True, True, False, True]
    assert hypervolume(points, (5.0, 5.0)) == 4 * 1 + 3 * 2 + 1 * 1
    assert hypervolume(points, (1.0, 1.0)) == 0
    growth = front_growth(pd.DataFrame({"trial": [0, 1, 5], "error": [2.0, 1.0, 1.5], "seconds": [1.0, 2.0, 2.0]}))
    assert growth["trial"].tolist() == [0, 1, 5]
    np.testing.assert_allclose(growth["hypervolume"], [0.2 * 1.2, 0.2 * 1.2 + 1 * 0.2, 0.2 * 1.2 + 1 * 0.2])
    assert growth["relative"].iloc[-1] == 1


@pytest.mark.slow
def test_of_two_objectives_the_whole_front_is_told_and_one_is_chosen(tmp_path):
    root = root_with(tmp_path)
    tuning = Tuning.from_config(wanted(trials=3, **TWO), root=root)
    rows = tuning.run()["FullyConnected"]
    assert read_yaml(tuning.directory / "best.yaml") == {"FullyConnected": rows}
    scores = tuning.scores("FullyConnected")
    assert [row["error"] for row in rows] == sorted(scores.loc[scores["on_front"], "error"])
    for name in ("pareto_front", "hypervolume"):
        assert (tuning.directory / f"{name}_fullyconnected.png").read_bytes()[:4] == b"\x89PNG"
    assert list(pd.read_csv(tuning.directory / "pareto_fullyconnected.csv")) == ["trial", "error", "seconds"]
    assert len(pd.read_csv(tuning.directory / "hypervolume_fullyconnected.csv")) == 3
    assert not list(tuning.directory.glob("*_grid.png"))  # there is one surrogate
    with pytest.raises(ConfigError, match=rf"choose a trial of FullyConnected; .*\n  {rows[0]['trial']}: error"):
        tuning.promote()
    with pytest.raises(ConfigError, match="has no completed trial 9; completed are 0, 1, 2"):
        tuning.promote({"FullyConnected": 9})
    with pytest.raises(ConfigError, match="did you mean 'FullyConnected'"):
        tuning.promote({"FullyConected": 0})
    assert read_yaml(tuning.promote({"FullyConnected": 1}))["FullyConnected"].keys() >= SPACE.keys()


@pytest.mark.slow
def test_fronts_of_several_surrogates_are_drawn_side_by_side(tmp_path):
    plan = wanted(trials=1, **TWO)
    poly = {"coder_width": 8, "coder_layers": 1}
    plan["surrogates"].append(
        {"name": "LatentPoly", "batch_size": 8, "epochs": 1, "settings": poly, "optuna_params": {"learning_rate": RATE}}
    )
    tuning = Tuning.from_config(plan, root=root_with(tmp_path))
    tuning.run()
    for name in ("pareto_front_grid", "hypervolume_normalized_combined"):
        assert (tuning.directory / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_figures_of_all_surrogates_have_the_numbers_of_each():
    one = pd.DataFrame({"trial": [0, 1], "error": [2.0, 1.0], "seconds": [1.0, 2.0], "on_front": [True, True]})
    other = one.assign(error=[4.0, 3.0], on_front=[True, False])
    fronts = fronts_figure({"A": one, "B": other}, "error")
    first, second = fronts.axes
    assert [line.get_ydata().tolist() for line in first.lines] == [[2.0, 1.0]]
    assert [line.get_ydata().tolist() for line in second.lines] == [[3.0], [4.0]]  # others, and the front
    growths = growths_figure({"A": front_growth(one), "B": front_growth(one.head(1))})
    short = growths.axes[0].lines[1]
    assert (short.get_xdata().tolist(), short.get_ydata().tolist()) == ([1.0], [1.0])
    assert [text.get_text() for text in growths.legends[0].get_texts()] == ["A", "B"]


def test_the_model_of_each_trial_is_kept(tmp_path):
    root = root_with(tmp_path)
    tuning = Tuning.from_config(wanted(trials=1, prune=False), root=root)
    tuning.run()
    folder = tuning.directory / "models/FullyConnected"
    about = read_yaml(folder / "fullyconnected_0.yaml")
    model = SURROGATES["FullyConnected"].load(folder / "fullyconnected_0.pth")
    assert model.network.hidden_size == about["drawn"]["hidden_size"]
    assert model.metadata["training_config"]["learning_rate"] == about["drawn"]["learning_rate"]
    assert about["error"] == tuning.scores("FullyConnected")["error"].item()


@pytest.mark.slow
def test_defaults_stay_those_that_a_search_began_with(tmp_path):
    root = root_with(tmp_path)
    file = defaults_of(root, activation="tanh")
    tuning = Tuning.from_config(wanted({"learning_rate": RATE}, trials=1), root=root)
    assert tuning.run()["FullyConnected"]["activation"] == "tanh"
    assert read_yaml(tuning.promote())["FullyConnected"]["activation"] == "tanh"
    file.write_text(file.read_text().replace("tanh", "gelu"))
    more = Tuning.from_config(wanted({"learning_rate": RATE}, trials=2), root=root)
    assert more.study.config.surrogates[0].network.activation == "tanh"
    more.run()
    models = (more.directory / f"models/FullyConnected/fullyconnected_{k}.yaml" for k in range(2))
    assert [read_yaml(model)["network"]["activation"] for model in models] == ["tanh", "tanh"]
    anew = Tuning.from_config(wanted({"learning_rate": RATE}, trials=1, seed=1), root=root)
    assert anew.run(on_mismatch="restart")["FullyConnected"]["activation"] == "gelu"


def test_a_default_that_the_drawn_switch_leaves_without_effect_is_left_out(tmp_path):
    root = root_with(tmp_path)
    defaults_of(root, scheduler="poly", poly_power=0.5)
    tuning = Tuning.from_config(wanted({"scheduler": {"choices": ["cosine"]}}, trials=1), root=root)
    assert tuning.run()["FullyConnected"] == {"scheduler": "cosine", "num_hidden_layers": 1}


def test_a_training_whose_numbers_fail_is_a_bad_trial_that_says_why(tmp_path):
    space = {"learning_rate": {"type": "float", "low": 1e30, "high": 1e32, "log": True}}
    tuning = Tuning.from_config(wanted(space, trials=2, loss_cap="7"), root=root_with(tmp_path))
    with pytest.warns(UserWarning, match="not finite"):
        tuning.run()
    table = tuning.trials("FullyConnected")
    said = table.filter(like="user_attrs").astype(str).agg(" ".join, axis=1)
    assert said.str.contains("not finite").all()
    assert set(table["state"]) <= {"PRUNED", "COMPLETE"}
    assert (table.loc[table["state"] == "COMPLETE", "value"] == 7).all()


@pytest.mark.parametrize("text", ["yes", 1])
def test_switches_are_true_or_false(tmp_path, text):
    with pytest.raises(ConfigError, match="fine must be true or false"):
        Tuning.from_config(wanted(fine=text), root=root_with(tmp_path))


def test_a_fine_search_goes_a_decade_to_both_sides(tmp_path):
    root = root_with(tmp_path)
    defaults_of(root, optimizer="sgd", momentum=0.5, scheduler="poly", poly_power=2.0, learning_rate=0.02)
    plan = wanted({}, fine=True)
    del plan["surrogates"][0]["optuna_params"]
    (one,) = Tuning.from_config(plan, root=root).config.surrogates
    ranges = {name: (entry["low"], entry["high"]) for name, entry in one.optuna_params.items()}
    assert ranges == {"learning_rate": (0.002, 0.2), "poly_power": (0.2, 20.0), "momentum": (0.05, 0.999)}
    assert one.trials == 30
    assert all(entry["log"] for entry in one.optuna_params.values())


@pytest.mark.slow
def test_a_fine_search_tells_what_it_found(tmp_path):
    plan = wanted({}, fine=True, keep_models=False)
    plan["surrogates"][0]["settings"] |= {"scheduler": "poly", "poly_power": 0.9}
    plan["surrogates"][0]["epochs"] = 1
    tuning = Tuning.from_config(plan, root=root_with(tmp_path))
    best = tuning.run()["FullyConnected"]
    said = read_yaml(tuning.directory / "fine_summary.yaml")["FullyConnected"]
    assert said["trials"] == len(tuning.trials("FullyConnected")) == 20
    assert said["searched"]["poly_power"] == {"default": 0.9, "low": 0.09, "high": 9.0}
    assert said["found"][0]["settings"] == {name: best[name] for name in said["searched"]}
    assert tuning.run()["FullyConnected"] == best


@pytest.mark.slow
def test_a_trial_that_takes_too_long_is_ended_early(tmp_path):
    plan = wanted({"hidden_size": {"choices": [4, 1000]}}, trials=10, keep_models=False, **TWO)
    plan["surrogates"][0] |= {"epochs": 20, "settings": {"num_hidden_layers": 2}}
    tuning = Tuning.from_config(plan, root=root_with(tmp_path))
    tuning.directory.mkdir(parents=True)
    goals = ["minimize", "minimize"]
    search = optuna.create_study(storage=tuning.url, study_name="t_fullyconnected", directions=goals)
    for size in [4] * 10 + [1000]:
        search.enqueue_trial({"hidden_size": size})
    tuning.run()
    Tuning.from_config({**plan, "trials": 11}, root=tmp_path).run()
    *first, last = search.get_trials()
    assert {trial.state.name for trial in first} == {"COMPLETE"}
    assert last.params == {"hidden_size": 1000}
    assert last.state.name == "PRUNED"
    assert "longer than" in last.user_attrs["pruned"]
