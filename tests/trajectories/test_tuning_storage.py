"""Laws of the databases of searches: blocks and URLs name the same, and no file has a password."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from potentia.errors import ConfigError
from potentia.study import write_yaml, yaml_text
from potentia.trajectories.tuning import Tuning
from potentia.trajectories.tuning.config import TuningConfig
from potentia.trajectories.tuning.storage import database_url
from trajectories.study_data import root_with
from trajectories.test_tuning import wanted

SERVER = {"host": "db", "user": "me", "password": "p@ss/word", "db_name": "studies"}


def url(tmp_path, storage=None, postgres=None):
    return database_url(storage, postgres, tmp_path, tmp_path / "own.db")


def test_sqlite_is_a_file_below_the_root(tmp_path):
    assert url(tmp_path) == f"sqlite:///{tmp_path / 'own.db'}"
    assert url(tmp_path, {"backend": "sqlite"}) == url(tmp_path)
    assert url(tmp_path, {"backend": "sqlite", "path": "a/b.db"}) == f"sqlite:///{tmp_path / 'a/b.db'}"
    assert url(tmp_path, "sqlite:///x.db") == "sqlite:///x.db"


def test_a_postgresql_block_is_its_url(tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    found = make_url(url(tmp_path, {"backend": "postgres"}, {**SERVER, "port": 6543, "sslmode": "require"}))
    assert (found.host, found.port, found.username, found.database) == ("db", 6543, "me", "studies")
    assert found.password == "p@ss/word"  # what means something in a URL is written so that it does not
    assert found.query == {"sslmode": "require"}
    without = {key: value for key, value in SERVER.items() if key != "password"}
    assert make_url(url(tmp_path, None, without)).password is None
    monkeypatch.setenv("PGPASSWORD", "of the environment")
    assert make_url(url(tmp_path, None, without)).password == "of the environment"
    assert make_url(url(tmp_path, None, {"mode": "local", "user": "me", "db_name": "d"})).host == "localhost"


@pytest.mark.parametrize(
    ("storage", "postgres", "message"),
    [
        ({"backend": "mysql"}, None, "storage.backend must be one of"),
        ({"backend": "sqlite", "pth": "x"}, None, "no setting 'pth' in storage; did you mean 'path'"),
        ({"backend": "postgres", "path": "x"}, SERVER, "storage.path is of a SQLite file"),
        (None, {**SERVER, "usr": "me"}, "did you mean 'user'"),
        (None, {**SERVER, "mode": "remote", "host": None}, "postgres_config.host must be given"),
        (None, {**SERVER, "port": "x"}, "postgres_config.port must be an integer"),
        (None, {**SERVER, "database_folder": "/var/db"}, "no server is started here"),
        ({"backend": "postgres"}, None, "postgres_config.user must be given"),
        ("studies.db", None, "storage must be a URL"),
    ],
)
def test_a_database_that_cannot_be_is_refused(tmp_path, storage, postgres, message):
    with pytest.raises(ConfigError, match=message):
        url(tmp_path, storage, postgres)


def test_the_snapshot_has_no_password(tmp_path):
    for more in ({"postgres_config": SERVER}, {"storage": "postgresql://me:p%40ss%2Fword@db/studies"}):
        written = yaml_text(TuningConfig.from_mapping(wanted(**more)).to_mapping())
        assert "studies" in written
        assert "word@" not in written
        assert "p@ss" not in written


def test_a_search_in_a_file_of_its_own(tmp_path):
    root = root_with(tmp_path)
    plan = wanted(trials=1, storage={"backend": "sqlite", "path": "searches.db"}, keep_models=False)
    write_yaml(tmp_path / "tune.yaml", plan)
    tuning = Tuning.from_config(tmp_path / "tune.yaml", root=root)
    assert tuning.run()
    assert (tmp_path / "searches.db").is_file()
    assert not (tuning.directory / "optuna.db").exists()
    assert not (tuning.directory / "models").exists()
    with pytest.raises(ConfigError, match="not begun anew"):
        tuning.run(on_mismatch="restart")


def test_a_database_that_is_not_there_is_one_line(tmp_path):
    nowhere = {"backend": "sqlite", "path": "no/such/directory.db"}
    with pytest.raises(ConfigError, match=r"directory\.db cannot be reached: unable to open"):
        Tuning.from_config(wanted(storage=nowhere), root=root_with(tmp_path)).run()
