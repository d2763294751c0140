"""Layer-wise pre-training by autoencoders: each hidden layer first learns to describe the one below it.

Hinton, Salakhutdinov: Reducing the dimensionality of data with neural networks (2006), which stacks restricted
Boltzmann machines; Erhan et al.: Why does unsupervised pre-training help deep learning? (2010), which also
stacks autoencoders, as here.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dlopt.initialization import Initialization, xavier_normal
from dlopt.models import FullyConnected
from dlopt.training import squared_error, train

__all__ = ["pretrain"]


def pretrain(
    network: FullyConnected,
    inputs: Tensor,
    *,
    steps: int,
    step_size: float,
    batch_size: int | None = None,
    initialization: Initialization = xavier_normal,
    seed: int = 0,
) -> np.ndarray:
    """Give W^l and b^l, l < L, the encoder of an autoencoder trained on z^{l-1}; in place.

    For l = 1, …, L-1 the autoencoder ẑ = V φ(W z + b) + c minimizes 1/n Σ_i ‖ẑ_i - z_i‖² over the outputs z of the
    layers before, which are trained and fixed by then.  The last layer keeps its draw.  No label is seen.

    Args:
        network: fully connected, with or without members.
        inputs: (n, d_0).
        steps, step_size, batch_size: of each autoencoder's training.
        initialization: of the autoencoders.
        seed: of their weights and batches.

    Returns:
        The reconstruction loss, relative to that of always answering with the mean, before and after each layer's
        training: (L-1, 2) or (L-1, 2, members).
    """
    z = inputs.detach()
    history = []
    for layer in range(network.depth - 1):
        below, width = network.widths[layer], network.widths[layer + 1]
        coder = FullyConnected(
            (below, width, below), network.activation, initialization=initialization, bias=True,
            members=network.members, seed=seed + 1000 * layer, dtype=z.dtype, device=z.device,
        )  # fmt: skip
        run = train(
            coder, z, z, loss=squared_error, steps=steps, step_size=step_size, batch_size=batch_size,
            seed=seed + layer, every=max(steps, 1),
        )  # fmt: skip
        spread = (z - z.mean(dim=-2, keepdim=True)).square().sum(-1).mean(-1).cpu().numpy()
        history.append(run.loss[[0, -1]] / spread)
        with torch.no_grad():
            network.weights[layer].copy_(coder.weights[0])
            if len(network.biases):
                network.biases[layer].copy_(coder.biases[0])
            z = network.activation(coder.passes(z).preactivations[0])
    return np.array(history)
