"""Every diagnostic on every kind of evaluation: JSON-able, rectangular tables, nothing that depends on order."""

import dataclasses
import json

import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion

from ambidex.configuration.params import Evaluate
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.diagnose._masked import masked_on_test
from ambidex.judge.diagnose.calibration import _sentence as calibration_sentence
from ambidex.net.contributions.shapley import coalitions
from helpers.evaluations import make_evaluation

ONE_SIDED = {"audio": [1, 1, 0, 0, 1, 1], "visual": [0, 0, 1, 1, 1, 1]}
NAMES = DIAGNOSTICS.names()
EVALUATIONS = {
    "two": lambda: make_evaluation(ONE_SIDED),
    "one": lambda: make_evaluation({"audio": [1, 1, 1]}),
    "three, not additive": lambda: make_evaluation({**ONE_SIDED, "text": [1] * 6}, fusion="film"),
    "six": lambda: make_evaluation({f"m{i}": [1, 1, 0] for i in range(6)}, dim=3),
    "test without a class": lambda: without_class(make_evaluation(ONE_SIDED), 3),
}


def without_class(evaluation, missing):
    test = evaluation.test
    kept = (test.labels != missing).nonzero()[:, 0]
    fewer = dataclasses.replace(
        test,
        sample_ids=[test.sample_ids[i] for i in kept],
        groups=[test.groups[i] for i in kept],
        labels=test.labels[kept],
        logits=test.logits[kept],
        features={m: h[kept] for m, h in test.features.items()},
        contributions={m: z[kept] for m, z in test.contributions.items()},
        branches={m: z[kept] for m, z in test.branches.items()},
    )
    return dataclasses.replace(evaluation, splits={**evaluation.splits, "test": fewer})


@pytest.fixture(scope="module", params=EVALUATIONS)
def evaluation(request):
    return EVALUATIONS[request.param]()


@pytest.mark.parametrize("name", NAMES)
def test_every_diagnostic_reports_values_that_any_reader_can_parse(name, evaluation):
    found = DIAGNOSTICS.get(name)().run(evaluation)
    json.dumps([found.metrics, found.tables], allow_nan=False)
    for rows in found.tables.values():
        assert all(row.keys() == rows[0].keys() for row in rows)
    assert found.sentences
    assert all(s.endswith(".") and "nan" not in s for s in found.sentences)


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_agree(name, evaluation):
    assert DIAGNOSTICS.get(name)().run(evaluation) == DIAGNOSTICS.get(name)().run(evaluation)


def test_swapping_the_modalities_swaps_the_results():
    straight = make_evaluation(ONE_SIDED)
    swapped = dataclasses.replace(
        straight,
        modalities=("visual", "audio"),
        splits={
            name: dataclasses.replace(
                split,
                **{key: dict(reversed(getattr(split, key).items())) for key in ("features", "contributions")},
            )
            for name, split in straight.splits.items()
        },
    )
    for name, key in (("shapley", "phi"), ("capability", "by_class")):
        first, second = (DIAGNOSTICS.get(name)().run(e).metrics[key] for e in (straight, swapped))
        for m in ("audio", "visual"):
            assert flat(first[m]) == pytest.approx(flat(second[m]), abs=1e-6)


def flat(value):
    if isinstance(value, dict):
        return [number for v in value.values() for number in flat(v)]
    return [value]


def test_the_truth_shows():
    evaluation = make_evaluation(ONE_SIDED, sizes={"train": 600, "val": 300, "test": 600})
    run = {name: DIAGNOSTICS.get(name)().run(evaluation).metrics for name in NAMES}
    kappa = {m: run["capability"]["by_class"][m] for m in ONE_SIDED}
    for c in ("class0", "class1"):
        assert kappa["audio"][c]["capability"] > kappa["visual"][c]["capability"]
        assert run["logits"]["audio"]["share"][c] > 0.6
    for c in ("class2", "class3"):
        assert kappa["visual"][c]["capability"] > kappa["audio"][c]["capability"]
        assert run["logits"]["visual"]["share"][c] > 0.6
    fused = run["performance"]["test"]["fused"]
    assert fused["accuracy"] > max(run["performance"]["test"][m]["accuracy"] for m in ONE_SIDED)
    assert run["performance"]["oracle_choice"] >= fused["accuracy"] - 0.1
    coalitions = run["shapley"]["coalitions"]
    assert coalitions["audio+visual"] == pytest.approx(fused["accuracy"])
    phi = [run["shapley"]["phi"][m]["phi"] for m in ONE_SIDED]
    assert sum(phi) == pytest.approx(coalitions["audio+visual"] - coalitions["none"], abs=1e-9)
    assert phi[0] == pytest.approx(
        (coalitions["audio"] - coalitions["none"] + fused["accuracy"] - coalitions["visual"]) / 2
    )


