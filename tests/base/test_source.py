"""What a source file says: comments, docstrings and layout are no part of it; which files a module needs."""

import ast
from pathlib import Path

import pytest

from ambidex.base.source import text
from ambidex.base.source.graph import closure, file_of
from ambidex.base.source.text import parse_source, read_source
from helpers.checkout import ROOT

CODE = '''
"""A module."""

import os.path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heavy import Thing

RATE = 0.5
"""what it is"""


class Part:
    """A part."""

    size: int = 3
    """how large"""

    def grow(self, by: int = 1) -> int:
        """Grow."""
        # by a little
        return self.size + by
'''


def digest(code: str) -> str:
    return parse_source(code).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another text."""'),
        ('"""A module."""\n', ""),
        ('"""what it is"""\n', ""),
        ('        """Grow."""\n', ""),
        ('    """how large"""\n', '    """larger"""\n'),
        ("        # by a little\n", ""),
        ("return self.size + by", "return (\n            self.size  # now\n            + by\n        )"),
        ("    from heavy import Thing", "    from heavier import Thing"),
        ("RATE = 0.5", "RATE = 0.50"),
        ("\n\n\nclass", "\n\n\n\n\nclass"),
    ],
)
def test_it_says_the_same(old: str, new: str) -> None:
    assert CODE.count(old) == 1
    assert digest(CODE.replace(old, new)) == digest(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.25"),
        ("self.size + by", "self.size - by"),
        ("self.size + by", "by + self.size"),
        ("by: int = 1", "by: int = 2"),
        ("class Part", "class Piece"),
        ("RATE = 0.5", "RATE = '0.5'"),
        ("import os.path", "import os"),
        ("size: int = 3", "size: int = 3\n    width: int = 3"),
    ],
)
def test_it_says_something_else(old: str, new: str) -> None:
    assert CODE.count(old) == 1
    assert digest(CODE.replace(old, new)) != digest(CODE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f(1, 2)", "f((1, 2))"),
        ("[a, [b]]", "[[a, b]]"),
        ("{**a}", "{a}"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(*, a): pass", "def f(*a): pass"),
        ("def f(a, b=1): pass", "def f(a=1, b=1): pass"),
        ("x = 'a' 'b'", "x = 'a', 'b'"),
        ("if a: b\nelse: c", "if a: b\nc"),
        ("try: a\nfinally: b", "try: a\nexcept: b"),
        ("a = b'1'", "a = '1'"),
        ("not a", "-a"),
        ("x = 1", "x = True"),
    ],
)
def test_trees_are_told_apart(one: str, other: str) -> None:
    assert digest(one) != digest(other)


@pytest.mark.slow
def test_two_files_say_the_same_only_where_their_trees_do() -> None:
    """Against Python's own dump of the tree, without the statements that are only text."""

    class Bare(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
            return None if isinstance(node.value, ast.Constant) else node

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    files = sorted((ROOT / "src/ambidex").rglob("*.py"))
    dumps = [ast.dump(Bare().visit(ast.parse(file.read_text()))) for file in files]
    assert len({digest(file.read_text()) for file in files}) == len(set(dumps)) > 200


def test_registries_are_seen_however_they_are_written() -> None:
    for code in (
        'ONE: Plugins[int] = Plugins("kind", "a.package", "a.Base")',
        'ONE = Plugins[int]("kind", "a.package", "a.Base")',
        'ONE = registry.Plugins("kind", "a.package", "a.Base")',
    ):
        assert parse_source(code).registries == (("kind", "a.package", "a.Base"),)
    assert parse_source("ONE = Others('kind', 'a', 'b')").registries == ()


def test_what_python_cannot_read_counts_by_its_bytes(tmp_path: Path) -> None:
    found = []
    for number, code in enumerate(("def :", "def  :", "a = '\0'")):
        (tmp_path / f"{number}.py").write_text(code)
        found.append(read_source(tmp_path / f"{number}.py").digest)
    assert len(set(found)) == 3


def test_what_is_written_while_a_process_runs_is_nobodys_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may have imported what stood there before: neither text may be said to have made its output."""
    file = tmp_path / "a.py"
    file.write_text("A = 1\n")
    monkeypatch.setattr(text, "_BEGAN", file.stat().st_mtime_ns - 1)
    now = text.read_source.__wrapped__(file).digest
    monkeypatch.setattr(text, "_BEGAN", file.stat().st_mtime_ns)
    later = text.read_source.__wrapped__(file).digest
    assert later == digest("A = 1")
    assert now != later


def test_an_empty_file_and_one_with_a_docstring_say_nothing() -> None:
    assert digest('"""Only this."""\n# and that\n') == digest("")


def test_imports_are_followed_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "outside/__init__.py": "import outside.always\n",
        "outside/always.py": "",
        "outside/method.py": "from .inner import part\nfrom ambidex.learn.methods._scores import x\n",
        "outside/inner/__init__.py": "from ..beside import y\n",
        "outside/inner/part.py": "def f():\n    import outside.lazy\n    import numpy\n",
        "outside/lazy.py": "if TYPE_CHECKING:\n    import outside.checked\nimport strangers\n",
        "outside/checked.py": "",
        "outside/beside.py": "",
        "outside/unused.py": "",
        "strangers.py": "",
    }
    for name, code in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    stop = ("ambidex", "ambidex.base.errors", "ambidex.base.files", "ambidex.base.readers.")
    found = closure(["outside.method"], stop)
    names = {name.removeprefix("outside").lstrip(".") for name in found if name.startswith("outside")}
    assert names == {"", "always", "method", "inner", "inner.part", "beside", "lazy"}
    assert "ambidex.learn.methods._scores" in found
    assert found["outside.lazy"] == tmp_path / "outside/lazy.py"
    assert not {"numpy", "strangers", "outside.checked", "outside.unused"} & set(found)


def test_a_folder_that_is_left_out_is_left_out_whole() -> None:
    found = closure(["ambidex.base.records"], ("ambidex", "ambidex.base.readers.", "ambidex.base.errors"))
    assert "ambidex.base.files" in found
    assert not [name for name in found if name.startswith(("ambidex.base.readers", "ambidex.base.errors"))]


def test_files_are_found_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "alone_by_itself.py").write_text("raise SystemExit('imported')")
    assert file_of("alone_by_itself") == tmp_path / "alone_by_itself.py"
    assert file_of("ambidex.learn.engine") == ROOT / "src/ambidex/learn/engine.py"
    assert file_of("ambidex") == ROOT / "src/ambidex/__init__.py"
    assert file_of("ambidex.learn.engine.Engine") is None
    assert file_of("no_such_package.at_all") is None
    assert file_of("math") is None
