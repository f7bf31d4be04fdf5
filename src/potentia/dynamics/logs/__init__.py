"""Logs of drives and experiments: columns of numbers over time, read from .csv, .json and .npz and written there."""

from potentia.dynamics.logs.angles import unwrapped
from potentia.dynamics.logs.columns import Column, ColumnMap, read_column_map
from potentia.dynamics.logs.log import Log
from potentia.dynamics.logs.reading import LOG_SUFFIXES, log_files, map_files, read_log, read_logs
from potentia.dynamics.logs.writing import write_log

__all__ = [
    "LOG_SUFFIXES",
    "Column",
    "ColumnMap",
    "Log",
    "log_files",
    "map_files",
    "read_column_map",
    "read_log",
    "read_logs",
    "unwrapped",
    "write_log",
]
