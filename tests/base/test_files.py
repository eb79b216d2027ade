"""Reading only what is a regular file, and messages that a terminal shows as they are."""

import os
from pathlib import Path

import pytest

from ambidex.base.errors import one_line
from ambidex.base.files import open_regular


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as stream:
            assert stream.read() == b"abc"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "there")
    with pytest.raises(OSError, match="not a regular file") as caught:
        open_regular(tmp_path / "there")
    assert caught.value.strerror.endswith("not a regular file")


def test_a_device_is_refused():
    with pytest.raises(OSError, match="is a device, not a regular file"):
        open_regular(Path("/dev/zero"))


def test_a_message_is_one_line_without_control_characters():
    assert one_line("a\nb\x1b[2J\u202ec") == "a\\nb\\x1b[2J\\u202ec"
    assert one_line("Größe 5 µm") == "Größe 5 µm"


def test_a_long_message_keeps_both_its_ends():
    assert one_line("start " + "x" * 100 + " end", limit=15) == "start xx... end"
    assert len(one_line("x" * 1000)) == 300
