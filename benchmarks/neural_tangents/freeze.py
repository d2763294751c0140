"""Writes tests/fixtures/neural_tangents.npz: the kernels of neural-tangents in double precision for a few inputs.

Run from the repository's root in the environment of requirements.txt beside this file.
"""

import itertools

import jax
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)

PARAMETERS = {"W_std": 1.3, "b_std": 0.2}
ACTIVATIONS = {"relu": stax.Relu(), "erf": stax.Erf(), "gelu": stax.Gelu()}
HEADS = {"flatten": stax.Flatten(), "pool": stax.GlobalAvgPool()}


def dense(activation: str, depth: int):
    hidden = [stax.Dense(1, **PARAMETERS), ACTIVATIONS[activation]] * (depth - 1)
    return stax.serial(*hidden, stax.Dense(1, **PARAMETERS))


def convolutional(padding: str, head: str, depth: int):
    mode = {"zeros": "SAME", "circular": "CIRCULAR"}[padding]
    hidden = [stax.Conv(1, (3, 3), padding=mode, **PARAMETERS), stax.Relu()] * depth
    return stax.serial(*hidden, HEADS[head], stax.Dense(1, **PARAMETERS))


def main() -> None:
    generator = np.random.default_rng(0)
    values = {"x": generator.standard_normal((6, 5)), "others": 0.5 * generator.standard_normal((4, 5))}
    values["images"] = generator.standard_normal((3, 6, 6, 2))
    values["other_images"] = generator.standard_normal((2, 6, 6, 2))
    networks = {
        f"dense-{activation}-{depth}": (dense(activation, depth), "x", "others")
        for activation, depth in itertools.product(ACTIVATIONS, (2, 4))
    } | {
        f"convolutional-{padding}-{head}-{depth}": (
            convolutional(padding, head, depth),
            "images",
            "other_images",
        )
        for padding, head, depth in itertools.product(("zeros", "circular"), HEADS, (1, 3))
    }
    for name, ((_, _, kernel), rows, columns) in networks.items():
        for pairs, second in (("cross", values[columns]), ("own", None)):
            kernels = kernel(values[rows], second, ("nngp", "ntk"))
            values[f"{name}-{pairs}-nngp"] = np.asarray(kernels.nngp)
            values[f"{name}-{pairs}-ntk"] = np.asarray(kernels.ntk)
    np.savez_compressed("tests/fixtures/neural_tangents.npz", **values)


if __name__ == "__main__":
    main()
