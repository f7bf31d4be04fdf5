"""The database of a search: its URL, from a block of settings or as it is given, without its password for files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from potentia.checks import choice, did_you_mean, integer
from potentia.errors import ConfigError

__all__ = ["database_url", "without_password"]

_POSTGRES = ("mode", "host", "port", "user", "password", "db_name", "sslmode", "database_folder")
_PORT = 5432


def database_url(
    storage: str | Mapping[str, Any] | None, postgres: Mapping[str, Any] | None, root: Path, file: Path
) -> str:
    """Return the URL of a database.

    Args:
        storage: A URL; or a block with ``backend`` (``"sqlite"`` or ``"postgres"``) and ``path`` of a SQLite file; None
            for PostgreSQL where there are settings of it, else for ``file``.
        postgres: Where a PostgreSQL server is that runs: ``host``, ``port``, ``user``, ``password`` (else that of the
            environment variable ``PGPASSWORD``), ``db_name``, ``sslmode``, and ``mode``, ``"local"`` for this machine.
        root: What a relative ``path`` begins at.
        file: The SQLite file of those who say nothing.

    Raises:
        ConfigError: a key is unknown or missing, or a value cannot be.
    """
    if isinstance(storage, str):
        return _checked(storage)
    block = dict(storage or {})
    _refuse_others("storage", block, ("backend", "path"))
    backend = choice(
        "storage.backend", block.get("backend", "postgres" if postgres else "sqlite"), ("sqlite", "postgres")
    )
    if backend == "postgres":
        if block.get("path") is not None:
            raise ConfigError("storage.path is of a SQLite file: leave it out, or set storage.backend: sqlite")
        return _postgres(dict(postgres or {}))
    path = block.get("path")
    return f"sqlite:///{file.absolute() if path is None else (root / str(path)).absolute()}"


def without_password(url: str) -> str:
    """Return the URL with ``***`` for its password, for files and messages.

    >>> without_password("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    return make_url(url).render_as_string(hide_password=True)


def _postgres(block: Mapping[str, Any]) -> str:
    _refuse_others("postgres_config", block, _POSTGRES)
    mode = choice("postgres_config.mode", block.get("mode", "local"), ("local", "remote"))
    if block.get("database_folder") is not None:
        raise ConfigError(
            "postgres_config.database_folder is not used, because no server is started here: start it (pg_ctl -D "
            f"{block['database_folder']} start), say where it is by host and port, and leave the key out"
        )
    host = block.get("host") or ("localhost" if mode == "local" else None)
    for name, value in (("host", host), ("user", block.get("user")), ("db_name", block.get("db_name"))):
        if not isinstance(value, str):
            raise ConfigError(f"postgres_config.{name} must be given, as text, to reach the database; got {value!r}")
    password = block.get("password") or os.environ.get("PGPASSWORD")
    url = URL.create(
        "postgresql",
        username=block["user"],
        password=None if password is None else str(password),
        host=host,
        port=integer("postgres_config.port", block.get("port") or _PORT, low=1),
        database=block["db_name"],
        query={"sslmode": str(block["sslmode"])} if block.get("sslmode") else {},
    )
    return url.render_as_string(hide_password=False)


def _checked(url: str) -> str:
    try:
        make_url(url)
    except ArgumentError:
        raise ConfigError(
            f"storage must be a URL such as 'sqlite:///studies.db' or 'postgresql://user@host/name', or a block with "
            f"backend and path; got {url!r}"
        ) from None
    return url


def _refuse_others(where: str, block: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in block:
        if key not in known:
            raise ConfigError(f"there is no setting {key!r} in {where}{did_you_mean(key, known)}")
