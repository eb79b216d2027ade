"""The faults are up to date, and each is caught."""

import ast
from functools import cache

import pytest

from ambidex.learn.method import METHODS
from mutations.fault import ROOT, Fault, StaleFaultError, faults
from mutations.seed import Copy

FAULTS = [fault for found in faults().values() for fault in found]
WITHOUT = {"joint", "unimodal_ensemble"}
"""nothing of their own is computed in a step"""
ENOUGH = 3


@pytest.fixture(scope="module")
def copy():
    with Copy() as one:
        yield one


@cache
def _functions(file):
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_up_to_date(fault):
    ast.parse(fault.seeded(ROOT))
    assert fault.before != fault.after
    assert fault.tests
    for test in fault.tests:
        file, _, function = test.partition("[")[0].partition("::")
        assert function in _functions(ROOT / file), test


def test_names_are_unique():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(set(METHODS.names()) - WITHOUT))
def test_every_method_has_faults(name):
    assert len(faults().get(name, [])) >= ENOUGH, f"write tests/mutations/faults/{name}.py"


@pytest.mark.slow
@pytest.mark.timeout(1_000)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught(copy, fault):
    verdict = copy.seed(fault)
    assert verdict.caught, verdict


NOISE = "tests/data/test_media_noise.py"
NOISY = f"{NOISE}::test_noise_has_the_deviation_asked_for_and_no_bias"


def _fault(after, test=NOISY, before="* (255 * deviation)"):
    return Fault("a fault", "src/ambidex/data/media/noise.py", before, after, test)


@pytest.mark.parametrize("before", ["no such text", "pictures"])
def test_what_is_not_there_or_twice_is_stale(copy, before):
    fault = _fault("", before=before)
    with pytest.raises(StaleFaultError, match=r"a fault: .* times"):
        fault.seeded(ROOT)
    assert copy.seed(fault).outcome == "STALE"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param(_fault("* (128 * deviation)"), "caught", marks=pytest.mark.slow),
        pytest.param(_fault("* (deviation * 255)"), "SURVIVED", marks=pytest.mark.slow),
        pytest.param(
            _fault("import zlib_that_is_nowhere", before="import zlib"), "NOT RUN", marks=pytest.mark.slow
        ),
        pytest.param(_fault("", f"{NOISE}::test_of_no_such_name"), "NOT RUN", marks=pytest.mark.slow),
        pytest.param(_fault("", "tests/house/test_readme.py -k nothing"), "NOT RUN", marks=pytest.mark.slow),
    ],
    ids=["a test fails", "all pass", "it cannot be imported", "no such test", "nothing ran"],
)
def test_only_a_test_that_fails_catches_a_fault(copy, fault, outcome):
    verdict = copy.seed(fault)
    assert verdict.outcome.startswith(outcome), verdict
    assert verdict.caught == (outcome == "caught")


@pytest.mark.slow
def test_a_test_that_fails_without_a_fault_is_told(copy):
    assert copy.failing([NOISY]) == []
    (found,) = copy.failing([f"{NOISE}::test_of_no_such_name"])
    assert "test_of_no_such_name" in found


@pytest.mark.slow
def test_every_test_that_a_fault_names_is_there(copy):
    named = sorted({test for own in faults([]).values() for fault in own for test in fault.tests})
    status, output = copy._pytest(["--collect-only", *named])
    assert status == 0, output[-2000:]
