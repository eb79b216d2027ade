"""The pictures of every codec are those that a decode of the whole file gives, at their times, the right way up."""

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest

from ambidex.data.media.container import MediaError
from ambidex.data.media.decode import decode
from ambidex.data.media.orientation import exif_orientation
from ambidex.data.media.requests import Pictures
from helpers.clips import level, write_film
from helpers.heif import write_avif, write_tiles
from helpers.media import write_clip, write_image

COUNTS = (1, 3, 7, 25, 60)
UNEVEN = [0, 3, 5, 20, 21, 40, 44, 60, 61, 62, 80, 95, 99, 120, 140, 141, 142, 150, 170, 199]
QUIET = {"x265-params": "log-level=error:bframes=3"}
AV1 = {"crf": "20", "preset": "12"}
CODECS = {
    "h264, B": ("mp4", "libx264", {"bf": "3"}),
    "h264, open": ("mkv", "libx264", {"bf": "3", "x264-params": "open-gop=1:keyint=9"}),
    "h264, avi": ("avi", "libx264", {"bf": "2"}),
    "hevc": ("mkv", "libx265", QUIET),
    "vp8": ("webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "400k"}),
    "vp9": ("webm", "libvpx-vp9", {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "400k"}),
    "av1": ("mp4", "libsvtav1", AV1),
    "mpeg2": ("ts", "mpeg2video", {"bf": "2", "b": "800k"}),
    "mpeg4, avi": ("avi", "mpeg4", {"bf": "2", "b": "800k"}),
    "ffv1": ("mkv", "ffv1", {}),
}


def numbers(found: np.ndarray) -> list[int]:
    """Which picture each of `found` [count, 3, size, size] is."""
    return np.round((found[:, :, 8:, 8:].mean(axis=(1, 2, 3)) - level(0)) / 5).astype(int).tolist()


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_of_every_codec_are_those_of_a_full_decode(tmp_path: Path, codec: str) -> None:
    form, name, options = CODECS[codec]
    clip = write_film(tmp_path / f"a.{form}", (0.0, 1.6), None, codec=name, codec_options=options)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        full = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
    assert len(full) == 40
    wants = [Pictures(count=count, size=16) for count in COUNTS]
    for want, found in zip(wants, decode(clip, wants), strict=True):
        expected = [int((part + 0.5) / want.count * 40) for part in range(want.count)]
        assert numbers(found) == expected, want.count
        # the mean of the decoded picture is that of its small copy
        assert np.abs(found.mean(axis=(1, 2, 3)) - np.array(full)[expected]).max() < 6


def test_the_pictures_of_a_real_av1_film_are_not_one_late(shared_data: Path) -> None:
    clip = shared_data / "broken_inputs" / "testsrc2_av1_10bit.mp4"
    with av.open(str(clip)) as container:
        full = [frame.reformat(64, 64, "rgb24").to_ndarray() for frame in container.decode(video=0)]
    for count in (1, 5, 25):
        (found,) = decode(clip, [Pictures(count=count, size=64)])
        for part, picture in enumerate(found.transpose(0, 2, 3, 1).astype(int)):
            errors = [np.abs(picture - frame).mean() for frame in full]
            assert int(np.argmin(errors)) == int((part + 0.5) / count * len(full))


@pytest.mark.parametrize(
    ("form", "codec", "options"),
    [
        ("mp4", "libx264", {"bf": "2"}),
        ("mkv", "libx264", {}),
        ("webm", "libvpx-vp9", {}),
        ("mp4", "libsvtav1", AV1),
    ],
)
def test_pictures_of_varying_length_are_shown_as_long_as_they_last(
    tmp_path: Path, form: str, codec: str, options: dict[str, str]
) -> None:
    clip = write_film(tmp_path / f"a.{form}", audio=None, codec=codec, codec_options=options, times=UNEVEN)
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    end = max((packet.pts + (packet.duration or 0)) * float(packet.time_base) for packet in packets) * 100
    (found,) = decode(clip, [Pictures(count=9, size=16)])
    centres = [(2 * part + 1) * end / 18 for part in range(9)]
    assert numbers(found) == [int(np.searchsorted(UNEVEN, c, side="right")) - 1 for c in centres]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_a_bare_stream_has_no_times_and_its_order_counts(tmp_path: Path, codec: str) -> None:
    form = {"libx264": "h264", "libx265": "hevc", "mpeg2video": "mpeg2video"}[codec]
    options = QUIET if codec == "libx265" else {"bf": "2", "b": "800k"}
    source = write_film(tmp_path / "a.mkv", (0.0, 1.6), None, codec=codec, codec_options=options)
    bare = tmp_path / f"a.{form}"
    with av.open(str(source)) as container, av.open(str(bare), "w", format=form) as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    (found,) = decode(bare, [Pictures(count=4, size=16)])
    assert numbers(found) == [5, 15, 25, 35]


# ---- which way is up

UP = Pictures(count=1, size=16)
STORED = Pictures(count=1, size=16, orientation="stored")
SCENE = np.zeros((32, 32, 3), np.uint8)
SCENE[:16, :16], SCENE[:16, 16:], SCENE[16:, :16] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
# What EXIF 1 to 8 says of the stored picture, in NumPy's words: how the scene is turned to be stored like that.
STORE = {
    1: lambda s: s,
    2: lambda s: s[:, ::-1],
    3: lambda s: np.rot90(s, 2),
    4: lambda s: s[::-1],
    5: lambda s: s.swapaxes(0, 1),
    6: lambda s: np.rot90(s, 1),
    7: lambda s: np.rot90(s, 2).swapaxes(0, 1),
    8: lambda s: np.rot90(s, -1),
}


def tiff(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def with_exif(path: Path, orientation: int) -> Path:
    data, exif = path.read_bytes(), tiff(orientation, "<" if orientation % 2 else ">")
    if path.suffix == ".jpg":
        body = b"Exif\0\0" + exif
        path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    else:
        chunk = b"eXIf" + exif
        framed = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(data[:33] + framed + data[33:])
    return path


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", STORE)
def test_photographs_are_turned_as_their_exif_says(tmp_path: Path, ending: str, orientation: int) -> None:
    stored = np.ascontiguousarray(STORE[orientation](SCENE))
    path = with_exif(write_image(tmp_path / f"a.{ending}", stored), orientation)
    upright, lying = decode(path, [UP, STORED])
    for found, picture in ((upright, SCENE), (lying, stored)):
        assert np.abs(found[0].transpose(1, 2, 0)[4::8, 4::8] - picture[8::16, 8::16].astype(int)).max() < 25


def test_exif_of_webp_and_tiff_and_exif_that_is_broken() -> None:
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(10) + b"EXIF" + struct.pack("<I", len(tiff(7))) + tiff(7)
    assert exif_orientation(b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp) == 7
    assert exif_orientation(tiff(3)) == exif_orientation(tiff(3, ">")) == 3
    assert exif_orientation(tiff(9)) == exif_orientation(tiff(0)) == exif_orientation(b"") == 1
    whole = tiff(6)
    assert {exif_orientation(whole[:size]) for size in range(4, len(whole) - 6)} == {1}
    assert exif_orientation(b"II*\0\xff\xff\xff\xff") == 1
    assert exif_orientation(b"\xff\xd8\xff\xe1\x00\x00" * 9) == 1
    assert exif_orientation(b"\x89PNG\r\n\x1a\n" + b"\xff" * 50) == 1


TURNS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("turn", TURNS)
def test_a_film_is_turned_as_its_display_matrix_says(tmp_path: Path, turn: tuple[int, int, int, int]) -> None:
    """The file format's own words: a stored point (x, y) is shown at (a x + c y, b x + d y)."""
    clip = write_clip(tmp_path / "a.mp4", pictures=np.stack([SCENE] * 5), audio=False)
    a, b, c, d = turn
    data = bytearray(clip.read_bytes())
    one = 1 << 16
    struct.pack_into(
        ">9i", data, data.index(b"tkhd") + 44, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30
    )
    clip.write_bytes(data)
    upright, lying = decode(clip, [UP, STORED])
    corners = lying[0][:, 4::8, 4::8]
    points = {(x, y): (a * x + c * y, b * x + d * y) for x in (0, 1) for y in (0, 1)}
    left, top = (min(point[k] for point in points.values()) for k in (0, 1))
    for (x, y), (across, down) in points.items():
        shown = upright[0][:, 4::8, 4::8][:, down - top, across - left]
        assert np.abs(shown.astype(int) - corners[:, y, x]).max() < 8


def test_a_film_of_a_phone_is_turned(shared_data: Path) -> None:
    clip = shared_data / "broken_inputs" / "rot90.mp4"
    upright, lying = decode(clip, [UP, STORED])
    assert np.array_equal(upright[0], np.rot90(lying[0], 1, axes=(1, 2)))
    assert not np.array_equal(upright, lying)


# ---- the picture that is meant


def test_a_picture_made_of_tiles_is_not_supported_and_one_without_is_read(tmp_path: Path) -> None:
    tiles = [np.full((64, 64, 3), grey, np.uint8) for grey in (40, 120, 200)]
    with pytest.raises(MediaError, match=r"^not supported: one picture made of 3 tiles"):
        decode(write_tiles(tmp_path / "a.avif", tiles), [UP])
    assert abs(decode(write_avif(tmp_path / "b.avif", tiles[1]), [UP])[0].mean() - 120) < 3


def test_the_default_track_is_taken_and_a_cover_is_none(tmp_path: Path) -> None:
    clip = tmp_path / "a.mkv"
    with av.open(str(clip), "w") as container:
        streams = []
        for grey in (40, 120, 200):
            stream = container.add_stream("ffv1", rate=5)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            stream.disposition = av.stream.Disposition.default if grey == 120 else av.stream.Disposition(0)
            streams.append((stream, np.full((32, 32, 3), grey, np.uint8)))
        for number in range(5):
            for stream, picture in streams:
                frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    assert abs(decode(clip, [UP])[0].mean() - 120) < 3
