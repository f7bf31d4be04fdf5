@pytest.mark.parametrize(
    "changed",
    [{}, {"optimizer": "sgd", "momentum": 0.9}, {"scheduler": Plateau(3), "average": ExponentialAverage(0.9)}],
    ids=["defaults", "sgd", "objects"],
)
def test_settings_there_and_back(changed):
    assert from_dict(TrajectoryTrainingConfig, settings(**changed).plain()) == settings(**changed)
    own = TrajectoryTrainingConfig(epochs=2, optimizer=Adam(0.1, 8), scheduler="constant")
    assert from_dict(TrajectoryTrainingConfig, own.plain()) == own
