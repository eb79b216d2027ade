"""InfoReg against its equations worked out one batch, one modality and one parameter at a time."""

from math import exp, log, tanh

import pytest
import torch
import torch.nn.functional as F

from ambidex.base.errors import ModelError
from ambidex.learn.methods import inforeg
from helpers.memory_store import engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
OPEN = {"threshold": -1e9}


def _strengths(scores, beta):
    """a_m by the paper's equations."""
    found = []
    for own in scores:
        gaps = [own - other for other in scores if other < own]
        found.append(exp(beta * tanh(sum(gaps) / len(gaps))) if gaps else 0.0)
    return found


def _copies(run):
    return {m: [p.detach().clone() for p in run.model.own(m)] for m in run.modalities}


def _gradients(run):
    found = {m: [p.grad.clone() for p in run.model.own(m)] for m in run.modalities}
    return found | {"fusion": [p.grad.clone() for p in run.model.fusion.parameters()]}


def _watched(tmp_path, options, modalities=TWO, **settings):
    """Train, and keep for each step what the oracle needs: epoch, gradients before and after, weights, scores."""
    trained = engine(tmp_path, "inforeg", options, modalities, **({"epochs": 4} | settings))
    steps, starts, method = [], {}, trained.method
    gradients, epoch_start = method.gradients, method.epoch_start

    def spy_start(run):
        starts[run.epoch] = _copies(run)
        epoch_start(run)

    def spy_gradients(step):
        run, before = step.run, _gradients(step.run)
        chances = {
            m: [float(z.double().softmax(1)[i, y]) for i, y in enumerate(step.labels.tolist())]
            for m, z in step.contributions.items()
        }
        gradients(step)
        steps.append(
            {
                "epoch": run.epoch,
                "before": before,
                "after": _gradients(run),
                "weights": _copies(run),
                "then": starts[run.epoch],
                "chances": list(chances.values()),
            }
        )

    method.gradients, method.epoch_start = spy_gradients, spy_start
    trained.fit()
    return trained, steps


def _square(gradients):
    return sum(float((g.double() ** 2).sum()) for g in gradients)


@pytest.mark.parametrize("modalities", [TWO, THREE])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_pull_is_a_times_the_way_back(tmp_path, modalities, accumulate):
    _, steps = _watched(tmp_path, OPEN, modalities, accumulate=accumulate)
    pulled = 0
    for number, step in enumerate(steps):
        scores = [sum(log(p) for p in chances) / len(chances) for chances in step["chances"]]
        strengths = _strengths(scores, 0.9)
        assert min(strengths) == 0
        assert all(1 < a <= exp(0.9) for a in strengths if a)
        for name, a in zip(modalities, strengths, strict=True):
            found = zip(
                step["before"][name],
                step["after"][name],
                step["weights"][name],
                step["then"][name],
                strict=True,
            )
            for before, after, now, then in found:
                if step["epoch"] < 2 or a == 0 or number % 3 == 0:  # 0: theta is w, in the epoch's first step
                    assert torch.equal(after, before)
                else:
                    torch.testing.assert_close(after, before + a * (now - then), rtol=1e-4, atol=1e-7)
                    pulled += not torch.equal(after, before)
        assert all(map(torch.equal, step["before"]["fusion"], step["after"]["fusion"]))
    assert pulled > 10


@pytest.mark.parametrize("scores", [(-0.2, -1.3), (-1.3, -0.2), (-0.5, -0.4, -2.0), (-1.0, -1.0)])
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.9])
def test_strengths_follow_the_paper(tmp_path, scores, beta):
    trained = engine(tmp_path, "inforeg", {"beta": beta}, THREE[: len(scores)])
    trained.fit()
    found = trained.method.strengths(torch.tensor(scores), trained.run.modalities)
    assert found.tolist() == pytest.approx(_strengths(scores, beta), rel=1e-6)


