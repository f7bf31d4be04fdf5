"""Laws of the settings of a study: everything is said at load, with the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from potentia.errors import ConfigError, DataError
from potentia.study import read_yaml, write_yaml
from potentia.trajectories import Study, StudyConfig
from trajectories.study_data import MODALITIES, decays, root_with, settings

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/studies").glob("*.yaml"))
LISTED = {
    "surrogates": ["MultiONet", "FullyConnected"],
    "batch_size": [8, 16],
    "epochs": [1, 2],
    "surrogate_configs": {},
}


def config(**more):
    return StudyConfig.from_mapping(settings(**more))


def names(given):
    return [task.name for task in given.tasks()]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return root_with(tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples/studies").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_examples_are_settings_of_studies(path):
    found = StudyConfig.from_mapping(read_yaml(path))
    assert found.training_id == found.dataset.name == path.stem
    assert [plan.name for plan in found.surrogates] == ["FullyConnected", "MultiONet", "LatentPoly", "LatentNeuralODE"]


def test_what_is_left_out_has_the_documented_defaults():
    found = config().to_mapping()
    expected = {"seed": 42, "threads": 1, "verbose": False, "checkpoint": False, "devices": ["cpu"]}
    expected |= {"relative_error_threshold": 0.0, "error_percentile": 99.0, "compare": False, "losses": False}
    assert {key: found[key] for key in expected} == expected
    dataset = {"name": "decay", "log10_transform": True, "log10_transform_params": True, "normalise": "minmax"}
    dataset |= {"normalise_per_species": False, "tolerance": None, "subset_factor": 1, "log_timesteps": False}
    assert found["dataset"] == {**dataset, "use_optimal_params": True, "mark": None}


def test_one_number_is_for_all_and_a_list_goes_by_the_surrogates():
    assert [plan.batch_size for plan in config(**LISTED).surrogates] == [8, 16]
    assert [plan.training.epochs for plan in config(**{**LISTED, "epochs": 7}).surrogates] == [7, 7]
    with pytest.raises(ConfigError, match="epochs has 1 entries for 2 surrogates"):
        config(**{**LISTED, "epochs": [1]})


def test_resolved_settings_read_again_are_the_same():
    found = config(**MODALITIES, dataset={"name": "decay", "tolerance": 1e-9}).to_mapping()
    assert StudyConfig.from_mapping(found).to_mapping() == found


def test_text_none_and_numbers_as_text_are_what_they_mean():
    found = config(dataset={"name": "decay", "tolerance": "None"}, interpolation="None", seed=3)
    assert found.dataset.preprocessing.tolerance is None
    found = config(
        dataset={"name": "decay", "tolerance": "1e-25"},
        surrogate_configs={"FullyConnected": {"learning_rate": "1e-3", "clip_norm": "None"}},
    )
    assert found.dataset.preprocessing.tolerance == 1e-25
    assert found.surrogates[0].training.learning_rate == 1e-3


WRONG = [
    ({"epoch": 3}, "no setting 'epoch'; did you mean 'epochs'"),
    ({"surrogates": ["FullyConected"]}, "no surrogate 'FullyConected'; did you mean 'FullyConnected'"),
    ({"surrogates": ["FullyConnected"] * 2}, "lists FullyConnected more than once"),
    ({"dataset": {"name": "decay", "tolerence": 1}}, "no setting 'tolerence' in dataset; did you mean 'tolerance'"),
    ({"dataset": {}}, "dataset.name must say"),
    ({"sparse": {"enabled": True, "factor": [1]}}, "no setting 'factor' in sparse; did you mean 'factors'"),
    ({"sparse": {"enabled": True, "factors": [2, 2]}}, "sparse.factors lists 2 more than once"),
    ({"sparse": {"enabled": True}}, "sparse is enabled but sparse.factors lists nothing"),
    ({"sparse": {"enabled": "yes"}}, "sparse.enabled must be true or false"),
    ({"surrogate_configs": {"MultiONet": {}}}, "surrogate_configs has 'MultiONet'"),
    ({"surrogate_configs": {"FullyConnected": {"hiden_size": 3}}}, "did you mean 'hidden_size'"),
    ({"surrogate_configs": {"FullyConnected": {"hidden_size": 0}}}, "FullyConnected: hidden_size must be an integer"),
    ({"surrogate_configs": {"FullyConnected": {"epochs": 3}}}, "epochs is set by epochs of the study"),
    ({"surrogate_configs": {"FullyConnected": {"learning_rate": "fast"}}}, "learning_rate must be a number"),
    ({"training_id": 1e5}, "training_id must be text"),
    ({"devices": []}, "devices must be the name"),
    ({"batch_size": 0}, "batch_size of FullyConnected must be an integer of at least 1"),
    ({"batch_size": None}, "need the key 'batch_size'"),
    ({"uncertainty": {"enabled": True, "ensemble_size": 1}}, "ensemble_size must be an integer of at least 2"),
]


@pytest.mark.parametrize(("more", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_is_wrong_is_refused_with_the_way_out(more, message):
    with pytest.raises(ConfigError, match=message):
        config(**more)


def test_factors_of_batches_are_numbers_or_fractions():
    def sizes(*factors):
        return names_of(config(batch_scaling={"enabled": True, "sizes": list(factors)}))

    def names_of(found):
        return [variant.batch_size for variant in found.variants(found.surrogates[0])][1:]

    assert sizes(0.5, 2, "3.14", "1/4") == [32, 128, 200, 16]
    with pytest.raises(ConfigError, match="fractions such as '1/4', got 'not_a_number'"):
        sizes("not_a_number")
    with pytest.raises(ConfigError, match="leaves no batch"):
        sizes("1/100")
    with pytest.raises(ConfigError, match="both give 32"):
        sizes("1/2", 0.505)


def test_settings_beside_the_data_are_defaults_and_the_file_goes_before(tmp_path):
    root = root_with(tmp_path)
    beside = {"FullyConnected": {"hidden_size": 99, "learning_rate": 0.5}, "LatentPoly": {"degree": 3}}
    write_yaml(tmp_path / "datasets/Decay/surrogate_configs.yaml", beside)

    def plan(**more):
        (found,) = Study.from_config(settings(**more), root=root).config.surrogates
        return found.network.hidden_size, found.training.learning_rate

    assert plan() == (8, 0.5)
    assert plan(surrogate_configs={}) == (99, 0.5)
    assert plan(surrogate_configs={}, dataset={"name": "decay", "use_optimal_params": False}) == (150, 3e-4)
    write_yaml(tmp_path / "datasets/Decay/surrogate_configs.yaml", {"FullyConnected": {"hiden": 1}})
    with pytest.raises(ConfigError, match="'hiden' in the defaults of the data for FullyConnected"):
        plan()


def test_data_are_found_by_name_whatever_its_case_or_by_path(root):
    by_name = Study.from_config(settings(dataset={"name": "DECAY"}), root=root)
    by_path = Study.from_config(settings(dataset={"name": str(by_name.path)}), root="elsewhere")
    assert by_path.data.mark() == by_name.data.mark() == by_name.config.dataset.mark
    with pytest.raises(ConfigError, match="did you mean 'Decay'"):
        Study.from_config(settings(dataset={"name": "Decai"}), root=root)
    with pytest.raises(ConfigError, match="`potentia data make lotka_volterra` makes them"):
        Study.from_config(settings(dataset={"name": "lotka_volterra"}), root=root)


def test_data_of_other_content_are_refused(root):
    with pytest.raises(ConfigError, match=r"has other content than the settings name: dataset\.mark is abc"):
        Study.from_config(settings(dataset={"name": "decay", "mark": "abc"}), root=root)


def test_negative_data_under_a_logarithm_are_named_at_load(tmp_path):
    root = root_with(tmp_path, decays(sign=-1.0))
    with pytest.raises(DataError, match=r"train has values .* slow has 264 \(the least is -\d.*log10_transform: false"):
        Study.from_config(settings(), root=root)
    Study.from_config(settings(dataset={"name": "decay", "log10_transform": False}), root=root)
    Study.from_config(settings(dataset={"name": "decay", "tolerance": 1e-9}), root=root)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"interpolation": {"enabled": True, "intervals": [11]}}, "11 leaves one of the 11 time steps"),
        ({"extrapolation": {"enabled": True, "cutoffs": [12]}}, "12 is beyond the 11 time steps"),
        ({"sparse": {"enabled": True, "factors": [25]}}, "25 is more than the 24 trajectories"),
    ],
)
def test_values_that_leave_nothing_are_refused_at_load(root, block, message):
    with pytest.raises(ConfigError, match=message):
        Study.from_config(settings(**block), root=root)


def test_tasks_have_the_documented_order_and_names_and_seeds_of_their_own(root):
    assert names(Study.from_config(settings(), root=root)) == ["fullyconnected_main"]
    study = Study.from_config(settings(**{**LISTED, **MODALITIES}), root=root)
    suffixes = ["main", "interpolation_2", "interpolation_3", "extrapolation_6", "sparse_4", "UQ_1", "UQ_2"]
    assert names(study) == [
        *[f"multionet_{suffix}" for suffix in [*suffixes, "batchsize_2", "batchsize_16"]],
        *[f"fullyconnected_{suffix}" for suffix in [*suffixes, "batchsize_4", "batchsize_32"]],
    ]
    assert {task.folder for task in study.tasks()} == {"MultiONet", "FullyConnected"}
    assert len({task.seed for task in study.tasks()}) == 18
    assert [task.seed for task in study.tasks()] == [
        task.seed for task in Study.from_config(settings(**{**LISTED, **MODALITIES}), root=root).tasks()
    ]
