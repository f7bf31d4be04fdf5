"""Laws of MessagePack files: what was written comes back bit for bit, and nothing else is read."""

from __future__ import annotations

import msgpack
import pytest
import torch

from potentia.dynamics.msgpack_tensors import read_msgpack, write_msgpack
from potentia.errors import ConfigError, FileFormatError


def test_tensors_come_back_bit_for_bit(tmp_path):
    tensors = {
        "weights": torch.tensor([[1.5, float("nan")], [-0.0, float("inf")]]).T,
        "mean": torch.tensor([0.1], dtype=torch.float64),
        "count": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "mask": torch.tensor([True, False]),
    }
    write_msgpack(tmp_path / "params.msgpack", tensors)
    found = read_msgpack(tmp_path / "params.msgpack")
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape)
        assert found[name].numpy().tobytes() == tensor.contiguous().numpy().tobytes()


def test_the_layout_is_the_one_that_is_written_down(tmp_path):
    write_msgpack(tmp_path / "p.msgpack", {"w": torch.tensor([[1.0, 2.0]])})
    content = msgpack.unpackb((tmp_path / "p.msgpack").read_bytes())
    data = b"\0\0\x80?\0\0\0@"
    assert content == {"format": 1, "tensors": {"w": {"dtype": "<f4", "shape": [1, 2], "data": data}}}


ENTRY = {"dtype": "<f4", "shape": [2], "data": bytes(8)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must be a map of `format` and `tensors`"),
        ({"format": 1, "tensors": {}, "code": "x"}, "must be a map of `format` and `tensors`"),
        ({"format": 2, "tensors": {}}, "of format 2; this release reads format 1"),
        ({"format": 1, "tensors": {"w": {**ENTRY, "shape": [3]}}}, "'w' is no tensor"),
        ({"format": 1, "tensors": {"w": {**ENTRY, "dtype": "O"}}}, "'w' is no tensor"),
        ({"format": 1, "tensors": {"w": {**ENTRY, "shape": [-2]}}}, "'w' is no tensor"),
        ({"format": 1, "tensors": {"w": {**ENTRY, "data": "text"}}}, "'w' is no tensor"),
        ({"format": 1, "tensors": {"w": {**ENTRY, "more": 1}}}, "'w' is no tensor"),
    ],
)
def test_anything_else_is_refused(tmp_path, content, message):
    (tmp_path / "p.msgpack").write_bytes(msgpack.packb(content))
    with pytest.raises(FileFormatError, match=message):
        read_msgpack(tmp_path / "p.msgpack")


def test_half_a_file_is_refused(tmp_path):
    write_msgpack(tmp_path / "p.msgpack", {"w": torch.zeros(5)})
    (tmp_path / "p.msgpack").write_bytes((tmp_path / "p.msgpack").read_bytes()[:-3])
    with pytest.raises(FileFormatError, match="no whole MessagePack file"):
        read_msgpack(tmp_path / "p.msgpack")


def test_a_kind_of_number_that_the_format_has_not_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'w' is of torch\.complex64"):
        write_msgpack(tmp_path / "p.msgpack", {"w": torch.zeros(1, dtype=torch.complex64)})
