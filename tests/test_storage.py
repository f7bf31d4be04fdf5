"""Laws of stored files: what was written is read, whole or not at all, and nothing else is opened."""

from __future__ import annotations

import errno
import json
import math
import os
import struct

import pytest
import safetensors.torch
import torch

from potentia.errors import ConfigError, FileFormatError
from potentia.storage import flatten, read_file, unflatten, write_bytes, write_file, write_text

TENSORS = {
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "integer": torch.arange(6).reshape(2, 3),
    "bool": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "not finite": torch.tensor([math.nan, -math.inf, -0.0]),
    "complex64": torch.tensor([1 + 2j]),
    "complex128": torch.tensor([[1 + 2j, 3j]], dtype=torch.complex128),
    "conjugate": torch.tensor([1 + 2j], dtype=torch.complex128).conj(),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "expanded": torch.ones(1).expand(4),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}
SETTINGS = {"name": "Ång", "number": 0.1, "none": None, "list": [1, 2.5, "x"], "nested": {"deep": True}}


def bits(tensor):
    data = tensor.detach().resolve_conj().contiguous()
    return data.dtype, data.shape, bytes(data.reshape(-1).view(torch.uint8).tolist())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.pt"
    write_file(path, "thing", SETTINGS, TENSORS, version=2)
    return path


def test_what_was_written_is_read(path):
    stored = read_file(path, "thing", version=2)
    assert (stored.kind, stored.version, stored.settings) == ("thing", 2, SETTINGS)
    assert stored.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert bits(stored.tensors[name]) == bits(tensor), name


def test_equal_contents_give_equal_files(path):
    before = path.read_bytes()
    write_file(path, "thing", SETTINGS, dict(reversed(TENSORS.items())), version=2)
    assert path.read_bytes() == before


def test_tensors_that_share_memory_are_stored_apart(tmp_path):
    whole = torch.arange(4.0)
    write_file(tmp_path / "a", "thing", {}, {"whole": whole, "view": whole[1:], "again": whole})
    tensors = read_file(tmp_path / "a", "thing").tensors
    tensors["whole"].zero_()
    assert tensors["view"].tolist() == [1, 2, 3]
    assert tensors["again"].tolist() == [0, 1, 2, 3]


def test_one_of_several_kinds_is_read(path):
    assert read_file(path, "other", "thing", version=2).kind == "thing"


def test_another_kind_is_refused(path):
    with pytest.raises(FileFormatError, match=r"file\.pt holds a thing, not a potential or checkpoint"):
        read_file(path, "potential", "checkpoint")


def test_a_newer_version_is_refused(path):
    with pytest.raises(FileFormatError, match=r"thing of version 2, written by .*up to version 1: update potentia"):
        read_file(path, "thing")


def test_an_older_version_is_read(path):
    assert read_file(path, "thing", version=3).version == 2


def test_a_truncated_file_is_refused_wherever_it_ends(path):
    whole = path.read_bytes()
    for length in (*range(0, len(whole) - 1, 37), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match=r"is no whole potentia file: it is (truncated|empty).* take a copy"):
            read_file(path, "thing", version=2)


def test_one_byte_that_has_changed_is_noticed_wherever_it_is(path):
    whole = path.read_bytes()
    for place in (*range(0, len(whole), 5), len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FileFormatError, match=r"file\.pt is (damaged|no whole potentia|a safetensors file, but)"):
            read_file(path, "thing", version=2)


def test_a_tensor_that_is_damaged_says_what_to_do(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(FileFormatError, match=r"file\.pt is damaged.*checksum.*take a copy that is whole"):
        read_file(path, "thing", version=2)


def test_zeros_like_a_checksum_in_the_settings_are_theirs(tmp_path):
    text = f'"sha256":"{"0" * 64}"'
    write_file(tmp_path / "a", "thing", {"text": text}, {})
    assert read_file(tmp_path / "a", "thing").settings == {"text": text}


@pytest.mark.parametrize("content", [b"text\n", b"\x00" * 100, b"\xff" * 100, b"\x02" + b"\x00" * 7 + b"[]"])
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileFormatError, match="of another format"):
        read_file(tmp_path / "a", "thing")


