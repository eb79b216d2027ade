"""The training loop against a bare PyTorch loop, and what it promises about regimes, selection and bad losses."""

import csv
import math
import resource
import signal
import tracemalloc
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ambidex.base.errors import TrainingError
from ambidex.configuration.values import Choice
from ambidex.learn.loop.batches import shares, split_batches
from ambidex.learn.loop.checkpoint import load_checkpoint, save_checkpoint
from ambidex.net.model import MultimodalNet
from helpers.memory_store import architecture, engine

TWO = ("audio", "visual")


def _group_norm_model():
    plan = architecture(TWO)
    encoders = {m: Choice(name="small_cnn", width=4, dim=8, norm="group") for m in TWO}
    torch.manual_seed(0)
    return MultimodalNet(replace(plan, encoders=encoders))


def _weights(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def test_joint_is_bit_identical_to_a_bare_loop(tmp_path):
    trained = engine(
        tmp_path / "a", epochs=3, selection="last", weight_decay=0.01, schedule="step", step_epochs=2
    )
    trained.fit()

    other = engine(tmp_path / "b")
    model = other.model.train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=0.01)
    for epoch in range(3):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 if epoch < 2 else 0.05 * 0.1
        for _, micro in other.batches.epoch("train", epoch, 8, 1):
            optimizer.zero_grad()
            F.cross_entropy(model(micro[0].inputs), micro[0].labels).backward()
            optimizer.step()
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in trained.model.state_dict().items())


def test_every_training_sample_is_seen_once_an_epoch_and_no_other(tmp_path):
    batches = engine(tmp_path / "a").batches
    orders = []
    for epoch in (0, 1):
        rows = torch.cat([part.rows for _, micro in batches.epoch("train", epoch, 7, 2) for part in micro])
        assert sorted(rows.tolist()) == batches.store.rows("train").tolist()
        orders.append(rows.tolist())
    assert orders[0] != orders[1]


def test_a_single_sample_left_over_joins_the_batch_before():
    for size, batch, expected in ((9, 4, [4, 5]), (10, 4, [4, 4, 2]), (1, 4, [1]), (80, 7, [*[7] * 11, 3])):
        assert [len(part) for part in split_batches(torch.arange(size), batch)] == expected


@pytest.mark.parametrize("accumulate", [1, 2, 5])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 20])
def test_ranks_share_a_step_without_a_gap(size, ranks, accumulate):
    found = [shares(size, ranks, rank, accumulate) for rank in range(ranks)]
    assert [i for parts in found for part in parts for i in range(size)[part]] == list(range(size))
    assert len({len(parts) for parts in found}) == 1, (
        "batch norm counts the micro-batches of all ranks together"
    )
    assert len(found[0]) == max(1, min(accumulate, size // ranks))
    sizes = [len(range(size)[part]) for parts in found for part in parts]
    assert max(sizes) - min(sizes) <= 1 or accumulate > 1
    assert (0 in sizes) == (size < ranks)


def test_the_steps_are_the_same_for_any_number_of_ranks(tmp_path):
    """Seven of 80 samples at a time: 12 steps, the last of three, of which five of eight ranks have none."""
    batches = engine(tmp_path / "a", samples=80).batches
    alone = [micro[0].rows.tolist() for _, micro in batches.epoch("train", 0, 7, 1)]
    assert [len(rows) for rows in alone] == [*[7] * 11, 3]
    for ranks in (2, 8):
        served = [
            list(replace(batches, rank=rank, ranks=ranks).epoch("train", 0, 7, 1)) for rank in range(ranks)
        ]
        together = [
            [row for _, (one,) in step for row in one.rows.tolist()] for step in zip(*served, strict=True)
        ]
        assert together == alone
        for step in served[-1]:
            (one,) = step[1]
            assert (one.stand_in is None) == (len(one.labels) > 0)
            assert one.inputs["audio"].shape[1:] == (16, 16)


@pytest.mark.parametrize("options", [{}, {"heads": "own"}], ids=["split", "own"])
def test_accumulated_gradients_equal_the_large_batch(tmp_path, options):
    results = []
    for accumulate in (1, 3):
        trained = engine(
            tmp_path / str(accumulate),
            "multi_task",
            options,
            model=None,
            accumulate=accumulate,
            selection="last",
        )
        plan = trained.method.architecture(architecture(TWO))
        encoders = {m: Choice(name="small_cnn", width=4, dim=8, norm="group") for m in TWO}
        torch.manual_seed(0)
        trained.model = MultimodalNet(replace(plan, encoders=encoders))
        trained.fit()
        results.append(_weights(trained))
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name], rtol=1e-4, atol=1e-6)


def test_ogm_coefficients_come_from_the_whole_accumulated_batch(tmp_path):
    results = []
    for accumulate in (1, 4):
        options = {"alpha": 1.0, "ge": False}
        trained = engine(
            tmp_path / str(accumulate), "ogm_ge", options, model=_group_norm_model(), accumulate=accumulate
        )
        trained.fit()
        results.append(_weights(trained))
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name], rtol=1e-4, atol=1e-6)


