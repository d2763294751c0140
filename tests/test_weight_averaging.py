"""The running mean of weights, against torch.optim.swa_utils."""

import torch
from torch.optim.swa_utils import AveragedModel

from dlopt.landscape.weight_averaging import WeightAverage
from dlopt.models import FullyConnected


def test_the_mean_is_that_of_pytorchs_averaged_model():
    model = FullyConnected([3, 4, 2], bias=True, members=2, seed=1)
    ours, theirs = WeightAverage(model), AveragedModel(model)
    for step in range(5):
        for parameter in model.parameters():
            parameter.data.normal_(step, 1.0)
        ours.update(model)
        theirs.update_parameters(model)
    ours.write_to(model)
    for own, other in zip(model.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(own, other)
    assert ours.count == 5


def test_one_update_is_the_model_itself():
    model = FullyConnected([3, 2], seed=1)
    average = WeightAverage(model)
    average.update(model)
    torch.testing.assert_close(average.mean[0], model.weights[0].detach())
