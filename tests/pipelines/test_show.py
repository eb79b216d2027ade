"""What the page of a run shows."""

from pathlib import Path

from components._show import log_confusion, log_numbers

from ambidex.base.files import write_csv, write_json


class Artifact:
    """Takes what a kfp artifact would."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.matrix: tuple[list[str], list[list[int]]] = ([], [])

    def log_metric(self, name: str, value: float) -> None:
        self.metrics[name] = value

    def log_confusion_matrix(self, classes: list[str], matrix: list[list[int]]) -> None:
        self.matrix = (classes, matrix)


def test_rows_of_the_confusion_matrix_are_what_was_there(tmp_path: Path) -> None:
    """Two clips of b were taken for a; no clip of c was predicted, and none of a is there."""
    write_json(tmp_path / "card.json", {"classes": ["a", "b", "c"]})
    pairs = [("b", "a"), ("b", "a"), ("b", "b"), ("c", "b")]
    write_csv(tmp_path / "plots/confusion.csv", [{"actual": a, "predicted": p} for a, p in pairs])
    artifact = Artifact()
    log_confusion(artifact, str(tmp_path))
    assert artifact.matrix == (["a", "b", "c"], [[0, 0, 0], [2, 1, 0], [0, 1, 0]])


def test_numbers_are_logged_by_their_paths() -> None:
    artifact = Artifact()
    metrics = {
        "accuracy": 0.5,
        "note": None,
        "ok": True,
        "val": {"nll": 1, "deep": {"nll": 2.0}},
        "name": "x",
    }
    log_numbers(artifact, metrics)
    assert artifact.metrics == {"accuracy": 0.5, "val.nll": 1.0, "val.deep.nll": 2.0}
