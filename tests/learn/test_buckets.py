"""Gradients that are exchanged while the backward pass runs: those of one exchange to the bit, and sent in time."""

import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from ambidex.learn.loop import buckets
from ambidex.learn.loop.ranks import Ranks
from helpers.checkout import ROOT

RANK = """
import json, os, sys
from pathlib import Path
import torch
from ambidex.base.errors import TrainingError
from ambidex.configuration.params import Runtime
from ambidex.learn import engine as engines
from ambidex.learn.loop import buckets
from ambidex.learn.loop.ranks import Ranks
from ambidex.learn.method import Phase
from ambidex.learn.methods.joint import Joint
from ambidex.learn.runtime import make_fabric
from ambidex.testing.ground import build, engine, make_method

rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])
ranks = Ranks(make_fabric(Runtime(accelerator="cpu", devices=2), "32"))
buckets.SIZE = 256
found = {}


def equal(one, other):
    pairs = list(zip(one, other, strict=True))
    moved = any(g is not None and bool(g.abs().sum()) for g in one)
    return moved and all((a is None and b is None) or torch.equal(a, b) for a, b in pairs)


def compare(name, passes, change=lambda model: None):
    kept = []
    for overlaps in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Sequential(*[torch.nn.Linear(8, 8) for _ in range(6)])
        change(model)
        exchange = buckets.Buckets([p for p in model.parameters() if p.requires_grad], ranks, overlaps)
        sent = []
        send = exchange._send
        def watched():
            sent.append(exchange._next)
            send()
        exchange._send = watched
        with exchange.installed():
            try:
                before = passes(model, exchange, sent)
            except TrainingError as error:  # on both ranks at once
                found[name] = {"same": False, "before": str(error), "buckets": str(error)}
                return
            exchange.finish()
        assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
        kept.append([None if p.grad is None else p.grad.clone() for p in model.parameters()])
    found[name] = {"same": equal(*kept), "before": before, "buckets": len(exchange._buckets)}


def loss(model, seed):
    torch.manual_seed(10 * seed + rank)
    return model(torch.randn(4, 8)).square().mean()


def one(model, exchange, sent):
    exchange.begin()
    loss(model, 1).backward()
    return len(sent)


def two(model, exchange, sent):
    loss(model, 1).backward()
    early = len(sent)
    exchange.begin()
    loss(model, 2).backward()
    return early


def half(model, exchange, sent):
    exchange.begin()
    torch.manual_seed(rank)
    model[3:](torch.randn(4, 8)).square().mean().backward()
    return len(sent)


def last(model, exchange, sent):
    # none of the parameters that are sent first has a gradient
    exchange.begin()
    torch.manual_seed(rank)
    model[:3](torch.randn(4, 8)).square().mean().backward()
    return len(sent)


def uneven(model, exchange, sent):
    # ranks reach their layers in another order
    exchange.begin()
    torch.manual_seed(rank)
    first, second = (model[:3], model[3:]) if rank else (model[3:], model[:3])
    x = torch.randn(4, 8)
    (first(x).square().mean() + second(x).square().mean()).backward()
    return len(sent)


def freeze(model):
    model[5].requires_grad_(False)


def rest(model, exchange, sent):
    # as in a phase that trains some parameters alone
    for p in model[4:].parameters():
        p.requires_grad_(False)
    return one(model, exchange, sent)


def twice(model, exchange, sent):
    if not exchange.overlaps:
        return 0
    exchange.begin()
    loss(model, 1).backward()
    try:
        loss(model, 2).backward()
    except TrainingError as error:
        found["refused"] = str(error)
    return 0


class Parts(Joint):
    def backward(self, step, loss):
        (0.25 * loss).backward(retain_graph=True)
        (0.75 * loss).backward()


class Phases(Joint):
    def phases(self, run):
        audio, visual = (tuple(run.model.own(m)) for m in run.modalities)
        return (Phase("audio", audio), Phase("visual", visual), Phase())


class Turns(Joint):
    def step(self, step):
        for m in step.run.modalities:
            step.update((m,))


class AtOnce(buckets.Buckets):
    def __init__(self, parameters, ranks, overlaps):
        super().__init__(parameters, ranks, overlaps=False)


class Killed(Exception):
    pass


def kill(epoch):
    raise Killed


def fit(place, method, **given):
    stopped, given = given.pop("stopped", False), {"epochs": 2, "selection": "last", "samples": 12} | given
    fusion = "shared_entropy" if method is Turns else "concat"
    for last in (False, True) if stopped else (True,):
        model = build(make_method(method), ("audio", "visual"), fusion, plain=True)
        trained = engine(folder / place, method, model=model, optimizer="adam", **given)
        if last:
            trained.fit()
            return trained, list(model.parameters())
        trained.on_epoch = kill
        try:
            trained.fit()
        except Killed:
            torch.manual_seed(999)


def train(name, method, **given):
    try:
        trained, during = fit(f"{name} during", method, **given)
    except TrainingError as error:  # on both ranks at once
        found[name] = {"same": False, "overlaps": str(error)}
        return
    given.pop("stopped", None)
    engines.Buckets = AtOnce
    _, at_once = fit(f"{name} at once", method, **given)
    engines.Buckets = buckets.Buckets
    found[name] = {"same": equal(during, at_once), "overlaps": trained.buckets.overlaps}


compare("one pass", one)
compare("micro-batches", two)
compare("some without gradient", half)
compare("the first to be sent without gradient", last)
compare("ranks that differ", uneven)
compare("frozen", one, freeze)
compare("a phase", rest)
compare("several passes", twice)
train("joint", Joint)
train("micro-batches and a rest", Joint, accumulate=2, batch_size=5)
train("a rank without samples", Joint, batch_size=1, samples=3)
train("stopped", Joint, stopped=True)
train("phases", Phases)
train("one modality at a time", Turns)
train("passes of its own", Parts)
if rank == 0:
    print(json.dumps(found))
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    place |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "buckets"}
    place |= {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("buckets")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(folder)],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], printed
    return json.loads(printed[0][0].splitlines()[-1])


PASSES = {
    "one pass": 6,
    "micro-batches": 0,
    "some without gradient": 3,
    "the first to be sent without gradient": 0,
    "frozen": 5,
    "a phase": 6,
}
"""buckets that left before the pass was over, or in the case of micro-batches before the last pass: a layer each, of a
weight of 256 bytes and a bias"""


@pytest.mark.parametrize("case", [*PASSES, "ranks that differ"])
def test_two_ranks_have_the_gradients_of_one_exchange_to_the_bit(found, case):
    assert found[case]["same"]


@pytest.mark.parametrize("case", PASSES)
def test_buckets_are_sent_while_the_pass_runs(found, case):
    assert found[case]["buckets"] == (5 if case == "frozen" else 6)
    assert found[case]["before"] == PASSES[case]


def test_a_gradient_that_grows_after_it_was_sent_is_refused(found):
    assert "adds to a gradient that is on its way" in found["refused"]


TRAINED = ["joint", "micro-batches and a rest", "a rank without samples", "stopped", "phases"]
TRAINED += ["one modality at a time"]


@pytest.mark.parametrize("case", [*TRAINED, "passes of its own"])
def test_a_training_is_that_of_one_exchange_to_the_bit(found, case):
    assert found[case]["same"]
    assert found[case]["overlaps"] == (case != "passes of its own")


def test_buckets_hold_every_parameter_once_from_the_last(monkeypatch):
    monkeypatch.setattr(buckets, "SIZE", 100)
    sizes = [(10,), (30,), (5,), (4,), (3,)]
    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
    parameters[2].data = parameters[2].data.double()
    parts = buckets._filled(reversed(parameters))
    assert [[p.numel() for p in part] for part in parts] == [[3, 4], [5], [30], [10]]


def test_alone_it_costs_nothing():
    parameter = torch.nn.Parameter(torch.ones(2))
    ranks = Ranks(SimpleNamespace(global_rank=0, world_size=1))
    exchange = buckets.Buckets([parameter], ranks, overlaps=True)
    with exchange.installed():
        exchange.begin()
        parameter.square().sum().backward()
        exchange.finish()
        assert not parameter._post_accumulate_grad_hooks
    assert parameter.grad.tolist() == [2.0, 2.0]