def test_frozen_encoders_keep_weights_and_statistics(tmp_path):
    trained = engine(tmp_path / "a", "multi_task", frozen=True, epochs=2)
    before = _weights(trained)
    trained.fit()
    after = _weights(trained)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoders."))
    assert not torch.equal(before["fusion.linear.weight"], after["fusion.linear.weight"])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_term_and_checkpoint(tmp_path, bad):
    trained = engine(tmp_path / "a", "multi_task", epochs=3)
    original = trained.method.objective

    def poisoned(step):
        terms = original(step)
        if trained.state.number == 4:  # second epoch: 24 samples are 3 steps of 8
            terms["visual"] = terms["visual"] * bad
        return terms

    trained.method.objective = poisoned
    with pytest.raises(TrainingError) as caught:
        trained.fit()
    text = str(caught.value)
    assert "'visual'" in text
    assert "step 4" in text
    assert "epoch 1" in text
    assert "\n" not in text
    kept = load_checkpoint(tmp_path / "a", "test")
    assert kept is not None
    assert kept["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in kept["model"].values())


def test_a_checkpoint_of_another_run_is_not_resumed(tmp_path):
    engine(tmp_path / "a").fit()
    assert load_checkpoint(tmp_path / "a", "test") is not None
    assert load_checkpoint(tmp_path / "a", "another") is None


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: checkpoint cannot be read") as caught:
        load_checkpoint(tmp_path, "test")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    save_checkpoint(tmp_path, {"fingerprint": "before"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(tmp_path, {"fingerprint": "after", "weights": torch.zeros(2**18)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert load_checkpoint(tmp_path, "before") == {"fingerprint": "before"}


def test_a_checkpoint_is_never_held_in_memory_as_a_whole(tmp_path):
    weights = torch.zeros(2**23)  # 32 MiB
    tracemalloc.start()
    save_checkpoint(tmp_path, {"weights": weights})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "checkpoint.pt").stat().st_size > weights.nbytes
    assert peak < 2**20


def _history(folder):
    with (folder / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("rule", "column", "best"),
    [("val_accuracy", "val/accuracy/fused", max), ("val_nll", "val/nll", min), ("last", "epoch", max)],
)
def test_the_selected_epoch_is_the_best_by_its_rule(tmp_path, rule, column, best):
    trained = engine(tmp_path / "a", epochs=6, learning_rate=0.3, selection=rule)
    selected = trained.fit()
    rows = _history(tmp_path / "a")
    values = [float(row[column]) for row in rows]
    assert selected["epoch"] == values.index(best(values))
    assert trained.passes.score("val")["nll"] == pytest.approx(
        float(rows[selected["epoch"]]["val/nll"]), abs=1e-6
    )


def test_of_equally_good_epochs_the_first_is_kept(tmp_path):
    trained = engine(tmp_path / "a", epochs=3, learning_rate=1e-12)
    trained.model.requires_grad_(False)  # batch statistics must not move either
    trained.model.fusion.requires_grad_(True)
    trained.frozen = True
    assert trained.fit()["epoch"] == 0


def test_scores_agree_with_scikit_learn(tmp_path):
    from sklearn.metrics import accuracy_score, log_loss

    trained = engine(tmp_path / "a", epochs=2)
    trained.fit()
    store = trained.batches.store
    rows = store.rows("val")
    with torch.no_grad():
        logits = trained.model({m: store.gather(m, rows) for m in TWO})
        features = trained.model.encode({m: store.gather(m, rows) for m in TWO})
        audio = trained.model.fusion.contributions(features)["audio"]
    scores = trained.passes.score("val")
    assert scores["nll"] == pytest.approx(
        log_loss(store.labels[rows], logits.double().softmax(1), labels=[0, 1, 2]), rel=1e-4
    )
    assert scores["accuracy/fused"] == pytest.approx(accuracy_score(store.labels[rows], logits.argmax(1)))
    assert scores["accuracy/audio"] == pytest.approx(accuracy_score(store.labels[rows], audio.argmax(1)))


def test_bf16_trains_with_float32_weights(tmp_path):
    trained = engine(tmp_path / "a", "ogm_ge", precision="bf16", epochs=2)
    trained.fit()
    exact = engine(tmp_path / "b", "ogm_ge", epochs=2)
    exact.fit()
    assert all(v.dtype == torch.float32 for v in trained.model.parameters())
    assert any(
        not torch.equal(a, b)
        for a, b in zip(trained.model.parameters(), exact.model.parameters(), strict=True)
    )


def test_tensorboard_has_losses_norms_shares_and_rate(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    engine(tmp_path / "a", "multi_task", epochs=2).fit()
    events = EventAccumulator(str(tmp_path / "a" / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    for tag in (
        "loss/task",
        "loss/audio",
        "gradient_norm/visual",
        "gradient_norm/fusion",
        "epoch/learning_rate",
        "epoch/val/accuracy/audio",
        "epoch/train/loss/visual",
    ):
        assert tag in tags, tag
    assert len(events.Scalars("loss/task")) == 6


def test_the_time_of_the_steps_is_summed_over_all_parts_of_a_run(tmp_path, monkeypatch):
    """A clock that gains a second at each look; validation and what lies between the parts count for nothing."""
    looks = iter(range(10**6))
    monkeypatch.setattr("ambidex.learn.loop.clock.time.monotonic", lambda: next(looks))
    first = engine(tmp_path, epochs=3)

    def stop(epoch):
        if epoch == 1:
            raise KeyboardInterrupt

    first.on_epoch = stop
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    assert load_checkpoint(tmp_path, "test")["seconds"] == 2.0
    found = engine(tmp_path, epochs=3).fit()
    assert (found["seconds"], found["steps"]) == (3.0, 9)


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 4, "accumulate": 4}])
def test_batch_norm_of_one_value_is_refused_in_one_line(tmp_path, options):
    """Images of one pixel after the first layers of a ResNet: torch has no variance of them."""
    encoders = {m: Choice(name="resnet18", width=2) for m in TWO}
    model = MultimodalNet(replace(architecture(TWO), encoders=encoders))
    trained = engine(tmp_path, model=model, samples=4, **options)
    with pytest.raises(TrainingError, match="batch norm has no statistics of one sample") as caught:
        trained.fit()
    assert "\n" not in str(caught.value)
