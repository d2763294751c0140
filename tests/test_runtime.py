"""Settings come from the environment, and a wrong one is one clear sentence."""

from __future__ import annotations

import pytest
import torch

from dlopt import runtime
from dlopt.runtime import SettingError


def test_the_device_is_cuda_where_there_is_one_and_the_cpu_elsewhere(monkeypatch):
    assert runtime.device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("DLOPT_DEVICE", "cpu")
    assert runtime.device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("value", "message"),
    [("gpu", "is no device"), ("meta", "cpu or cuda only"), ("cuda:99", r"PyTorch sees \d+ CUDA devices")],
)
def test_a_device_that_is_not_there_is_said(monkeypatch, value, message):
    monkeypatch.setenv("DLOPT_DEVICE", value)
    with pytest.raises(SettingError, match=message):
        runtime.device()


def test_one_code_path_takes_its_sizes_from_the_scale(monkeypatch):
    assert runtime.at_scale(book=1, paper=2) == 1
    monkeypatch.setenv("DLOPT_SCALE", "paper")
    assert runtime.at_scale(book=1, paper=2) == 2
    monkeypatch.setenv("DLOPT_SCALE", "huge")
    with pytest.raises(SettingError, match="DLOPT_SCALE is 'huge': use book or paper"):
        runtime.at_scale(book=1, paper=2)


def test_seeds_repeat_and_the_offset_draws_anew(monkeypatch):
    def draws():
        return torch.randn(3, generator=runtime.generator(5)).tolist(), runtime.numpy_generator(5).normal(
            size=3
        ).tolist()

    first = draws()
    assert draws() == first
    monkeypatch.setenv("DLOPT_SEED_OFFSET", "1")
    moved = draws()
    assert moved[0] != first[0]
    assert moved[1] != first[1]
    assert torch.randn(3, generator=torch.Generator().manual_seed(6)).tolist() == moved[0]


@pytest.mark.parametrize("value", ["-1", "one", "1.5"])
def test_an_offset_that_is_no_whole_number_is_refused(monkeypatch, value):
    monkeypatch.setenv("DLOPT_SEED_OFFSET", value)
    with pytest.raises(SettingError, match="whole number"):
        runtime.generator(0)


def test_a_data_folder_that_is_not_there_is_said(monkeypatch, tmp_path):
    assert runtime.data_folder() is None
    monkeypatch.setenv("DLOPT_DATA", str(tmp_path))
    assert runtime.data_folder() == tmp_path
    monkeypatch.setenv("DLOPT_DATA", str(tmp_path / "none"))
    with pytest.raises(SettingError, match="not a folder"):
        runtime.data_folder()


def test_the_environment_names_versions_and_hardware():
    found = runtime.environment()
    assert found["versions"]["torch"] == str(torch.__version__)
    assert int(found["hardware"]["cores"]) >= 1
