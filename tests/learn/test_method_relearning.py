"""Diagnosing & Re-learning: purity by counting, resets by interpolation, and what an event must leave alone."""

from math import tanh

import numpy as np
import pytest
import torch
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import MinMaxScaler

from ambidex.base.errors import ModelError, TrainingError
from ambidex.learn.methods.relearning import clustered_purity, purity, scaled
from helpers.memory_store import MemoryStore, engine, make_method

TWO = ("audio", "visual")
THREE = ("audio", "visual", "touch")
OFTEN = {"every": 1, "times": 9}


def _copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_purity_is_that_of_the_contingency_table():
    draws = np.random.default_rng(0)
    for size in (1, 7, 60):
        clusters, classes = draws.integers(0, 4, size), draws.integers(0, 5, size)
        found = purity(clusters, classes)
        assert found == pytest.approx(contingency_matrix(classes, clusters).max(axis=0).sum() / size)
        assert found >= np.bincount(classes).max() / size
        relabelled = draws.permutation(4)[clusters]
        assert purity(relabelled, classes) == found


def test_purity_of_perfect_clusters_is_one_and_labels_are_left_alone():
    classes = np.array([0, 0, 1, 2, 2, 1])
    before = classes.copy()
    assert purity(np.array([2, 2, 0, 1, 1, 0]), classes) == 1.0
    assert purity(np.array([0, 0, 0, 1, 1, 1]), classes) == pytest.approx(4 / 6)
    assert (classes == before).all()


def test_each_dimension_is_scaled_as_by_scikit_learn():
    x = np.random.default_rng(1).normal(size=(20, 4)) * [1, 100, 0.01, 0]
    np.testing.assert_allclose(scaled(x), MinMaxScaler((-1, 1)).fit_transform(x), atol=1e-9)


def test_clusters_are_found_in_scaled_dimensions():
    """Two groups in a dimension of small numbers, noise in one of large numbers."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 2
    x = torch.stack([labels * 0.001, 1000 * torch.rand(60, generator=draws)], dim=1)
    assert clustered_purity(x * torch.tensor([1.0, 0.0]), labels, 2) == 1.0
    assert clustered_purity(x, labels, 2) == 1.0
    assert clustered_purity(x * torch.tensor([0.0, 1.0]), labels, 2) < 0.8


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({}, {20, 40, 60}),
        ({"every": 3, "times": 2}, {3, 6}),
        ({"every": 1}, {1, 2, 3}),
        ({"times": 0}, set()),
    ],
)
def test_resets_are_due_after_the_papers_epochs(options, epochs):
    method = make_method("relearning", options)
    assert {epoch for epoch in range(100) if method.due(epoch)} == epochs


def _events(tmp_path, options, modalities=TWO, **settings):
    """Train; for each event the epoch, a_m, the model before, after, and the features the method saw."""
    trained = engine(tmp_path, "relearning", options, modalities, **({"epochs": 4} | settings))
    initial, events = _copy(trained.model), []
    method, reset = trained.method, trained.method.reset

    def spy(run, shares):
        before, momentum = _copy(run.model), _momentum(trained)
        reset(run, shares)
        events.append((run.epoch, shares, before, _copy(run.model)))
        assert all(map(torch.equal, momentum, _momentum(trained)))

    method.reset = spy
    trained.fit()
    return trained, initial, events


def _momentum(trained):
    return [s["momentum_buffer"].clone() for s in trained.optimizer.state.values() if "momentum_buffer" in s]


@pytest.mark.parametrize("modalities", [TWO, THREE])
def test_a_reset_lies_on_the_way_back_and_touches_encoders_alone(tmp_path, modalities):
    trained, initial, events = _events(tmp_path, OFTEN, modalities)
    assert [epoch for epoch, *_ in events] == [1, 2]
    mine = {name for name, _ in trained.model.named_parameters() if name.startswith("encoders.")}
    moved = 0
    for _, shares, before, after in events:
        for name, value in after.items():
            if name not in mine:
                assert torch.equal(value, before[name]), name
                continue
            share = shares[name.split(".")[1]]
            torch.testing.assert_close(
                value - before[name], share * (initial[name] - before[name]), rtol=1e-4, atol=1e-6
            )
            moved += not torch.equal(value, before[name])
    assert moved > 5
    assert any("running_mean" in name for name in initial)


def test_shares_follow_the_gap_that_the_methods_own_passes_show(tmp_path):
    """Features by an own forward pass over the store, clusters by scikit-learn's own scaler, purity by its table."""
    from sklearn.cluster import KMeans

    trained = engine(tmp_path, "relearning", OFTEN, THREE, epochs=3)
    found, diagnose = [], trained.method.diagnose
    store = MemoryStore(THREE)

    def spy(run):
        shares, model = diagnose(run), run.model.eval()
        for name in THREE:
            purities = []
            for split in ("train", "val"):
                rows = store.rows(split)
                with torch.no_grad():
                    h = model.encode_one(name, store.gather(name, rows)).double().numpy()
                x = MinMaxScaler((-1, 1)).fit_transform(h)
                clusters = KMeans(3, n_init=10, random_state=0).fit_predict(x)
                table = contingency_matrix(store.labels[rows].numpy(), clusters)
                purities.append(table.max(axis=0).sum() / len(rows))
            found.append((shares[name], tanh(3 * abs(purities[0] - purities[1]))))
        return shares

    trained.method.diagnose = spy
    trained.fit()
    assert len(found) == 3
    assert any(share > 0 for share, _ in found)
    assert all(share == pytest.approx(expected, abs=1e-9) for share, expected in found)


