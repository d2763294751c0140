"""Times neural-tangents and prints seconds as JSON; benchmarks/kernels_vs_neural_tangents.py starts it."""

import json
import statistics
import time

import jax
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from neural_tangents import stax


def seconds(function, *arguments, repeats: int = 5) -> float:
    """The median, after one call that compiles."""
    jax.block_until_ready(function(*arguments))
    measured = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        measured.append(time.perf_counter() - start)
    return statistics.median(measured)


def empirical() -> float:
    """Width 512, four hidden layers, 512 samples of 100 entries, by structured derivatives."""
    layers = [stax.Dense(512), stax.Relu()] * 4
    init, apply, _ = stax.serial(*layers, stax.Dense(1))
    x = jnp.asarray(np.random.default_rng(0).standard_normal((512, 100)), jnp.float32)
    _, parameters = init(jax.random.PRNGKey(0), x.shape)
    structured = nt.NtkImplementation.STRUCTURED_DERIVATIVES
    kernel = nt.empirical_ntk_fn(apply, vmap_axes=0, implementation=structured)
    return seconds(jax.jit(lambda p: kernel(x, None, p)), parameters)


def recursion(hidden: int) -> float:
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2000, 100)), jnp.float32)
    layers = [stax.Dense(1, W_std=2**0.5), stax.Relu()] * hidden
    _, _, kernel = stax.serial(*layers, stax.Dense(1))
    return seconds(jax.jit(lambda x: kernel(x, None, "ntk")), x)


def convolutional(head) -> float:
    images = jnp.asarray(np.random.default_rng(0).standard_normal((100, 8, 8, 3)), jnp.float32)
    layers = [stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5), stax.Relu()] * 4
    _, _, kernel = stax.serial(*layers, head, stax.Dense(1))
    return seconds(jax.jit(lambda x: kernel(x, None, "ntk")), images, repeats=2)


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "empirical": empirical(),
                "recursion 5": recursion(5),
                "recursion 20": recursion(20),
                "flatten": convolutional(stax.Flatten()),
                "pool": convolutional(stax.GlobalAvgPool()),
            }
        )
    )
