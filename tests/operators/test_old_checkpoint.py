"""Old checkpoints: what torch.save wrote is read without unpickling, and a run goes on from it."""

from __future__ import annotations

import collections
import pathlib
import pickle
import zipfile

import pytest
import torch

from operators import fields_data
from operators.fields_data import MeanAlignment, data, same, settings, trained
from potentia.errors import ConfigError, FileFormatError, PotentiaWarning
from potentia.operators.checkpoints import load_checkpoint, resumed_lines
from potentia.operators.old_checkpoint import read_old_checkpoint
from potentia.operators.training import Training


class Harmful:
    """Would write a file when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.path),)


def old(tmp_path, name="step_4.pt", **changes):
    """Write what a script with torch's AdamW and its own loop wrote before it knew of resumption."""
    training = Training("neural operator", fields_data.NETWORK, settings())
    network = training.prepare(data(), None, ()).model.network
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network(torch.ones(1, 1, fields_data.GRID), torch.zeros(1, 2)).square().mean().backward()
    optimizer.step()
    content = {
        "model_state_dict": network.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "epoch": 1,
        "history": {"train_loss": [3.0, 2.0], "val_loss": [4.0, 2.5]},
        "best_val_loss": 2.5,
        "config": {"base_channels": 32},
        "args": {"lr": 3e-4, "resume": None, "flags": [True, (1, -2)]},
        **changes,
    }
    torch.save({key: value for key, value in content.items() if value is not None}, tmp_path / name)
    return tmp_path / name, content


def test_tensors_and_plain_values_come_back_bit_for_bit(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    content = {
        "a": base, "view": base.T[1:], "scalar": torch.tensor(2.5, dtype=torch.float64), "empty": torch.empty(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16), "whole": torch.tensor([1, -2]), "yes": torch.tensor([True]),
        "waves": torch.tensor([1 + 2j]), "parameter": torch.nn.Parameter(torch.ones(2)),
        "plain": [1, -3, 2**40, 1.5, "ä", None, True, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"x": {3: []}}],
        "ordered": collections.OrderedDict(b=1),
    }  # fmt: skip
    torch.save(content, tmp_path / "x.pt")
    found = read_old_checkpoint(tmp_path / "x.pt")
    assert found.keys() == content.keys()
    assert found["plain"] == content["plain"]
    assert found["ordered"] == {"b": 1}
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            assert torch.equal(found[name], value.detach()), name


def test_what_could_run_code_is_refused_and_not_run(tmp_path):
    torch.save({"model_state_dict": {}, "x": Harmful(tmp_path / "touched")}, tmp_path / "bad.pt")
    with pytest.raises(
        FileFormatError, match=r"bad.pt cannot be read.*it asks for .*neither a tensor nor a plain value"
    ):
        read_old_checkpoint(tmp_path / "bad.pt")
    assert not (tmp_path / "touched").exists()


