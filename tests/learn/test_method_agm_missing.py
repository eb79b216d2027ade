"""AGM where samples lack modalities: each sample's game is played by those that it has, against brute force."""

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.learn.loop.responses import Responses, encode_resting
from ambidex.learn.methods.agm import leads
from ambidex.net.encoded import presence
from helpers.missing import THREE, encode, has, net, step_of, store_of

ROWS = torch.arange(12)


@pytest.fixture(params=[("concat", "zero"), ("gated", "mean")], ids=["concat", "gated"])
def game(request):
    """A model, the samples that it sees, features of those and of zeros, and other logits of the training pass."""
    model, store = net(*request.param).train(), store_of(garbage=torch.nan)
    encode(model, store, torch.arange(12, 24))  # the usual feature is of some samples
    model.eval()
    features = encode(model, store, ROWS)
    inputs = {m: store.gather(m, ROWS) for m in THREE}
    present, absent = encode_resting(model, inputs, presence(features))
    return model, store.labels[ROWS], features, present, absent


def phi_of(model, i: int, present, absent, logits: Tensor) -> dict[str, Tensor]:
    """phi_m [K] of sample i: the mean over all orders of the modalities that it has."""
    players = [m for m in THREE if has(i, m)]

    def value(names: tuple[str, ...]) -> Tensor:
        if not names:
            return torch.zeros_like(logits[i])
        if len(names) == len(players):
            return logits[i]
        chosen = {m: absent[m] if has(i, m) and m not in names else present[m][i : i + 1] for m in THREE}
        parts = model.fusion.contributions(chosen)
        if parts is None:
            return model.fusion(chosen)[0]
        return sum(z[0] for m, z in parts.items() if has(i, m))

    orders = list(permutations(players))
    return {
        m: sum(value(o[: o.index(m) + 1]) - value(o[: o.index(m)]) for o in orders) / len(orders)
        for m in players
    }


def test_features_are_those_of_the_encoders_and_what_is_absent_is_filled(game):
    _, _, features, present, _ = game
    for m in THREE:
        torch.testing.assert_close(present[m], features[m], rtol=1e-4, atol=1e-6)
    assert presence(present).keys() == presence(features).keys()


def test_losses_are_of_the_samples_that_have_the_modality(game):
    model, labels, features, present, absent = game
    logits = 1.3 * model.fuse(features)[0].detach()
    responses = Responses(THREE, torch.device("cpu"))
    values = responses.values(model, present, absent, logits)
    phi = torch.einsum("mc,cbk->mbk", responses.weights, values)
    sums = dict.fromkeys(THREE, 0.0)
    for i in range(12):
        own = phi_of(model, i, present, absent, logits)
        for place, m in enumerate(THREE):
            expected = own[m] if m in own else torch.zeros(3)
            torch.testing.assert_close(phi[place, i], expected, rtol=1e-4, atol=1e-5)
            if m in own:
                sums[m] += min(-float(own[m].log_softmax(0)[labels[i]]), -float(torch.tensor(1e-8).log()))
    there = torch.tensor([[has(i, m) for i in range(12)] for m in THREE])
    torch.testing.assert_close(responses.losses(values, labels, there), torch.tensor(list(sums.values())))


def test_the_gradient_through_each_response_is_multiplied(game):
    model, labels, features, present, absent = game
    kappas = torch.tensor([0.4, 1.7, 0.9])
    responses = Responses(THREE, torch.device("cpu"))
    parameters = list(model.parameters())

    def gradients(loss: Tensor) -> list[Tensor | None]:
        return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)

    logits = model.fuse(features)[0]
    found = gradients(
        F.cross_entropy(responses.modulated(responses.values(model, present, absent, logits), kappas), labels)
    )
    z = logits.detach().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(z, labels), z)
    total = torch.zeros(())
    for i in range(12):
        for m, phi in phi_of(model, i, present, absent, logits).items():
            total = total + kappas[THREE.index(m)] * (phi * g[i]).sum()
    for ours, theirs in zip(found, gradients(total), strict=True):
        assert (ours is None or not ours.any()) == (theirs is None or not theirs.any())
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_a_modality_without_a_sample_in_the_step_keeps_its_mean():
    method, _ = step_of("agm", ROWS, alpha=1.0)
    nobody, all_there = torch.tensor([True, False, True]), torch.tensor([True, True, True])
    first = method.coefficients(torch.tensor([1.0, 9.0, 3.0]), nobody)
    torch.testing.assert_close(first, torch.exp(1 - torch.tensor([2.0, 0.0, -2.0]).exp()))
    assert method.means.tolist() == [1, 0, 3]
    second = method.coefficients(torch.tensor([1.0, 2.0, 2.0]), all_there)
    tau = torch.tensor([2.0, 0.0, -2.0]).exp()  # visual is judged for the first time
    r = torch.tensor([1.0, -0.5, -0.5]).exp()
    torch.testing.assert_close(second, torch.exp(tau - r))
    assert method.means.tolist() == [1, 2, 2.5]


def test_who_leads_is_judged_among_those_that_have_a_loss():
    losses = torch.tensor([1.0, 5.0, 2.0])
    found = leads(losses, torch.tensor([True, False, True]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, -1.0]).exp())
    assert leads(losses, torch.tensor([False, True, False])).tolist() == [1, 1, 1]
