"""Data sets: canonical files are read whole or refused, and synthetic data keep their promises."""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from dlopt import data
from dlopt.data import gaussian, load, separable, teacher_student
from dlopt.models import FullyConnected
from dlopt.runtime import SettingError

READERS_FOLDER = os.environ.get("DLOPT_DATA", "")


pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A data folder for small copies of the canonical files: 60 and 20 images, 20 records a file."""
    small = {name: (60 if "train" in name else 20, *shape[1:]) for name, shape in data.MNIST_FILES.items()}
    monkeypatch.setattr(data, "MNIST_FILES", small)
    monkeypatch.setattr(data, "CIFAR10_RECORDS", 20)
    monkeypatch.setenv("DLOPT_DATA", str(tmp_path))
    return tmp_path


def idx(shape: tuple[int, ...]) -> bytes:
    """An IDX file: labels count 0, …, 9, and the pixels of image i are i, i + 1, …."""
    if len(shape) == 1:
        values = np.arange(shape[0]) % 10
    else:
        values = (np.arange(shape[0])[:, None] + np.arange(math.prod(shape[1:]))) % 256
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + values.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, packed: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in data.MNIST_FILES.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(shape)))
        else:
            (folder / name).write_bytes(idx(shape))


def write_cifar10(folder: Path) -> None:
    """Labels count 0, …, 9; batch b has red b, green 100 + label, blue 200."""
    folder.mkdir(parents=True, exist_ok=True)
    for batch, name in enumerate(data.CIFAR10_FILES, start=1):
        records = np.zeros((20, 3073), np.uint8)
        records[:, 0] = np.arange(20) % 10
        records[:, 1:1025] = batch
        records[:, 1025:2049] = 100 + records[:, :1]
        records[:, 2049:] = 200
        records.tofile(folder / name)


def pixels(inputs: torch.Tensor, of: np.ndarray) -> torch.Tensor:
    """Standardized inputs as bytes again, given the training pixels."""
    return (inputs * of.std() + of.mean()).round().int()


class TestDigits:
    def test_it_is_scikit_learns_set_in_two_parts(self):
        digits = load("digits", dtype=torch.float64)
        assert digits.train_inputs.shape == (1400, 64)
        assert digits.test_inputs.shape == (397, 64)
        assert (digits.name, digits.shape, digits.classes) == ("digits", (1, 8, 8), 10)
        theirs, labels = datasets.load_digits(return_X_y=True)
        train = theirs[np.random.default_rng(0).permutation(1797)[:1400]]
        ours = pixels(torch.cat([digits.train_inputs, digits.test_inputs]), train)
        rows = np.column_stack([ours, torch.cat([digits.train_labels, digits.test_labels])])
        assert np.array_equal(np.unique(rows, axis=0), np.unique(np.column_stack([theirs, labels]), axis=0))

    def test_training_pixels_have_mean_zero_and_variance_one(self):
        digits = load("digits", dtype=torch.float64)
        assert digits.train_inputs.mean().item() == pytest.approx(0, abs=1e-12)
        assert digits.train_inputs.var(correction=0).item() == pytest.approx(1)
        assert abs(digits.test_inputs.mean().item()) > 1e-4

    def test_the_split_is_fixed_by_the_seed_and_the_offset(self, monkeypatch):
        here = load("digits", seed=1).train_labels
        assert torch.equal(load("digits", seed=1).train_labels, here)
        assert not torch.equal(load("digits").train_labels, here)
        monkeypatch.setenv("DLOPT_SEED_OFFSET", "1")
        assert torch.equal(load("digits").train_labels, here)

    def test_inputs_are_single_precision_and_labels_whole_numbers(self):
        digits = load("digits")
        assert digits.train_inputs.dtype == digits.test_inputs.dtype == torch.float32
        assert digits.train_labels.dtype == digits.test_labels.dtype == torch.int64

    @pytest.mark.cuda
    def test_cuda_has_the_same_numbers(self):
        here, there = load("digits", device="cpu"), load("digits", device="cuda")
        assert torch.allclose(here.train_inputs, there.train_inputs.cpu(), atol=1e-6)
        assert there.train_labels.is_cuda


class TestMnist:
    @pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
    @pytest.mark.parametrize("packed", [True, False])
    def test_canonical_files_are_read_packed_or_not(self, folder, packed, place):
        write_mnist(folder / place, packed=packed)
        mnist = load("mnist", dtype=torch.float64)
        assert mnist.train_inputs.shape == (60, 784)
        assert mnist.shape == (1, 28, 28)
        assert mnist.train_labels.tolist() == [label for _ in range(6) for label in range(10)]
        train = (np.arange(60)[:, None] + np.arange(784)) % 256
        assert np.array_equal(pixels(mnist.train_inputs, train), train)
        assert np.array_equal(pixels(mnist.test_inputs, train), train[:20])

    def test_sizes_are_the_canonical_ones(self):
        sizes = [4 + 4 * len(shape) + math.prod(shape) for shape in data.MNIST_FILES.values()]
        assert sizes == [47_040_016, 60_008, 7_840_016, 10_008]
        assert data.CIFAR10_RECORDS * data.CIFAR10_RECORD == 30_730_000

    @pytest.mark.parametrize(
        ("name", "damage", "sentence"),
        [
            ("train-images-idx3-ubyte", lambda content: content[:-1], "47056 bytes, but it has 47055: replace"),
            ("train-images-idx3-ubyte", lambda content: content + b"\0", "47056 bytes, but it has 47057"),
            ("train-images-idx3-ubyte", lambda content: content[:7], "its header says otherwise"),
            ("train-images-idx3-ubyte", lambda content: b"", "its header says otherwise"),
            ("t10k-labels-idx1-ubyte", lambda content: idx((21,)), r"IDX bytes of shape \(20,\)"),
            ("t10k-labels-idx1-ubyte", lambda content: b"\0\0\x0d" + content[3:], "its header says otherwise"),
            ("t10k-labels-idx1-ubyte", lambda content: b"<html>not found", "its header says otherwise"),
            ("t10k-labels-idx1-ubyte", lambda content: content[:-1] + b"\x0a", "labels from 0 to 9, but it has 10"),
            ("train-images-idx3-ubyte.gz", lambda content: content[:-9], "it is cut or damaged"),
            ("train-images-idx3-ubyte.gz", lambda content: content[:99] + b"damage" + content[105:], "damaged"),
            ("train-images-idx3-ubyte.gz", lambda content: content[:5], "cut or damaged"),
            ("train-images-idx3-ubyte.gz", lambda content: gzip.compress(b"other"), "its header says otherwise"),
        ],
    )  # fmt: skip
    def test_a_broken_file_is_named_with_what_was_expected(self, folder, name, damage, sentence):
        write_mnist(folder, packed=name.endswith(".gz"))
        path = folder / name
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(SettingError, match=sentence) as error:
            load("mnist")
        assert str(error.value).startswith(f"{path} should hold ")

    def test_a_missing_file_is_named_with_what_to_do(self, folder):
        write_mnist(folder, packed=True)
        (folder / "t10k-images-idx3-ubyte.gz").unlink()
        sentence = "holds no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz, .* of MNIST: put it there, or unset"
        with pytest.raises(SettingError, match=sentence):
            load("mnist")

    def test_a_file_that_may_not_be_read_is_named(self, folder, monkeypatch):
        write_mnist(folder, packed=False)

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(
            SettingError, match=r"train-images-idx3-ubyte cannot be read \(Permission denied\)"
        ):
            load("mnist")

    @pytest.mark.skipif(
        not (Path(READERS_FOLDER) / "train-images-idx3-ubyte.gz").is_file(),
        reason="DLOPT_DATA names no MNIST",
    )
    def test_the_real_files_have_their_known_moments(self, monkeypatch):
        monkeypatch.setenv("DLOPT_DATA", READERS_FOLDER)
        mnist = load("mnist")
        assert mnist.train_labels.bincount().tolist()[:3] == [5923, 6742, 5958]
        assert mnist.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
        background = mnist.train_inputs.min().item()
        assert background == pytest.approx(-0.1307 / 0.3081, abs=1e-3)


class TestCifar10:
    @pytest.mark.parametrize("place", ["", "cifar-10-batches-bin", "cifar10"])
    def test_canonical_files_are_read(self, folder, place):
        write_cifar10(folder / place)
        cifar10 = load("cifar10", dtype=torch.float64)
        assert cifar10.train_inputs.shape == (100, 3072)
        assert cifar10.test_inputs.shape == (20, 3072)
        assert cifar10.shape == (3, 32, 32)
        assert cifar10.train_labels.tolist() == [label for _ in range(10) for label in range(10)]
        train = np.concatenate(
            [np.fromfile(folder / place / name, np.uint8) for name in data.CIFAR10_FILES[:5]]
        )
        train = train.reshape(100, 3073)[:, 1:]
        images = pixels(cifar10.train_inputs, train).view(-1, *cifar10.shape)
        assert images[:, 0, 5, 7].tolist() == [batch for batch in range(1, 6) for _ in range(20)]
        assert torch.equal(images[:, 1, 9, 2], 100 + cifar10.train_labels.int())
        assert (images[:, 2] == 200).all()
        assert (pixels(cifar10.test_inputs, train)[:, 0] == 6).all()

    @pytest.mark.parametrize(
        ("damage", "sentence"),
        [
            (lambda content: content[:-1], "61460 bytes, but it has 61459"),
            (lambda content: content + b"\0", "61460 bytes, but it has 61461"),
            (lambda content: b"", "61460 bytes, but it has 0"),
            (lambda content: bytes([77]) + content[1:], "labels from 0 to 9, but it has 77"),
        ],
    )
    def test_a_broken_file_is_named_with_what_was_expected(self, folder, damage, sentence):
        write_cifar10(folder)
        path = folder / "data_batch_3.bin"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(SettingError, match=sentence) as error:
            load("cifar10")
        assert str(error.value).startswith(f"{path} should hold ")

    def test_a_missing_file_is_named_with_what_to_do(self, folder):
        with pytest.raises(SettingError, match=r"holds no data_batch_1.bin, .* of CIFAR-10: put it there"):
            load("cifar10")


class TestDownload:
    @pytest.mark.parametrize(("name", "pixels", "train"), [("mnist", 784, 60_000), ("cifar10", 3072, 50_000)])
    def test_without_a_folder_scikit_learn_fetches_and_the_first_rows_train(
        self, monkeypatch, name, pixels, train
    ):
        asked = []

        def fetch(openml, **options):
            asked.append((openml, options))
            images = np.broadcast_to(np.arange(train + 10_000)[:, None] // 1000, (train + 10_000, pixels))
            return images, np.array([str(row % 10) for row in range(train + 10_000)])

        monkeypatch.setattr(datasets, "fetch_openml", fetch)
        found = load(name, dtype=torch.float16)
        assert asked[0][0] == {"mnist": "mnist_784", "cifar10": "CIFAR_10"}[name]
        assert found.train_inputs.shape == (train, pixels)
        assert found.test_inputs.shape == (10_000, pixels)
        assert found.test_inputs.min() > found.train_inputs.max()
        assert found.test_labels[:12].tolist() == [*range(10), 0, 1]

    @pytest.mark.parametrize(
        "error", [ConnectionError("no route"), ValueError("no route"), OSError("no route")]
    )
    def test_a_failure_gives_one_sentence_with_the_remedy(self, monkeypatch, error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(datasets, "fetch_openml", fail)
        sentence = (
            r"MNIST could not be downloaded from OpenML \(no route\): try again online, or set DLOPT_DATA"
        )
        with pytest.raises(SettingError, match=sentence) as refused:
            load("mnist")
        assert "train-images-idx3-ubyte" in str(refused.value)

    def test_data_of_another_shape_is_refused(self, monkeypatch):
        monkeypatch.setattr(datasets, "fetch_openml", lambda *_, **__: (np.zeros((100, 784)), np.zeros(100)))
        with pytest.raises(SettingError, match=r"OpenML sent MNIST in the shape \(100, 784\)"):
            load("mnist")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(SettingError, match="no data set 'imagenet': use one of digits, mnist, cifar10"):
        load("imagenet")


def test_a_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DLOPT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SettingError, match="nowhere"):
        load("mnist")


class TestGaussian:
    def test_entries_are_standard_normal_and_uncorrelated(self):
        x = gaussian(20_000, 4, dtype=torch.float64)
        assert torch.allclose(x.mean(0), torch.zeros(4).double(), atol=0.03)
        assert torch.allclose(x.T @ x / 20_000, torch.eye(4).double(), atol=0.04)

    def test_precisions_agree_and_seeds_differ(self):
        assert torch.equal(gaussian(5, 3, dtype=torch.float64).float(), gaussian(5, 3, dtype=torch.float32))
        assert not torch.equal(gaussian(5, 3, seed=0), gaussian(5, 3, seed=1))
        assert gaussian(5, 3).dtype == torch.get_default_dtype()

    def test_it_is_independent_of_a_networks_weights_with_the_same_seed(self):
        weights = FullyConnected([40, 50], dtype=torch.float64, seed=3).weights[0].detach().flatten()
        x = gaussian(50, 40, seed=3, dtype=torch.float64).flatten()
        assert abs(torch.corrcoef(torch.stack([weights, x]))[0, 1].item()) < 0.1


class TestSeparable:
    @given(n=st.integers(1, 40), d=st.integers(1, 8), margin=st.floats(0, 5), seed=st.integers(0, 99))
    @settings(max_examples=40)
    def test_the_margin_holds_for_every_sample(self, n, d, margin, seed):
        inputs, labels, direction = separable(n, d, margin, seed=seed, dtype=torch.float64, device="cpu")
        assert inputs.shape == (n, d)
        assert direction.norm().item() == pytest.approx(1)
        assert set(labels.tolist()) <= {-1.0, 1.0}
        assert (labels * (inputs @ direction) >= margin - 1e-9).all()

    def test_both_classes_occur_and_the_margin_is_nearly_attained(self):
        inputs, labels, direction = separable(2000, 5, 0.5, dtype=torch.float64)
        assert abs(labels.mean().item()) < 0.1
        assert (labels * (inputs @ direction)).min().item() < 0.51

    def test_a_negative_margin_is_refused(self):
        with pytest.raises(ValueError, match="margin must be 0 or larger"):
            separable(5, 2, -0.1)


class TestTeacherStudent:
    def test_targets_are_the_teachers_outputs(self):
        inputs, targets, teacher = teacher_student(30, [4, 6, 2], "tanh", dtype=torch.float64)
        assert inputs.shape == (30, 4)
        assert torch.equal(targets, teacher(inputs))
        assert not targets.requires_grad

    def test_the_noise_has_its_standard_deviation_and_leaves_inputs_and_teacher(self):
        clean = teacher_student(5000, [4, 6, 2], dtype=torch.float64)
        noisy = teacher_student(5000, [4, 6, 2], noise=0.3, dtype=torch.float64)
        assert torch.equal(clean.inputs, noisy.inputs)
        noise = noisy.targets - clean.targets
        assert noise.std().item() == pytest.approx(0.3, rel=0.03)
        assert abs(torch.corrcoef(torch.stack([noise[:, 0], clean.inputs[:, 0]]))[0, 1].item()) < 0.05

    def test_a_student_of_the_same_seed_does_not_start_at_the_teacher(self):
        teacher = teacher_student(3, [20, 30, 2], seed=5).teacher
        student = FullyConnected([20, 30, 2], seed=5)
        correlation = torch.corrcoef(
            torch.stack([w.weights[0].detach().flatten() for w in (teacher, student)])
        )
        assert abs(correlation[0, 1].item()) < 0.15

    def test_seeds_draw_other_problems(self):
        first, second = (teacher_student(3, [4, 6, 2], seed=seed) for seed in (0, 1))
        assert not torch.equal(first.inputs, second.inputs)
        assert not torch.equal(first.teacher.weights[0], second.teacher.weights[0])

    @pytest.mark.cuda
    def test_cuda_has_the_same_problem(self):
        here, there = (teacher_student(9, [4, 6, 2], dtype=torch.float64, device=d) for d in ("cpu", "cuda"))
        assert torch.equal(here.inputs, there.inputs.cpu())
        assert torch.allclose(here.targets, there.targets.cpu())