@pytest.mark.parametrize("new_format", [True, False])
def test_pickles_are_refused_and_not_run(tmp_path, new_format):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    torch.save({"a": Bomb()}, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)
    with pytest.raises(FileFormatError, match="looks like a pickle"):
        read_file(tmp_path / "a.pt", "thing")
    assert not (tmp_path / "exploded").exists()


def test_safetensors_of_others_are_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "a")
    with pytest.raises(FileFormatError, match="potentia did not write it"):
        read_file(tmp_path / "a", "thing")


def test_a_missing_file_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", "thing")


@pytest.mark.parametrize("bad", [math.nan, math.inf, torch.ones(1), {1, 2}])
def test_settings_that_are_not_strict_json_are_refused(tmp_path, bad):
    with pytest.raises(ConfigError, match="settings of a thing cannot be written"):
        write_file(tmp_path / "a", "thing", {"x": bad}, {})
    assert list(tmp_path.iterdir()) == []


def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, call, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(
        OSError, match=r"No space left on device; what stood there before is untouched.*file\.pt"
    ) as caught:
        write_file(path, "thing", {}, {})
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["file.pt"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["file.pt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.setattr(Path, "open", lambda *_: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "a", b"x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent/a"):
        write_text(tmp_path / "absent" / "a", "x")


def test_text_replaces_what_was_there_with_usual_rights(tmp_path):
    (tmp_path / "plain").touch()
    for text in ("long long", "Å"):
        write_text(tmp_path / "a", text)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "Å"
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def same(one, other):
    assert type(one) is type(other)
    match one:
        case torch.Tensor():
            assert bits(one) == bits(other)
        case float():
            assert struct.pack(">d", one) == struct.pack(">d", other)
        case list() | tuple():
            assert len(one) == len(other)
            for pair in zip(one, other, strict=True):
                same(*pair)
        case dict():
            assert [(type(key), key) for key in one] == [(type(key), key) for key in other]
            for key in one:
                same(one[key], other[key])
        case _:
            assert one == other


@pytest.mark.parametrize(
    "state",
    [
        *(None, True, 0, -(2**80), "text", [], (), {}, 0.1, -0.0, math.nan, -math.nan, math.inf, -math.inf),
        {"a": [1, (2.5, None), {"b": (True,)}], 0: "int key", "0": "str key"},
        {"tensor": {"tensor": "x"}, "tuple": [1], "dict": {"dict": []}, "float": "00"},
        {"a/b": torch.ones(1), "a": {"b": torch.zeros(2)}, 3: torch.tensor(1), "3": torch.tensor(2)},
        TENSORS,
    ],
)
def test_a_nested_state_comes_back_to_the_bit(tmp_path, state):
    skeleton, tensors = flatten(state)
    write_file(tmp_path / "a", "state", {"skeleton": skeleton}, tensors)
    stored = read_file(tmp_path / "a", "state")
    same(unflatten(stored.settings["skeleton"], stored.tensors), _plain_parameters(state))


def _plain_parameters(state):
    return {name: tensor.detach() for name, tensor in state.items()} if state is TENSORS else state


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.LBFGS, torch.optim.Adadelta])
def test_the_state_of_an_optimizer_comes_back_to_the_bit(tmp_path, make):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**4).sum()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    state = optimizer.state_dict()
    skeleton, tensors = flatten(state)
    json.dumps(skeleton, allow_nan=False)
    same(unflatten(skeleton, tensors), state)


@pytest.mark.parametrize(
    ("state", "wanted"), [({"a": [{1}]}, "set at 'a/0'"), ({None: 1}, "key None"), (1j, "complex")]
)
def test_other_states_are_refused(state, wanted):
    with pytest.raises(ConfigError, match=wanted):
        flatten(state)