def test_files_that_are_no_such_archive(tmp_path):
    path, _ = old(tmp_path)
    whole = path.read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"half.pt is no whole file of torch.save"):
        load_checkpoint(tmp_path / "half.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("hello", "world")
    with pytest.raises(FileFormatError, match=r"it has 0 entries data.pkl"):
        load_checkpoint(tmp_path / "zip.pt")
    with zipfile.ZipFile(tmp_path / "proto.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"a": {1, 2}}, protocol=4))
    with pytest.raises(FileFormatError, match="has the instruction"):
        load_checkpoint(tmp_path / "proto.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(FileFormatError, match="holds no dictionary"):
        load_checkpoint(tmp_path / "list.pt")


def test_a_tensor_larger_than_its_memory_is_refused(tmp_path):
    torch.save({"a": torch.ones(4)}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive, zipfile.ZipFile(tmp_path / "y.pt", "w") as changed:
        for entry in archive.infolist():
            raw = archive.read(entry)
            changed.writestr(entry.filename, raw.replace(b"K\x04\x85", b"K\x7f\x85"))
    with pytest.raises(FileFormatError, match="a tensor in it is larger than its memory"):
        read_old_checkpoint(tmp_path / "y.pt")


def test_a_run_goes_on_where_an_old_step_file_stands(tmp_path):
    path, content = old(tmp_path)
    with pytest.warns(PotentiaWarning, match="Old checkpoint format detected - inferred global_step=4 from filename"):
        ready = Training("neural operator", fields_data.NETWORK, settings()).prepare(data(), path, ())
    assert same(dict(ready.model.network.state_dict()), dict(content["model_state_dict"]))
    assert (ready.run.epoch, ready.run.batch) == (1, 1)  # 3 steps an epoch
    assert ready.run.history == [{"train_loss": 3.0, "val_loss": 4.0}]
    moments = ready.run.stepper.split([one["exp_avg"] for one in ready.run.stepper.state().values()])
    stored = content["optimizer_state_dict"]["state"]
    for k, moment in enumerate(moments):
        assert torch.equal(moment, stored[k]["exp_avg"])
    with pytest.warns(PotentiaWarning, match="inferred global_step=4"):
        _, out = trained(resume_from=path)
    assert len(out.errors) == 4
    assert out.errors["train_loss"].iloc[0] == 3.0


def test_an_epoch_file_says_how_many_epochs_are_completed_and_other_names_say_nothing(tmp_path):
    path, _ = old(tmp_path, "epoch_2.pt")
    training = Training("neural operator", fields_data.NETWORK, settings())
    with pytest.warns(PotentiaWarning, match="inferred global_step=6"):
        run = training.prepare(data(), path, ()).run
    assert (run.epoch, run.batch, tuple(run.best)) == (2, 0, (2.5, 2))
    path, _ = old(tmp_path, "best_model.pt")
    with pytest.raises(FileFormatError, match=r"name it step_N.pt after N batches, or epoch_N.pt"):
        training.prepare(data(), path, ())
    path, _ = old(tmp_path, "best_model.pt", global_step=5)
    run = training.prepare(data(), path, ()).run
    assert (run.epoch, run.batch) == (1, 2)


@pytest.mark.filterwarnings("ignore:Old checkpoint format")
def test_a_projector_that_is_not_there_begins_anew_or_is_refused(tmp_path):
    path, _ = old(tmp_path)
    with pytest.warns(PotentiaWarning, match="Old checkpoint has no projector weights! Projector will restart"):
        Training("neural operator", fields_data.NETWORK, settings(epochs=2), MeanAlignment()).prepare(data(), path, ())
    with pytest.raises(ConfigError, match="Old checkpoint has no projector weights"):
        trained(settings(strict_resume=True), resume_from=path, alignment=MeanAlignment())
    path, _ = old(tmp_path, alignment_state=torch.nn.Linear(4, 1).state_dict(), optimizer_state_dict=None)
    with pytest.warns(PotentiaWarning, match="its optimizer state does not fit, so the optimizer begins anew"):
        trained(settings(epochs=2), resume_from=path, alignment=MeanAlignment())


def test_weights_of_another_network_are_named(tmp_path):
    path, content = old(tmp_path, global_step=3)
    changed = dict(content["model_state_dict"])
    changed["lift.weight"], changed["more"] = torch.ones(2, 2), changed.pop("out.bias")
    path, _ = old(tmp_path, global_step=3, model_state_dict=changed)
    with pytest.raises(
        ConfigError, match=r"out.bias is missing; more is not known; lift.weight has shape \(2, 2\), not"
    ):
        trained(resume_from=path)


def test_what_a_user_is_told_of_an_old_checkpoint(tmp_path):
    path, _ = old(tmp_path, best_val_loss=None, history=None)
    assert resumed_lines(path) == [
        f"Resuming from checkpoint: {path}",
        "  ✓ Loaded model weights",
        "  ✓ Loaded optimizer state",
        "  ⚠ Old checkpoint format detected - inferred global_step=4 from filename",
        "  ⚠ Syncing scheduler to step 4...",
        "  ✓ Resuming from epoch 2, step 4",
        "  ✓ No validation history (first epoch incomplete)",
    ]
