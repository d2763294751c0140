"""Device, data type, seeds, threads and scale: the only module that reads the environment.

==================  ===========================================================================
variable            meaning
==================  ===========================================================================
DLOPT_DEVICE        ``cpu`` or ``cuda`` (``cuda:1``, …); unset: CUDA where there is one, else CPU
DLOPT_SCALE         ``book`` (default, a laptop) or ``paper`` (a GPU and larger data)
DLOPT_SEED_OFFSET   an integer added to every seed; another value is another draw of the whole book
DLOPT_DATA          the folder that holds the canonical MNIST and CIFAR-10 files
DLOPT_PARTIAL       where a long run keeps what it has computed so far (set by ``python -m dlopt.paper``)
==================  ===========================================================================
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

__all__ = [
    "SCALES",
    "Place",
    "SettingError",
    "at_scale",
    "check_settings",
    "child_environment",
    "data_folder",
    "device",
    "environment",
    "generator",
    "numpy_generator",
    "place",
    "resumable",
    "scale",
    "seed",
]

SCALES = ("book", "paper")
"""The two sets of sizes, of which DLOPT_SCALE names one."""

T = TypeVar("T")


class SettingError(ValueError):
    """A setting or a file that the reader can mend; the message is one sentence that says how."""


def device() -> torch.device:
    """The device that experiments run on: DLOPT_DEVICE, else CUDA where there is one, else the CPU.

    Raises:
        SettingError: DLOPT_DEVICE names no device, or one that is not there.
    """
    wanted = os.environ.get("DLOPT_DEVICE", "").strip()
    if not wanted:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise SettingError(f"DLOPT_DEVICE is {wanted!r}, which is no device: use cpu or cuda.") from None
    if chosen.type not in ("cpu", "cuda"):
        raise SettingError(f"DLOPT_DEVICE is {wanted!r}, but the book runs on cpu or cuda only.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise SettingError(
            f"DLOPT_DEVICE is {wanted!r}, but PyTorch sees {torch.cuda.device_count()} CUDA devices here: "
            "unset it or use cpu."
        )
    return chosen


def scale() -> str:
    """The set of sizes in use: ``book`` or ``paper``.

    Raises:
        SettingError: DLOPT_SCALE is neither.
    """
    chosen = os.environ.get("DLOPT_SCALE", "book")
    if chosen not in SCALES:
        raise SettingError(f"DLOPT_SCALE is {chosen!r}: use {' or '.join(SCALES)}.")
    return chosen


def check_settings() -> None:
    """Read all settings once, so that a wrong one is said before anything runs.

    Raises:
        SettingError: one cannot be followed.
    """
    for read in (device, scale, data_folder):
        read()
    seed(0)


def at_scale(*, book: T, paper: T) -> T:
    """The value for the scale in use, so that one code path serves a laptop and a GPU.

    >>> at_scale(book=64, paper=1024)
    64
    """
    return {"book": book, "paper": paper}[scale()]


def seed(number: int) -> int:
    """``number`` plus DLOPT_SEED_OFFSET, the offset by which the whole book is drawn anew.

    Raises:
        SettingError: DLOPT_SEED_OFFSET is not a non-negative integer.
    """
    offset = os.environ.get("DLOPT_SEED_OFFSET", "0")
    if not offset.isdecimal():
        raise SettingError(f"DLOPT_SEED_OFFSET is {offset!r}: use a whole number, 0 or larger.")
    return number + int(offset)


def generator(number: int) -> torch.Generator:
    """A torch generator for seed ``number``, on the CPU.

    Draw on the CPU and move the result: a GPU then starts from the same numbers.
    """
    return torch.Generator().manual_seed(seed(number))


def numpy_generator(number: int) -> np.random.Generator:
    """A NumPy generator for seed ``number``."""
    return np.random.default_rng(seed(number))


def data_folder() -> Path | None:
    """The folder DLOPT_DATA names, or None when it is unset.

    Raises:
        SettingError: DLOPT_DATA names no folder.
    """
    named = os.environ.get("DLOPT_DATA", "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise SettingError(
            f"DLOPT_DATA is {named!r}, which is not a folder: name the one that holds the data files."
        )
    return folder


def resumable(name: str, compute: Callable[[], T]) -> T:
    """The value of ``compute()``, kept under ``name`` while a long run is under way.

    At book scale this is ``compute()``.  Under ``python -m dlopt.paper`` a value computed before the run was
    stopped is read back, so that an experiment goes on in steps of minutes.

    Args:
        name: unique in the chapter, a file name: letters, digits, hyphens.  It must name what the value depends on.
        compute: returns anything that :func:`torch.save` can keep.
    """
    folder = os.environ.get("DLOPT_PARTIAL", "")
    if not folder:
        return compute()
    file = Path(folder) / f"{name}-{scale()}-{seed(0)}.pt"
    if file.exists():
        return torch.load(file, weights_only=False)
    value = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    torch.save(value, part)
    part.replace(file)
    return value


class Place(NamedTuple):
    """Where a process stands among the workers of a distributed run, as ``torchrun`` tells it."""

    rank: int
    """0, …, workers − 1."""
    workers: int
    """How many there are: the world size."""
    local_rank: int
    """The number on its own machine, which picks the GPU."""
    local_workers: int
    """How many there are on its own machine."""
    host: str
    """Where rank 0, or the agent of ``torchrun``, waits for the others."""
    port: int
    """The port it waits at."""
    has_agent: bool
    """Whether an agent keeps the store that the workers meet in; otherwise rank 0 does."""
    restarts: int
    """How often the agent has started the workers anew."""


def place() -> Place | None:
    """The place that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT give this process; None where RANK is unset.

    Raises:
        SettingError: one of the others is missing, or they contradict each other.
    """
    if "RANK" not in os.environ:
        return None
    numbers = {}
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        value = os.environ.get(name, "")
        if not value.isdecimal():
            raise SettingError(f"{name} is {value!r}: with RANK set, it must be a whole number, 0 or larger.")
        numbers[name] = int(value)
    rank, workers, port = numbers.values()
    if rank >= workers:
        raise SettingError(f"RANK is {rank}, but of {workers} workers the last has rank {workers - 1}.")
    if not os.environ.get("MASTER_ADDR"):
        raise SettingError("MASTER_ADDR is not set: name the machine on which rank 0 runs.")
    return Place(
        rank,
        workers,
        int(os.environ.get("LOCAL_RANK", 0)),
        int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
        os.environ["MASTER_ADDR"],
        port,
        os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)),
    )


def child_environment(**variables: str) -> dict[str, str]:
    """The environment for a process that we start: this one's, without a place, and with ``variables``."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        and not name.startswith("TORCHELASTIC_")
    }
    return {**inherited, **variables}


def environment() -> dict[str, dict[str, str]]:
    """Versions and hardware of this process, for the status page and for stored results."""
    names = ("torch", "numpy", "scipy", "matplotlib", "scikit-learn", "numba")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in names}},
        "hardware": {
            "processor": _processor(),
            "cores": str(os.cpu_count()),
            "gpu": gpu,
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def _version(package: str) -> str:
    """The installed version; ``none`` where the package is missing, as Numba may be for a single chapter's run."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    """The processor's model name where the system tells it (Linux does in /proc/cpuinfo)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