def test_shapley_interval_is_that_of_the_samples_own_values():
    """For two modalities phi is the mean over samples of half a sum of four 0/1 values: the normal interval."""
    evaluation = make_evaluation(ONE_SIDED, params=Evaluate(resamples=2000))
    head = masked_on_test(evaluation)
    logits = {s: head(s) for s in coalitions(list(ONE_SIDED))}
    right = {s: (z.argmax(1) == evaluation.test.labels).double() for s, z in logits.items()}
    both, audio, visual, none = (right[frozenset(s)] for s in (ONE_SIDED, ["audio"], ["visual"], []))
    value = (audio - none + both - visual) / 2
    found = DIAGNOSTICS.get("shapley")().run(evaluation).metrics["phi"]["audio"]
    half = 1.96 * value.std().item() / len(value) ** 0.5
    assert found["phi_low"] == pytest.approx(value.mean().item() - half, abs=0.02)
    assert found["phi_high"] == pytest.approx(value.mean().item() + half, abs=0.02)


def test_a_modality_of_constant_features_has_no_shapley_value():
    evaluation = make_evaluation(ONE_SIDED)
    for split in evaluation.splits.values():
        split.features["visual"][:] = 0.5
    phi = DIAGNOSTICS.get("shapley")().run(evaluation).metrics["phi"]
    assert phi["visual"] == {"phi": 0.0, "phi_low": 0.0, "phi_high": 0.0}


def test_intervals_hold_their_estimates():
    evaluation = make_evaluation(ONE_SIDED)
    for name in NAMES:
        for rows in DIAGNOSTICS.get(name)().run(evaluation).tables.values():
            for row in rows:
                for key in (k for k in row if f"{k}_low" in row and row[k] is not None):
                    assert row[f"{key}_low"] - 1e-9 <= row[key] <= row[f"{key}_high"] + 1e-9, (name, key, row)


def test_confusion_counts_every_test_sample_fused_and_by_modality():
    evaluation = make_evaluation(ONE_SIDED)
    rows = DIAGNOSTICS.get("performance")().run(evaluation).tables["confusion"]
    test = evaluation.test
    for source, logits in {"fused": test.logits, **test.branches}.items():
        expected = sklearn_confusion(test.labels, logits.argmax(1))
        found = [row["count"] for row in rows if row["source"] == source]
        assert found == expected.flatten().tolist(), source


@pytest.mark.parametrize(
    ("confidence", "word"), [(0.805, "well matched"), (0.9, "overconfident"), (0.7, "underconfident")]
)
def test_the_word_for_calibration_follows_the_numbers(confidence, word):
    numbers = {"confidence": confidence, "accuracy": 0.8, "ece": 0.1, "nll": 0.5}
    assert f"({word})" in calibration_sentence("fused", numbers)


def test_vrr_by_hand():
    evaluation = make_evaluation(ONE_SIDED)
    found = DIAGNOSTICS.get("calibration")().run(evaluation).metrics["vrr"]
    with torch.no_grad():
        mean = evaluation.train.features["visual"].mean(0).expand(120, -1)
        alone = evaluation.model.fuse({"audio": evaluation.test.features["audio"], "visual": mean})[0]
    rises = alone.softmax(1).amax(1) > evaluation.test.logits.softmax(1).amax(1)
    assert found["visual"]["vrr"] == pytest.approx(rises.float().mean().item(), abs=1e-6)
