"""The doctor: contradictions are named, the descriptor is as defined, and a broken part sets the exit code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from potentia.cli import main
from potentia.cli.doctor import Finding, parts
from potentia.cli.doctor.machine import cache_findings, variable_findings
from potentia.cli.doctor.parts import Part
from potentia.cli.doctor.self_test import CELL, by_definition, self_test_findings
from potentia.potentials import ChebyshevDescriptor


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        ({"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}, []),
        ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "4"}, [("thread variables", "warning")]),
        ({"OMP_NUM_THREADS": "64"}, [("OMP_NUM_THREADS", "warning")]),
        ({"MKL_NUM_THREADS": "many"}, [("MKL_NUM_THREADS", "broken")]),
        ({"OMP_NUM_THREADS": "4", "OMP_WAIT_POLICY": "ACTIVE"}, [("OMP_WAIT_POLICY", "warning")]),
    ],
)
def test_variables_of_threads_that_contradict_themselves_or_the_machine(given, told):
    found = list(variable_findings(given, cores=4))
    assert [(one.name, one.state) for one in found] == told
    assert all(one.advice for one in found)


def test_the_self_test_sees_what_is_wrong_with_a_descriptor(monkeypatch):
    (found,) = self_test_findings()
    assert found.state == "ok"
    whole = ChebyshevDescriptor.features

    def wrong(self, geometry):
        features = whole(self, geometry)
        features.values[0, 0] += 1e-6
        return features

    monkeypatch.setattr(ChebyshevDescriptor, "features", wrong)
    (found,) = self_test_findings()
    assert (found.state, bool(found.advice)) == ("broken", True)


def test_the_definition_knows_a_feature_by_hand():
    descriptor = ChebyshevDescriptor(["O", "Ti"], rad_order=0, rad_cutoff=3.0, ang_order=0, ang_cutoff=0.6)
    found = by_definition(descriptor, CELL)
    assert found.shape == (3, 4)
    assert (found[:, 1] == 0).all()  # nobody is so near
    images = np.array([[i, j, k] for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2) for k in (-2, -1, 0, 1, 2)])
    r = np.linalg.norm((CELL.positions[:, None] + images @ CELL.cell - CELL.positions[0]).reshape(-1, 3), axis=1)
    near = r[(r > 0.55) & (r < 3.0)]
    assert found[0, 0] == pytest.approx((0.5 * np.cos(np.pi * near / 3.0) + 0.5).sum(), rel=1e-12)


def test_a_part_that_cannot_be_imported_is_broken_and_one_that_is_not_there_is_not(monkeypatch, tmp_path, capsys):
    (tmp_path / "torn.py").write_text("raise ImportError('libmpi.so.12: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(parts, "PARTS", (Part("torn", "torn", "tests"), Part("nowhere_at_all", "nowhere", "tests")))
    torn, nowhere = parts.part_findings()
    assert (torn.state, nowhere.state) == ("broken", "absent")
    assert "libmpi.so.12: cannot open" in torn.text
    assert nowhere.advice == "pip install nowhere, if it is wanted"
    assert main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["broken"] == 1
    assert {"potentia", "threads", "memory", "compiled kernels", "self-test"} <= {
        one["name"] for one in told["findings"]
    }


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file/kernels"))
    (found,) = cache_findings()
    assert "cannot be written" in found.text
    assert str(Finding("x", "ok", "y")) == "ok      x: y"
