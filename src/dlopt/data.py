"""Data sets: digits, MNIST and CIFAR-10, and synthetic ones.

Rows are samples: inputs are (n, d), where the survey's X has samples as columns.  Everything is drawn or read
on the CPU and then moved, so every device sees the same data.

MNIST and CIFAR-10 are read from their canonical files in the folder that DLOPT_DATA names; without that
variable scikit-learn downloads them from OpenML once and keeps them.
"""

from __future__ import annotations

import gzip
import importlib.util
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor

from dlopt import runtime
from dlopt.initialization import KAIMING, Initialization
from dlopt.models import Activation, FullyConnected
from dlopt.runtime import SettingError

__all__ = ["Dataset", "Separable", "TeacherStudent", "gaussian", "load", "separable", "teacher_student"]

DIGITS_TRAIN = 1400
MNIST_FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
MNIST_FOLDERS = ("", "mnist", "MNIST/raw")
CIFAR10_FILES = (*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin")
CIFAR10_RECORDS, CIFAR10_RECORD = 10_000, 1 + 3 * 32 * 32
CIFAR10_FOLDERS = ("", "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin")


@dataclass(frozen=True)
class Dataset:
    """Images as rows, standardized, with their labels.

    Attributes:
        name: "digits", "mnist" or "cifar10".
        train_inputs: (n, d); the mean over all pixels of all training images is 0 and their variance 1.
        train_labels: (n,), integers 0, …, classes - 1.
        test_inputs: (m, d), shifted and scaled as the training images were.
        test_labels: (m,).
        shape: (channels, height, width) of an image, so that ``inputs.view(-1, *shape)`` shows it.
        classes: the number of classes.
    """

    name: str
    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    shape: tuple[int, int, int]
    classes: int


def load(
    name: str,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Dataset:
    """A data set of images, standardized by the mean and the standard deviation of its training pixels.

    - ``digits``: scikit-learn's 1797 images of 8 × 8, of which a permutation drawn with ``seed`` takes 1400
      for training and 397 for testing.
    - ``mnist``: 60 000 and 10 000 images of 28 × 28, in their canonical order; ``seed`` changes nothing.
    - ``cifar10``: 50 000 and 10 000 images of 3 × 32 × 32, likewise.

    Args:
        name: of the data set.
        seed: of the split of the digits.
        dtype: of the inputs.
        device: None for :func:`dlopt.runtime.device`.

    Raises:
        SettingError: the name is unknown, a file is missing or not the canonical one, or a download failed.
    """
    if name not in _SOURCES:
        raise SettingError(f"there is no data set {name!r}: use one of {', '.join(_SOURCES)}.")
    shape, read = _SOURCES[name]
    train_pixels, train_labels, test_pixels, test_labels = read(seed)
    mean, std = _moments(train_pixels)
    device = runtime.device() if device is None else device

    def inputs(pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).to(device, dtype).sub_(mean).div_(std)

    def labels(read: np.ndarray) -> Tensor:
        return torch.from_numpy(read.astype(np.int64)).to(device)

    return Dataset(
        name, inputs(train_pixels), labels(train_labels), inputs(test_pixels), labels(test_labels), shape, 10
    )  # fmt: skip


def gaussian(
    n: int,
    d: int,
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """n samples of N(0, I_d), (n, d).

    They are drawn in double precision and independently of a network's weights with the same seed.
    """
    return _tensor(runtime.numpy_generator(seed).standard_normal((n, d)), dtype, device)


class Separable(NamedTuple):
    """Samples that a hyperplane through the origin separates."""

    inputs: Tensor
    """(n, d)"""
    labels: Tensor
    """(n,), of -1 and 1, in the inputs' type."""
    direction: Tensor
    """(d,), a unit vector w with y_i ⟨w, x_i⟩ ≥ margin for every sample."""


def separable(
    n: int,
    d: int,
    margin: float,
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Separable:
    """Two classes at distance ``margin`` or more from a hyperplane through the origin.

    x_i = g_i + margin · y_i w with g_i from N(0, I_d), w uniform on the sphere and y_i = sign⟨w, g_i⟩.

    Raises:
        ValueError: a negative margin.
    """
    if margin < 0:
        raise ValueError(f"the margin must be 0 or larger, not {margin}.")
    generator = runtime.numpy_generator(seed)
    direction = generator.standard_normal(d)
    direction /= np.linalg.norm(direction)
    inputs = generator.standard_normal((n, d))
    labels = np.where(inputs @ direction >= 0, 1.0, -1.0)
    inputs += margin * labels[:, None] * direction
    return Separable(*(_tensor(array, dtype, device) for array in (inputs, labels, direction)))


class TeacherStudent(NamedTuple):
    """A regression problem that a network of known weights solves."""

    inputs: Tensor
    """(n, d_0), from N(0, I)."""
    targets: Tensor
    """(n, d_L), the teacher's outputs plus the noise."""
    teacher: FullyConnected


def teacher_student(
    n: int,
    widths: list[int] | tuple[int, ...],
    activation: str | Activation = "relu",
    *,
    noise: float = 0.0,
    initialization: Initialization = KAIMING,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> TeacherStudent:
    """y_i = f_θ*(x_i) + noise · ξ_i with x_i and ξ_i from N(0, I) and a random teacher f_θ*, equation (1).

    Inputs, teacher and noise are drawn independently, and the teacher is not the network that
    :class:`dlopt.models.FullyConnected` draws with the same seed, so a student may use that seed.

    Raises:
        ValueError: the widths or the activation make no network.
    """
    draw_teacher, draw_noise = runtime.numpy_generator(seed).spawn(2)
    teacher = FullyConnected(
        widths, activation, initialization=initialization, seed=int(draw_teacher.integers(2**31)),
        dtype=dtype, device=device,
    )  # fmt: skip
    inputs = gaussian(n, widths[0], seed=seed, dtype=dtype, device=device)
    with torch.no_grad():
        targets = teacher(inputs)
    return TeacherStudent(
        inputs, targets + noise * _tensor(draw_noise.standard_normal(targets.shape), dtype, device), teacher
    )  # fmt: skip


def _tensor(array: np.ndarray, dtype: torch.dtype | None, device: torch.device | str | None) -> Tensor:
    dtype = torch.get_default_dtype() if dtype is None else dtype
    return torch.from_numpy(array).to(runtime.device() if device is None else device, dtype)


def _moments(pixels: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of bytes, exactly, from how often each value occurs."""
    counts = torch.bincount(torch.from_numpy(pixels).flatten(), minlength=256).double() / pixels.size
    values = torch.arange(256, dtype=torch.float64)
    mean = (counts * values).sum()
    std = (counts * (values - mean) ** 2).sum().sqrt()
    return mean.item(), std.item()


Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training pixels (n, d) and labels (n,), test pixels and labels, all bytes."""


def _digits(seed: int) -> Split:
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = runtime.numpy_generator(seed).permutation(len(labels))
    train, test = order[:DIGITS_TRAIN], order[DIGITS_TRAIN:]
    pixels = pixels.astype(np.uint8)
    return pixels[train], labels[train], pixels[test], labels[test]


def _mnist(_: int) -> Split:
    folder = runtime.data_folder()
    if folder is None:
        return _download("mnist_784", "MNIST", tuple(MNIST_FILES), train=60_000, pixels=28 * 28)
    paths = [_find(folder, MNIST_FOLDERS, (name, f"{name}.gz"), "MNIST") for name in MNIST_FILES]
    train_pixels, train_labels, test_pixels, test_labels = (
        _read_idx(path, shape).reshape(shape[0], -1)
        for path, shape in zip(paths, MNIST_FILES.values(), strict=True)
    )
    return train_pixels, train_labels[:, 0], test_pixels, test_labels[:, 0]


def _cifar10(_: int) -> Split:
    folder = runtime.data_folder()
    if folder is None:
        return _download("CIFAR_10", "CIFAR-10", CIFAR10_FILES, train=50_000, pixels=3 * 32 * 32)
    paths = [_find(folder, CIFAR10_FOLDERS, (name,), "CIFAR-10") for name in CIFAR10_FILES]
    *train, test = (_read_records(path) for path in paths)
    train = np.concatenate(train)
    return train[:, 1:], train[:, 0], test[:, 1:], test[:, 0]


def _find(folder: Path, places: tuple[str, ...], names: tuple[str, ...], title: str) -> Path:
    """The first of ``names`` that is in one of the places under the folder."""
    for place in places:
        for name in names:
            if (folder / place / name).is_file():
                return folder / place / name
    raise SettingError(
        f"{folder} holds no {' or '.join(names)}, which is one of the canonical files of {title}: put it "
        "there, or unset DLOPT_DATA to have the data downloaded."
    )


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The bytes of an IDX file of exactly this shape; the file may be compressed with gzip.

    IDX is a header, two zero bytes, the type (8 for bytes), the number of axes, and the length of every axis
    in 32 bits, big end first; then the values, the last axis running fastest.
    """
    content = _content(path)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    if content[: len(header)] != header:
        raise _broken(path, f"IDX bytes of shape {shape}, but its header says otherwise")
    if len(content) != len(header) + math.prod(shape):
        raise _broken(path, f"{len(header) + math.prod(shape)} bytes, but it has {len(content)}")
    array = np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)
    if len(shape) == 1 and array.max() > 9:
        raise _broken(path, f"labels from 0 to 9, but it has {array.max()}")
    return array


def _read_records(path: Path) -> np.ndarray:
    """The records of one CIFAR-10 file, (10 000, 3073): a label, then 1024 bytes each of red, green, blue."""
    content = _content(path)
    expected = CIFAR10_RECORDS * CIFAR10_RECORD
    if len(content) != expected:
        raise _broken(path, f"{expected} bytes, but it has {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(CIFAR10_RECORDS, CIFAR10_RECORD)
    if records[:, 0].max() > 9:
        raise _broken(path, f"labels from 0 to 9, but it has {records[:, 0].max()}")
    return records


def _content(path: Path) -> bytearray:
    """The content of a file, decompressed where it starts as gzip does."""
    try:
        content = path.read_bytes()
        return bytearray(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(path, f"a whole gzip file, but it is cut or damaged ({error})") from error
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error.strerror}): mend its permissions.") from error


def _broken(path: Path, difference: str) -> SettingError:
    return SettingError(f"{path} should hold {difference}: replace it by the canonical file.")


def _download(openml: str, title: str, files: tuple[str, ...], *, train: int, pixels: int) -> Split:
    """A data set from OpenML, training images first, as scikit-learn fetches and keeps it."""
    remedy = f"try again online, or set DLOPT_DATA to a folder with {', '.join(files)}"
    parser = "auto" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images, labels = datasets.fetch_openml(
                openml, version=1, return_X_y=True, as_frame=False, parser=parser, n_retries=1
            )
    except Exception as error:
        raise SettingError(f"{title} could not be downloaded from OpenML ({error}): {remedy}.") from error
    if images.shape != (train + 10_000, pixels):
        raise SettingError(f"OpenML sent {title} in the shape {images.shape}: {remedy}.")
    images, labels = images.astype(np.uint8), labels.astype(np.uint8)
    return images[:train], labels[:train], images[train:], labels[train:]


_SOURCES: dict[str, tuple[tuple[int, int, int], Callable[[int], Split]]] = {
    "digits": ((1, 8, 8), _digits),
    "mnist": ((1, 28, 28), _mnist),
    "cifar10": ((3, 32, 32), _cifar10),
}
