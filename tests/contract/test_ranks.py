"""Every method: ranks, or micro-batches, train as the whole batch does, to rounding, whatever is left over."""

import pytest

from ambidex.learn.method import METHODS
from ambidex.testing import ranks
from ambidex.testing.expect import cases
from ambidex.testing.ranks import BATCH, train, train_in_ranks

FAST = ("joint", "agm", "greedy", "mla", "reconboost")
NORMED = ("joint", "agm", "amco", "greedy", "mla", "multi_task", "ogm_ge", "opm", "reconboost", "smv")


TRAINING = [name for name in METHODS.own() if METHODS.get(name).trains]
JOBS = {f"{name}-{options}": (name, options) for name in TRAINING for options in cases(name)}
NORMED_RATE = 0.02
"""at 0.05 rounding moves one of the values of greedy over the kink of a ReLU"""
SPLITS = {"halves": 1, "halves in two micro-batches": 2}
DEFAULTS = {f"{name}-{cases(name)[0]}" for name in TRAINING}
"""every method, with its variants in the full run of the tests"""
QUICK = {key for key in DEFAULTS if JOBS[key][0] in FAST}
TWO = [
    pytest.param(key, split, marks=[] if key in QUICK and split != "halves" else [pytest.mark.slow])
    for key in JOBS
    for split in SPLITS
]


def _in_parts(key, accumulate):
    return ranks.job(*JOBS[key], accumulate)


def _with_norms(name):
    """With batch norm, which sees the samples of all ranks; without dropout, of which each rank draws its own."""
    options = METHODS.get(name).early
    job = {"name": name, "options": options, "modalities": ("audio", "visual"), "norms": True}
    optimisation = {"accumulate": 1, "batch_size": BATCH, "learning_rate": NORMED_RATE}
    return job | {"optimisation": optimisation}


@pytest.fixture(scope="module")
def asked(request):
    """The jobs of the tests that this session runs: with -k, or an id, few."""
    items = [item for item in request.session.items if item.module is request.module]

    def keys(test, *names):
        cases = [item.callspec.params for item in items if item.originalname == test]
        return list(dict.fromkeys(tuple(case[name] for name in names) for case in cases))

    return keys


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A job's weights after training in this process, trained once."""
    found = {}

    def of(key):
        if key not in found:
            found[key] = train(tmp_path_factory.mktemp("whole"), _in_parts(key, 1))
        return found[key]

    return of


@pytest.fixture(scope="module")
def pair(tmp_path_factory, asked):
    cases = asked("test_two_ranks_train_as_one", "key", "split")
    jobs = {(key, split): _in_parts(key, SPLITS[split]) for key, split in cases}
    jobs |= {name: _with_norms(name) for (name,) in asked("test_batch_norm_sees_the_whole_step", "name")}
    found = train_in_ranks(tmp_path_factory.mktemp("pair"), list(jobs.values()))
    return dict(zip(jobs, found, strict=True))


@pytest.fixture(scope="module")
def three(tmp_path_factory, asked):
    jobs = {key: _in_parts(key, 2) for (key,) in asked("test_a_rank_without_samples_takes_part", "key")}
    jobs |= {
        name: _with_norms(name) for (name,) in asked("test_batch_norm_with_a_rank_without_samples", "name")
    }
    found = train_in_ranks(tmp_path_factory.mktemp("three"), list(jobs.values()), count=3)
    return dict(zip(jobs, found, strict=True))


@pytest.mark.parametrize(("key", "split"), TWO)
def test_two_ranks_train_as_one(whole, pair, key, split):
    ranks.check_ranks(f"{key} in {split}", pair[key, split], whole(key))


@pytest.mark.slow
@pytest.mark.parametrize("key", JOBS)
def test_a_rank_without_samples_takes_part(whole, three, key):
    """In the steps of 11 each rank has two micro-batches; in the last two have a sample each and the third has none."""
    ranks.check_ranks(f"{key} on three ranks", three[key], whole(key))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else [pytest.mark.slow]) for n in NORMED]
)
def test_batch_norm_sees_the_whole_step(pair, tmp_path, name):
    ranks.check_ranks(f"{name} with batch norm", pair[name], train(tmp_path, _with_norms(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMED)
def test_batch_norm_with_a_rank_without_samples(three, tmp_path, name):
    ranks.check_ranks(f"{name} with batch norm", three[name], train(tmp_path, _with_norms(name)))


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[] if key in DEFAULTS else [pytest.mark.slow]) for key in JOBS]
)
def test_micro_batches_train_as_the_whole_batch(whole, tmp_path, key):
    ranks.expect_near(f"{key} in micro-batches", train(tmp_path, _in_parts(key, 2)), whole(key))
