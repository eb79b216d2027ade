"""ReconBoost in turns of one epoch each, watched step by step; its learners and a softmax by hand."""

from copy import deepcopy
from math import exp

import torch.nn.functional as F

from helpers.memory_store import engine

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
TURNS = {"epochs_per_stage": 1, "correct_epochs": 1}
KINDS = [{}, {"head": "own"}, {"hidden": 0}]
STEPS = 3
"""of one epoch"""


def _copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def _gradients(model):
    return {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def watch(trained):
    """Each step: epoch, phase, weights before and after, gradients, loss terms, and what the loss was made of."""
    method, steps = trained.method, []
    objective, gradients, step_, setup = method.objective, method.gradients, method.step, method.setup

    def spy_setup(run):
        setup(run)
        write = run.log

        def log_(name, value):
            write(name, value)
            steps[-1]["logged"][name] = float(value)

        run.log = log_

    def spy_objective(step):
        model = step.run.model
        steps[-1]["head"] = deepcopy(model.fusion)
        steps[-1]["features"] = {m: h.detach().clone() for m, h in step.features.items()}
        steps[-1]["labels"] = step.labels
        steps[-1]["training"] = {m: model.encoder(m).training for m in model.modalities}
        terms = objective(step)
        steps[-1]["terms"] = {name: value.item() for name, value in terms.items()}
        return terms

    def spy_gradients(step):
        gradients(step)
        steps[-1]["gradients"] = _gradients(step.run.model)

    def spy_step(step):
        model, rate = step.run.model, trained.optimizer.param_groups[0]["lr"]
        steps.append({"epoch": step.run.epoch, "phase": step.phase.name, "logged": {}, "rate": rate})
        steps[-1]["before"] = _copy(model)
        step_(step)
        steps[-1]["after"] = _copy(model)
        steps[-1]["remembered"] = {n for n, p in model.named_parameters() if trained.optimizer.state.get(p)}

    method.objective, method.gradients, method.step, method.setup = (
        spy_objective,
        spy_gradients,
        spy_step,
        spy_setup,
    )
    return steps


def trained_in_turns(tmp_path, options=None, modalities=TWO, epochs=4, **settings):
    trained = engine(tmp_path, "reconboost", TURNS | (options or {}), modalities, epochs=epochs, **settings)
    steps = watch(trained)
    trained.fit()
    assert len(steps) == STEPS * epochs
    return trained, steps


def whose_turn(epoch, modalities):
    """Of one epoch each: whose turn it is, by name; None: all together."""
    return None if epoch % 2 else sorted(modalities)[epoch // 2 % len(modalities)]


def scores_by_hand(step):
    """s_m, by hand from the weights that the step had."""
    p, kind = dict(step["head"].named_parameters()), step["head"].config
    if kind.head == "own":
        return {m: h @ p[f"heads.{m}.weight"].T + p[f"heads.{m}.bias"] for m, h in step["features"].items()}
    if kind.hidden == 0:
        return {m: h @ p["common.weight"].T + p["common.bias"] for m, h in step["features"].items()}
    found = {}
    for m, h in step["features"].items():
        inner = F.relu(h @ p["common.0.weight"].T + p["common.0.bias"])
        found[m] = inner @ p["common.2.weight"].T + p["common.2.bias"]
    return found


def softmax(row):
    powers = [exp(value) for value in row]
    return [value / sum(powers) for value in powers]