def test_strength_and_gap_make_the_share(tmp_path, monkeypatch):
    trained = engine(tmp_path, "relearning", epochs=1)
    trained.fit()
    shares = []
    for gap in (0.0, 0.1, 0.3, 0.9):
        values = iter([0.95, 0.95 - gap] * 2)
        monkeypatch.setattr(
            "ambidex.learn.methods.relearning.clustered_purity", lambda *given, v=values: next(v)
        )
        found = trained.method.diagnose(trained.run)
        assert found == pytest.approx({m: tanh(3 * gap) for m in TWO}, abs=1e-9)
        shares.append(found["audio"])
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1


def test_the_ends_of_the_way_are_exact(tmp_path):
    trained, initial, _ = _events(tmp_path, {}, epochs=1)
    before = _copy(trained.model)
    trained.method.reset(trained.run, {"audio": 0.0, "visual": 1.0})
    for name, value in trained.model.named_parameters():
        expected = initial[name] if name.startswith("encoders.visual.") else before[name]
        assert torch.equal(value, expected), name
    assert any(not torch.equal(initial[name], before[name]) for name in initial if ".visual." in name)


def test_a_sweep_is_still_and_leaves_training_as_it_was(tmp_path):
    """Dropout is off, no gradient, store order; modes, statistics and the random stream are as before."""
    trained = engine(tmp_path, "joint", {}, THREE, batch_size=3)
    trained.fit()
    model, run = trained.model, trained.run
    model.train()
    model.encoders["audio"].eval()
    state, random = _copy(model), torch.get_rng_state()
    modes = [module.training for module in model.modules()]
    first, labels = run.sweep("val")
    second, _ = run.sweep("val")
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    store = MemoryStore(THREE)
    assert torch.equal(labels, store.labels[store.rows("val")])
    with torch.no_grad():
        model.eval()
        for name in THREE:
            alone = model.encode_one(name, store.gather(name, store.rows("val")))
            torch.testing.assert_close(first[name], alone)
            assert torch.equal(first[name], second[name])
            assert not first[name].requires_grad


def test_methods_cannot_sweep_test(tmp_path):
    trained = engine(tmp_path)
    trained.fit()
    with pytest.raises(ValueError, match="test"):
        trained.run.sweep("test")


def test_augmentation_stays_out_of_a_sweep(tmp_path):
    trained = engine(tmp_path)
    asked, load = [], type(trained.batches).load
    trained.fit()
    object.__setattr__(
        trained.batches,
        "load",
        lambda rows, draws: (asked.append(draws), load(trained.batches, rows, draws))[1],
    )
    trained.run.sweep("train")
    assert asked
    assert all(draws is None for draws in asked)


@pytest.mark.parametrize(
    ("sizes", "words"), [({"val": 0}, "no validation split"), ({"val": 2}, "found 24 and 2")]
)
def test_without_enough_validation_it_refuses_in_one_line(tmp_path, sizes, words):
    trained = engine(tmp_path, "relearning", selection="last")
    object.__setattr__(trained.batches, "store", MemoryStore(TWO, {"train": 24, "test": 12} | sizes))
    trained.select_split = None
    with pytest.raises(ModelError, match=words) as caught:
        trained.fit()
    assert "\n" not in str(caught.value)


def test_features_that_are_no_numbers_end_it_with_one_line(tmp_path):
    trained = engine(tmp_path, "relearning", epochs=1)
    trained.fit()
    trained.run.sweep = lambda split: ({m: torch.full((9, 2), torch.nan) for m in TWO}, torch.zeros(9))
    with pytest.raises(TrainingError, match=r"audio are not finite after epoch 1") as caught:
        trained.method.diagnose(trained.run)
    assert "\n" not in str(caught.value)


def test_bf16_clusters_single_precision_features(tmp_path):
    _, _, events = _events(tmp_path, OFTEN, precision="bf16", epochs=3)
    ((_, shares, _, after),) = events
    assert all(0 <= share < 1 for share in shares.values())
    assert all(value.dtype != torch.bfloat16 for value in after.values())


def test_a_checkpoint_keeps_where_the_encoders_started(tmp_path):
    trained, initial, _ = _events(tmp_path, {}, epochs=2)
    other = make_method("relearning")
    other.setup(trained.run)  # the weights of now
    other.load_state_dict(trained.method.state_dict())
    for name in TWO:
        expected = [initial[key] for key, _ in trained.model.named_parameters() if f"encoders.{name}." in key]
        assert all(map(torch.equal, other.initial[name], expected))


def _passes(tmp_path, name, options):
    trained = engine(tmp_path / name, name, options, epochs=3)
    calls = []
    trained.model.encoders["audio"].register_forward_hook(
        lambda *given: calls.append(torch.is_grad_enabled())
    )
    trained.fit()
    return sum(calls), len(calls) - sum(calls)


def test_an_event_costs_one_pass_over_each_split(tmp_path):
    """One event in three epochs; 24 and 12 samples in sweeps of 32."""
    steps, still = _passes(tmp_path, "joint", {})
    assert _passes(tmp_path, "relearning", {"every": 1, "times": 1}) == (steps, still + 2)
