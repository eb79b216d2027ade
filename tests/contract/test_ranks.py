"""Every method: two ranks, or micro-batches, train as the whole batch does, to rounding."""

import pytest
import torch

from ambidex.method import METHODS
from helpers.rank_pair import train, train_in_pair

DIFFERENCE = 1e-5


def _jobs():
    jobs = {}
    for name, cls in METHODS.all().items():
        modalities = ("audio", "visual", "touch")[: cls.needs.max_modalities or 3]
        for options in ({}, *filter(None, cls.variants)) if cls.trains else ():
            given = cls.early | options
            jobs[f"{name}-{given}"] = {"name": name, "options": given, "modalities": modalities}
    return jobs


JOBS = _jobs()
SPLITS = {"halves": 1, "halves in two micro-batches": 2}


def _in_parts(job, accumulate):
    return job | {"optimisation": {"accumulate": accumulate}}


@pytest.fixture(scope="module")
def asked(request):
    """The jobs of the tests that this session runs: with -k, or an id, few."""
    cases = [item.callspec.params for item in request.session.items if item.module is request.module]
    return {key: JOBS[key] for key in dict.fromkeys(case["key"] for case in cases)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, asked):
    return {key: train(tmp_path_factory.mktemp("whole"), job) for key, job in asked.items()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory, asked):
    jobs = {(key, split): _in_parts(job, n) for key, job in asked.items() for split, n in SPLITS.items()}
    found = train_in_pair(tmp_path_factory.mktemp("pair"), list(jobs.values()))
    return dict(zip(jobs, found, strict=True))


def _apart(found, expected):
    assert found.keys() == expected.keys()
    return max((found[name] - expected[name]).abs().max().item() for name in expected)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("key", JOBS)
def test_two_ranks_train_as_one(whole, pair, key, split):
    first, second = pair[key, split]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert _apart(first, whole[key]) < DIFFERENCE


@pytest.mark.parametrize("key", JOBS)
def test_micro_batches_train_as_the_whole_batch(whole, tmp_path, key):
    assert _apart(train(tmp_path, _in_parts(JOBS[key], 2)), whole[key]) < DIFFERENCE
