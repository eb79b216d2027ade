"""The table's arithmetic, and that every benchmark runs. How fast anything is, no test asserts."""

import importlib
import json
from itertools import count

import numpy as np
import pytest
from benchmarks import engine_step, extraction, frozen, run, sequences, timing, vectors
from benchmarks.data import FIELD, make_store, pictures, sound, write_clip
from benchmarks.rows import Row, row, table

from ambidex.configuration.optimisation import PLAIN_LOOP, Optimisation
from ambidex.data.kinds.vector import Vector
from helpers.media import tone, write_wav


def test_verdict_of_an_upper_limit():
    def verdict(value):
        return Row("a", value, limit=2.0).verdict

    assert [verdict(v) for v in (1.0, 2.0, 2.01, 2.29, 2.31)] == [
        "holds",
        "holds",
        "within 15 %",
        "within 15 %",
        "MISSED",
    ]


def test_verdict_of_a_lower_limit():
    def verdict(value):
        return Row("a", value, limit=8.0, at_least=True).verdict

    # 8 / 1.15 = 6.957
    assert [verdict(v) for v in (9.0, 8.0, 7.9, 6.97, 6.94)] == [
        "holds",
        "holds",
        "within 15 %",
        "within 15 %",
        "MISSED",
    ]


def test_a_cost_below_zero_holds():
    assert Row("a", -0.1, "ms", limit=0.5).verdict == "holds"


def test_kept_features_are_compared_with_those_made_anew():
    anew, kept, same = frozen.compare(epochs=2, width=4, rounds=1)
    assert same
    assert anew > 0 < kept


def test_rows_without_limit_or_value():
    assert Row("a", 3.0).verdict == "reported"
    assert Row("a", None, limit=1.0, note="why").verdict == "skipped"


def test_row_is_median_and_quartiles():
    made = row("a", [1.0, 5.0, 2.0, 4.0, 30.0], unit="ms")
    assert (made.value, made.spread, made.unit) == (4.0, (2.0, 5.0), "ms")


def test_table_is_aligned_and_complete():
    lines = table(
        [row("first", [1.0, 2.0, 3.0], limit=1.5), Row("second", None, note="why not")]
    ).splitlines()
    assert len(lines) == 4
    assert "2.000 x" in lines[2]
    assert "<= 1.500 x" in lines[2]
    assert "MISSED" in lines[2]
    assert lines[2].index("MISSED") == lines[3].index("skipped") == lines[0].index("verdict")
    assert lines[3].endswith("why not")


def test_turns_alternate_after_one_untimed_round():
    calls = []
    clock = iter(range(100))

    def task(name):
        return lambda: calls.append(name)

    def tick(done):
        done()
        return float(next(clock))

    taken = timing.in_turns({"a": task("a"), "b": task("b")}, 3, tick)
    assert calls == ["a", "b"] * 4
    assert taken["a"].tolist() == [0, 2, 4]
    assert taken["b"].tolist() == [1, 3, 5]


def test_cpu_time_counts_work_and_not_waiting():
    import time

    assert timing.seconds(lambda: time.sleep(0.05)) < 0.04
    assert timing.seconds(lambda: sum(range(2_000_000))) > 0.001


def test_made_up_media_move_and_sound():
    shown = pictures(4, 48, 64, seed=0)
    assert shown.shape == (4, 48, 64, 3)
    assert np.abs(shown[0].astype(int) - shown[3]).mean() > 2
    assert sound(0.5, seed=0).shape == (22_050,)


def test_field_shapes_are_the_papers(tmp_path):
    store = make_store(tmp_path / "store", FIELD, {"train": 2})
    assert store.inputs["audio"].shape == (257, 188)
    assert store.inputs["visual"].shape == (3, 3, 224, 224)


def test_every_way_sees_the_same_clip(tmp_path):
    from ambidex.data.media.decode import decode

    clip = tmp_path / "clip.mp4"
    write_clip(clip, 0.6, 48, 64, seed=0)
    waveform, frames = decode(clip, [kind.request() for kind in FIELD.values()])
    assert len(waveform) == pytest.approx(0.6 * 22_050, rel=0.1)
    assert frames.shape == (3, 3, 224, 224)
    if not extraction._missing():
        extraction._field([clip], tmp_path / "field")
        assert len(list((tmp_path / "field" / "clip").iterdir())) == 3
        assert (tmp_path / "field" / "clip.pkl").exists()