@pytest.mark.parametrize("options", [{}, OPEN, OPEN | {"unimodal_losses": True}])
def test_traces_are_of_the_gradient_before_the_pull(tmp_path, options):
    trained, steps = _watched(tmp_path, options, epochs=4)
    for epoch, traces in enumerate(trained.method.traces):
        mine = [step for step in steps if step["epoch"] == epoch]
        expected = [sum(_square(step["before"][m]) for step in mine) / len(mine) for m in TWO]
        assert traces == pytest.approx(expected, rel=1e-5)
    assert len(trained.method.traces) == 4


@pytest.mark.parametrize(
    ("traces", "opened"),
    [
        ([], (False, False)),
        ([[1.0, 1.0]], (False, False)),
        ([[1.0, 1.0], [1.1, 0.9]], (True, False)),
        ([[1.0, 1.0], [1.041, 1.043]], (False, True)),  # 0.0394 and 0.0412 of the last
        ([[9.0, 0.1], [1.0, 1.0], [0.5, 1.0]], (False, False)),
        ([[0.0, 0.0], [0.0, 2.0]], (False, True)),
    ],
)
def test_a_window_is_open_where_the_trace_grows_fast(tmp_path, traces, opened):
    trained = engine(tmp_path, "inforeg")
    trained.fit()
    method, run = trained.method, trained.run
    method.traces = traces
    method.epoch_start(run)
    assert tuple(m in method.snapshot for m in TWO) == opened
    for name in method.snapshot:
        assert all(map(torch.equal, method.snapshot[name], run.model.own(name)))


def test_closed_in_between_the_whole_state_survives_a_checkpoint(tmp_path):
    trained, _ = _watched(tmp_path, OPEN, epochs=2)
    method, run = trained.method, trained.run
    method.epoch_start(run)
    method.sums += 3.0
    method.batches = 2
    other = make_method("inforeg", OPEN)
    other.setup(run)
    other.load_state_dict(method.state_dict())
    assert other.traces == method.traces
    assert other.batches == 2
    assert torch.equal(other.sums, method.sums)
    assert set(other.snapshot) == set(TWO)
    assert all(all(map(torch.equal, other.snapshot[m], method.snapshot[m])) for m in TWO)


def test_inforeg_star_with_windows_shut_is_multi_task(tmp_path):
    first = engine(tmp_path / "a", "inforeg", {"threshold": 1.0, "unimodal_losses": True}, epochs=4)
    second = engine(tmp_path / "b", "multi_task", epochs=4)
    first.fit()
    second.fit()
    for name, value in second.model.state_dict().items():
        torch.testing.assert_close(first.model.state_dict()[name], value, rtol=0, atol=0)


def test_released_pull_has_its_own_factors_and_sums(tmp_path):
    _, steps = _watched(tmp_path, {"mode": "released"}, epochs=2)
    pulled = 0
    for number, step in enumerate(steps):
        audio, visual = (sum(chances) for chances in step["chances"])
        a = {
            "audio": 0.95 * exp(tanh(audio - visual)) if audio > visual else 0.0,
            "visual": 0.1 * exp(tanh(visual - audio)) if visual > audio else 0.0,
        }
        for name in TWO:
            found = zip(
                step["before"][name],
                step["after"][name],
                step["weights"][name],
                step["then"][name],
                strict=True,
            )
            for before, after, now, then in found:
                torch.testing.assert_close(after, before + a[name] * (now - then), rtol=1e-4, atol=1e-7)
                pulled += number % 3 > 0 and not torch.equal(before, after)
    assert pulled > 5


def test_released_trace_has_the_pull_in_it(tmp_path):
    trained, steps = _watched(tmp_path, {"mode": "released"}, epochs=2)
    for epoch, traces in enumerate(trained.method.traces):
        mine = [step for step in steps if step["epoch"] == epoch]
        for name, trace in zip(TWO, traces, strict=True):
            means = [
                float((g.double() ** 2).mean()) for step in mine for g in step["after"][name] if g.ndim > 1
            ]
            assert trace == pytest.approx(sum(means) / len(mine), rel=1e-5)


@pytest.mark.parametrize("epoch", [0, 1, 2, 5, 9, 10, 11, 15])
def test_a_flat_trace_leaves_the_released_window_open_for_ten_epochs(tmp_path, epoch):
    trained = engine(tmp_path, "inforeg", {"mode": "released"})
    trained.fit()
    trained.method.traces = [[0.7, float(i)] for i in range(epoch)]
    expected = 1.0 if epoch == 0 else 1 / epoch if epoch <= 10 else 0.0
    assert trained.method.growths(TWO) == pytest.approx([expected] * 2, abs=1e-9)


