"""A network's linearization around its present parameters, as a model that is linear in its own.

f_lin(x; θ) = f(x; θ_0) + ∂f(x; θ_0)/∂θ (θ - θ_0).  Its tangent kernel never changes, and trained by gradient flow it
follows (25) with K = K(0).

Source: Lee et al., "Wide neural networks of any depth evolve as linear models under gradient descent" (2019).
"""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.func import functional_call, jvp

__all__ = ["Linearized"]


class Linearized(nn.Module):
    """f_lin of a model at its parameters θ_0, which are copied; the parameters of this one are θ, at first θ_0.

    Members of the model are linearized each by itself.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.members = getattr(model, "members", None)
        self.moving = copy.deepcopy(model)
        self._start = {name: p.detach().clone() for name, p in model.named_parameters()}
        self._skeleton = [
            copy.deepcopy(model).requires_grad_(False)
        ]  # in a list: not a submodule, no parameters

    def forward(self, x: Tensor) -> Tensor:
        """f(x; θ_0) + ∂f(x; θ_0)/∂θ (θ - θ_0), shaped as the model's output: one forward-mode pass."""
        displacement = {name: p - self._start[name] for name, p in self.moving.named_parameters()}

        def output(parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(self._skeleton[0], parameters, (x,))

        value, change = jvp(output, (self._start,), (displacement,))
        return value + change