def test_engine_and_bare_loop_learn_the_same(tmp_path):
    """The reference is the same computation: after as many steps on the same rows its weights are the same."""
    import torch

    from ambidex.learn.method import METHODS
    from ambidex.learn.runtime import make_fabric

    case = engine_step.Case("t", engine_step._inputs(16), engine_step.TINY, 4, 2, 1)
    store = make_store(tmp_path / "store", case.wants, {"train": 8, "val": 2})
    params = engine_step._params(case)
    bare = engine_step._model(case, store)
    step = engine_step._bare_steps(bare, params, store, order=store.rows("train"))
    seen = []
    fabric = make_fabric(engine_step.RUNTIME, "32")

    class InOrder(engine_step.SteppedBatches):
        def epoch(self, split, epoch, batch_size, accumulate, skip=0, resample=None):
            for chunk in self.store.rows(split).split(batch_size):
                yield len(chunk), [self.load(chunk, None)]
                step()
                seen.append(len(chunk))

    trained = engine_step._model(case, store)
    method = METHODS.get("joint")(None)
    batches = InOrder(store, ("audio", "visual"), {}, 0, fabric.device)
    engine = engine_step.Engine(trained, method, params, batches, fabric, tmp_path, "t")
    engine.fit()
    assert seen == [4, 4]
    for name, value in bare.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], value, rtol=1e-4, atol=1e-6)


SLOW = ("checkpoint", "evaluation", "exchange", "gathering", "methods", "scale", "startup")


def test_the_loop_in_memory_learns_what_the_engine_does_of_vectors(tmp_path):
    import torch

    from ambidex.learn.loop.batches import generator

    size, at = vectors.SIZES["tiny"], count()
    store = make_store(
        tmp_path / "store",
        dict.fromkeys(vectors.MODALITIES, Vector.of(size=size.numbers)),
        {"train": size.train, "val": size.val},
        shard_size=16,
    )
    params = Optimisation(**PLAIN_LOOP, epochs=2, batch_size=size.batch)
    models = [vectors._model(store) for _ in range(3)]

    def order(samples):
        return torch.randperm(samples, generator=generator("order", 0, next(at) // 2))

    loops = [
        vectors.bare_epochs(m, params, store, order, n)
        for m, n in zip(models[:2], (False, True), strict=True)
    ]
    scores = [[loop() for loop in loops] for _ in range(params.epochs)]
    engine = vectors.engine_of(models[2], params, store, tmp_path)
    engine.fit()
    found = [[row["val/accuracy/fused"], row["val/nll"]] for row in engine.state.history]
    for one, two in scores:
        assert one == pytest.approx(two, rel=1e-5)
    np.testing.assert_allclose(found, [one for one, _ in scores], rtol=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in run.BENCHMARKS]
)
def test_benchmark_runs_at_a_tiny_size(name):
    rows = importlib.import_module(run.BENCHMARKS[name]).measure("tiny")
    assert rows
    assert len({made.name for made in rows}) == len(rows)
    for made in rows:
        assert made.verdict in ("holds", "within 15 %", "MISSED", "reported", "skipped")
        assert made.value is None or np.isfinite(made.value)


def test_run_prints_the_table_and_writes_json(tmp_path, monkeypatch, capsys):
    rows = [row("kept", [1.0], limit=2.0), row("broken", [3.0], limit=2.0)]
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(importlib.import_module(run.BENCHMARKS["startup"]), "measure", lambda scale: rows)
    assert run.main(["--only", "startup", "--quick"]) == 1
    printed = capsys.readouterr().out
    assert "load" in printed
    assert "cores" in printed
    written = json.loads(next(tmp_path.glob("*.json")).read_text())
    assert written["scale"] == "quick"
    assert [made["verdict"] for made in written["rows"]["startup"]] == ["holds", "MISSED"]


def test_a_recording_becomes_as_many_steps_as_it_is_long(tmp_path):
    for seconds in (0.2, 0.5):
        file = write_wav(tmp_path / f"{seconds}.wav", tone(seconds, 8_000), rate=8_000)
        steps = 1 + int(seconds * 8_000) // sequences.HOP
        assert sequences.mel_bands(file).shape == (steps, sequences.BANDS)


@pytest.mark.slow
def test_sequences_are_compared(tmp_path):
    lines = ["sample_id,label,split,group,audio"]
    for k in range(24):
        split = ("train", "train", "val", "test")[k // 6]
        write_wav(tmp_path / f"{k}.wav", tone(0.2 + 0.01 * k, 8_000, 300 + 900 * (k % 2)), rate=8_000)
        lines.append(f"{k},{k % 2},{split},{split},{k}.wav")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    table = sequences.measure(tmp_path, range(2), epochs=1)
    assert [line[0] for line in table] == list(sequences.CASES)
    assert all(0 <= float(line[2]) <= 100 for line in table)