def test_released_smooths_over_ten_epochs(tmp_path):
    trained = engine(tmp_path, "inforeg", {"mode": "released"})
    trained.fit()
    traces = [float(i * i + 1) for i in range(14)]
    trained.method.traces = [[t, 1.0] for t in traces]
    now, before = sum(traces[4:]) / 10, sum(traces[3:13]) / 10
    assert trained.method.growths(TWO) == pytest.approx([(now - before) / now] * 2)


@pytest.mark.parametrize("modalities", [THREE, ("audio", "touch")])
def test_released_refuses_other_modalities_in_one_line(tmp_path, modalities):
    with pytest.raises(ModelError, match="audio and visual") as caught:
        engine(tmp_path, "inforeg", {"mode": "released"}, modalities).fit()
    assert "\n" not in str(caught.value)


def test_bf16_scores_are_of_single_precision(tmp_path):
    _, steps = _watched(tmp_path, OPEN, precision="bf16", epochs=3)
    step = steps[-1]
    scores = [sum(log(p) for p in chances) / len(chances) for chances in step["chances"]]
    for name, a in zip(TWO, _strengths(scores, 0.9), strict=True):
        for i, now in enumerate(step["weights"][name]):
            expected = step["before"][name][i] + a * (now - step["then"][name][i])
            torch.testing.assert_close(step["after"][name][i], expected, rtol=1e-4, atol=1e-7)


def test_one_forward_and_one_backward_a_step(tmp_path):
    trained = engine(tmp_path, "inforeg", OPEN, epochs=3)
    trained.select_split = None
    calls, backward, losses = [], trained.method.backward, []
    trained.model.encoders["audio"].register_forward_hook(lambda *given: calls.append(1))
    trained.method.backward = lambda step, loss: (losses.append(F.relu(loss).item()), backward(step, loss))
    trained.fit()
    assert len(calls) == len(losses) == trained.state.number == 9


def test_a_window_that_has_shut_pulls_no_more(tmp_path):
    trained = engine(tmp_path, "inforeg", epochs=1)
    trained.fit()
    method, run = trained.method, trained.run
    method.traces = [[1.0, 1.0], [2.0, 2.0]]
    method.epoch_start(run)
    assert set(method.snapshot) == set(TWO)
    method.epoch_end(run)  # no batch: a trace of 0
    method.epoch_start(run)
    assert not method.snapshot


@pytest.mark.parametrize("name", TWO)
def test_only_who_has_an_open_window_is_pulled(tmp_path, name):
    """Both lead in turn (their strengths are forced), one window is open."""
    trained = engine(tmp_path, "inforeg", epochs=1)
    method, moved, gradients = trained.method, [], trained.method.gradients
    method.growths = lambda modalities: [1.0 if m == name else -1.0 for m in modalities]
    method.strengths = lambda scores, modalities, scored: torch.ones(2)

    def spy(step):
        before = _gradients(step.run)
        gradients(step)
        after = _gradients(step.run)
        moved.append({m for m in TWO if not all(map(torch.equal, before[m], after[m]))})

    method.gradients = spy
    trained.fit()
    assert moved == [set(), {name}, {name}]


def test_what_the_host_need_not_add_changes_nothing(tmp_path, monkeypatch):
    """A device does not tell the strengths, so there zero times the way back is added to whoever is behind."""
    skipped, told = [], inforeg._known_zero
    monkeypatch.setattr(
        inforeg, "_known_zero", lambda strength: skipped.append(told(strength)) or skipped[-1]
    )
    host, _ = _watched(tmp_path / "host", OPEN)
    assert skipped.count(True) >= len(skipped) / 2 > 0
    monkeypatch.setattr(inforeg, "_known_zero", lambda strength: False)
    device, _ = _watched(tmp_path / "device", OPEN)
    weights = zip(host.run.model.parameters(), device.run.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)
