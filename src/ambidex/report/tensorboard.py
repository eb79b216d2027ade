"""The charts and headline numbers of a report for TensorBoard: the pixels that were drawn, not drawn again.

The event file carries no time, no host and no process in its name or inside: the same report gives the same bytes.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.files import write_bytes
from ambidex.report.chart import Drawn

FOLDER = "tensorboard"
EVENTS_FILE = "events.out.tfevents.0.ambidex"
VERSION = "brain.Event:2"
"""the format that TensorBoard reads"""
SHOWN = ("accuracy", "nll", "ece", "decision_imbalance")


def write_tensorboard(folder: Path, drawn: Sequence[Drawn], scalars: Mapping[str, float | None]) -> None:
    """Write `drawn` as images and `scalars` (tag -> value, None left out) into `folder`/tensorboard."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    stream = io.BytesIO()
    writer = RecordWriter(stream)
    for event in _events(drawn, scalars):
        writer.write(event.SerializeToString())
    write_bytes(folder / FOLDER / EVENTS_FILE, stream.getvalue())


def allocator_scalars(details: Mapping[str, Any]) -> dict[str, float | None]:
    """`<metric>/<allocator>` -> value, from the details of a run; None for the refused."""
    return {
        f"{metric}/{name}": numbers.get(metric)
        for metric in SHOWN
        for name, numbers in details["allocators"].items()
    }


def _events(drawn: Sequence[Drawn], scalars: Mapping[str, float | None]) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    yield Event(file_version=VERSION)
    for tag, value in scalars.items():
        if value is not None:
            yield Event(summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))
    for picture in drawn:
        width, height = _size(picture.png)
        image = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=picture.png)
        yield Event(summary=Summary(value=[Summary.Value(tag=f"charts/{picture.name}", image=image)]))


def _size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels: the first two numbers of a PNG's header chunk."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
