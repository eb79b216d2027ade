"""Plug-ins from outside that cannot be used: one line with the distribution, the entry point and what was expected."""

import os
import subprocess
import sys
import warnings

import pytest

from ambidex.base import entry_points
from ambidex.base.errors import ParamsError
from ambidex.cli import main
from ambidex.commands.plugins import registries
from ambidex.decide.allocators import ALLOCATORS
from ambidex.learn.method import METHODS
from ambidex.net.encoders import ENCODERS
from ambidex.stages._outside import outside_plugins
from helpers.checkout import ROOT
from helpers.outside import installed, write_distribution
from helpers.runs import small_params
from helpers.words import REGISTRIES

GOOD = "from ambidex.learn.method import Method\nclass Good(Method):\n    '''Good.'''\n"


def test_groups_are_the_words_of_the_command_line():
    assert {kind: plugins.group for kind, plugins in registries().items()} == {
        kind: f"ambidex.{kind}" for kind in REGISTRIES
    }


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        ("away:Away", None, "ModuleNotFoundError: No module named 'away'"),
        (
            "bad:Bad",
            "import nothing_of_this_name",
            "ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        ("bad:Bad", "x = 1 +", "SyntaxError: invalid syntax (bad.py, line 1)"),
        ("bad:Bad", "raise SystemExit(3)", "SystemExit: 3"),
        ("bad:Bad", "x = 1", "AttributeError: module 'bad' has no attribute 'Bad'"),
        ("bad:Bad", "class Bad:\n    pass", "found class Bad"),
        ("bad:Bad", "Bad = 3", "found an object of type int"),
        ("bad", "x = 1", "found an object of type module"),
    ],
)
def test_a_broken_one_is_one_line_and_ends_only_what_needs_it(tmp_path, capsys, value, source, reason):
    write_distribution(
        tmp_path, "ambidex-bad", {"ambidex.methods": {"bad": value}}, **({"bad": source} if source else {})
    )
    line = f"method 'bad' of ambidex-bad 1.0 (entry point bad = {value}): {reason}; "
    line += "expected a subclass of ambidex.learn.method.Method"
    with installed(tmp_path):
        for _ in range(2):
            with pytest.raises(ParamsError) as caught:
                METHODS.get("bad")
            assert str(caught.value) == line
        assert METHODS.get("joint").__name__ == "Joint"
        with pytest.warns(entry_points.PluginWarning) as warned:
            assert set(METHODS.all()) == set(METHODS.own())
        assert [str(one.message) for one in warned] == [line]
        assert METHODS.complaints() == [line]
        main(["doctor", "--params", str(tmp_path / "none.yaml"), "--runs", str(tmp_path)])
        told = [one for one in capsys.readouterr().out.splitlines() if " plug-ins " in one]
        assert told == ["OK    plug-ins    none of other distributions", f"WARN  plug-ins    {line}"]
        assert main(["methods"]) == 0
        shown = capsys.readouterr()
        assert shown.err.count("\n") <= 1  # Python shows the same warning once in a process
        assert "multi_task" in shown.out


def test_a_taken_name_stays_this_librarys_own(tmp_path):
    write_distribution(tmp_path, "ambidex-bad", {"ambidex.methods": {"joint": "good:Good"}}, good=GOOD)
    line = "method 'joint' of ambidex-bad 1.0 (entry point joint = good:Good) is not used: "
    line += "expected a name that no method of ambidex has"
    with installed(tmp_path):
        with pytest.warns(entry_points.PluginWarning) as warned:
            assert METHODS.get("joint").__module__ == "ambidex.learn.methods.joint"
        assert [str(one.message) for one in warned] == [line]
        assert METHODS.complaints() == [line]
        assert METHODS.names() == METHODS.own()
        assert METHODS.origin("joint") == ""


def test_of_two_with_one_name_none_is_chosen(tmp_path):
    write_distribution(tmp_path, "first", {"ambidex.methods": {"good": "good:Good"}}, good=GOOD)
    write_distribution(tmp_path, "second", {"ambidex.methods": {"good": "good:Good"}})
    with (
        installed(tmp_path),
        pytest.raises(ParamsError, match=r"of first 1.0 .*: second 1.0 offers that name too"),
    ):
        METHODS.get("good")


@pytest.mark.parametrize("name", ["Good", "a-b", "a b", "../good", "3d"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(tmp_path, name):
    write_distribution(tmp_path, "ambidex-bad", {"ambidex.methods": {name: "good:Good"}}, good=GOOD)
    with installed(tmp_path):
        (line,) = METHODS.complaints()
        assert line.startswith(f"method '{name}' of ambidex-bad 1.0 ")
        assert "expected a name of lower-case letters" in line
        assert name not in METHODS.names()
        with pytest.raises(ParamsError, match="does not exist"):
            METHODS.get(name)


def test_a_good_one_is_found_under_its_entry_points_name(tmp_path):
    write_distribution(tmp_path, "ambidex-good", {"ambidex.methods": {"fine": "good:Good"}}, good=GOOD)
    with installed(tmp_path):
        assert "good" not in sys.modules
        assert "fine" in METHODS.names()
        assert METHODS.origin("fine") == "ambidex-good 1.0"
        assert "good" not in sys.modules  # names cost no import
        assert METHODS.name_of(METHODS.get("fine")) == "fine"
        assert METHODS.complaints() == []
        assert "fine" not in ENCODERS.names()
    assert "fine" not in METHODS.names()


def test_a_broken_allocator_does_not_end_an_evaluation_of_all(tmp_path):
    write_distribution(tmp_path, "ambidex-bad", {"ambidex.allocators": {"bad": "away:Away"}})
    with installed(tmp_path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert outside_plugins("evaluate", small_params()) == {}
        assert set(ALLOCATORS.all()) == set(ALLOCATORS.own())
        with pytest.raises(ParamsError, match=r"allocator 'bad' of ambidex-bad 1\.0"):
            outside_plugins("evaluate", small_params(evaluate={"allocators": ["bad"]}))


def test_where_there_are_none_one_look_is_all_it_costs(monkeypatch):
    looks = []
    real = entry_points.metadata.entry_points

    def counted(**given):
        looks.append(given)
        return real(**given)

    monkeypatch.setattr(entry_points, "_scan", entry_points.cache(counted))
    for plugins in registries().values():
        for name in plugins.names():
            plugins.get(name)
        plugins.all()
    assert outside_plugins("evaluate", small_params()) == {}
    assert len(looks) == 1


@pytest.mark.slow
def test_the_command_line_says_it_in_one_line(tmp_path):
    """As a process: what a user sees on the terminal."""
    write_distribution(tmp_path, "ambidex-bad", {"ambidex.fusions": {"bad": "away:Away"}})
    path = os.pathsep.join((str(ROOT / "src"), str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-m", "ambidex.cli", "fusions"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "concat" in done.stdout
    assert done.stderr.startswith(
        "ambidex: warning: fusion 'bad' of ambidex-bad 1.0 (entry point bad = away:Away): "
    )
    assert done.stderr.count("\n") == 1
