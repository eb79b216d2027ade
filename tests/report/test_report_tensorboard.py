"""What TensorBoard gets is what the page shows: read back with TensorBoard's own reader."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ambidex.report import theme, training
from ambidex.report.chart import draw
from ambidex.report.repair import Gain, gains_chart
from ambidex.report.tensorboard import EVENTS_FILE, FOLDER, allocator_scalars, write_tensorboard

pytestmark = pytest.mark.charts


def drawn_in(folder):
    history = [{"epoch": str(e), "val/accuracy/fused": "0.5"} for e in range(3)]
    with theme.style():
        charts = [
            gains_chart([Gain("category", (0.1, 0.0, 0.2), None)]),
            training.history_chart(history, ("a",), 1),
        ]
        return [draw(chart, folder / "plots") for chart in charts]


def test_charts_and_numbers_come_back_as_they_were_written(tmp_path):
    drawn = drawn_in(tmp_path)
    metrics = {
        "allocators": {
            "uniform": {"accuracy": 0.75, "nll": 0.5, "ece": 0.1, "decision_imbalance": None},
            "gate": {"refused": "it cannot"},
        }
    }
    write_tensorboard(tmp_path, drawn, allocator_scalars(metrics))
    events = EventAccumulator(str(tmp_path / FOLDER), size_guidance={"images": 0})
    events.Reload()
    assert {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]} == {
        "accuracy/uniform": 0.75,
        "nll/uniform": 0.5,
        "ece/uniform": pytest.approx(0.1),
    }
    assert sorted(events.Tags()["images"]) == ["charts/allocators", "charts/history"]
    for picture in drawn:
        (event,) = events.Images(f"charts/{picture.name}")
        seen = Image.open(io.BytesIO(event.encoded_image_string))
        expected = Image.open(tmp_path / "plots" / f"{picture.name}.png")
        np.testing.assert_array_equal(np.asarray(seen), np.asarray(expected))
        assert (event.width, event.height) == expected.size


def test_the_same_report_gives_the_same_bytes(tmp_path):
    written = []
    for name in ("one", "two"):
        write_tensorboard(tmp_path / name, drawn_in(tmp_path / name), {"accuracy/uniform": 0.5})
        written.append((tmp_path / name / FOLDER / EVENTS_FILE).read_bytes())
    assert written[0] == written[1]


def test_a_study_without_charts_is_written_all_the_same(tmp_path):
    write_tensorboard(tmp_path, [], {"scratch/joint/uniform/accuracy": 0.5, "missing": None})
    events = EventAccumulator(str(tmp_path / FOLDER))
    events.Reload()
    assert events.Tags()["scalars"] == ["scratch/joint/uniform/accuracy"]
