"""Files that break whoever reads them without care, by kind. Each function writes some and says what to expect."""

import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np

from helpers.media import tone, write_wav

MEBIBYTE = 2**20


def wav_bytes(
    channels: int, rate: int = 8_000, tag: int = 1, bits: int = 16, promised: int | None = None
) -> bytes:
    """A wav file of noise whose header says what it is told to say."""
    data = np.random.default_rng(0).integers(-9_000, 9_000, 4_000, dtype=np.int16).tobytes()
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    size = len(data) if promised is None else promised
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_bytes(width: int, height: int, depth: int = 8, data: bytes = b"", animated: bool = False) -> bytes:
    """A png file with that header; `data` are its rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    control = chunk(b"acTL", struct.pack(">II", 2, 0)) if animated else b""
    return b"\x89PNG\r\n\x1a\n" + header + control + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def tiff_bytes(pages: int, kind: int = 0) -> bytes:
    """A tiff of 2 x 2 grey pixels with that many pages; `kind`: NewSubfileType of those after the first."""
    data, place = b"II*\0" + struct.pack("<I", 12) + bytes((9, 90, 200, 90)), 12
    for page in range(pages):
        tags = {
            254: kind if page else 0,
            256: 2,
            257: 2,
            258: 8,
            259: 1,
            262: 1,
            273: 8,
            277: 1,
            278: 2,
            279: 4,
        }
        after = place + 2 + 12 * len(tags) + 4
        data += struct.pack("<H", len(tags))
        data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        data += struct.pack("<I", after if page + 1 < pages else 0)
        place = after
    return data


def webp_bytes(animated: bool, width: int = 8, height: int = 8) -> bytes:
    """The head of a webp file in the extended form."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes((2 if animated else 0, 0, 0, 0)) + sizes
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def write_not_regular(folder: Path) -> dict[str, str]:
    """What is no file at all: reading it would hang, never end, or make no sense."""
    os.mkfifo(folder / "fifo.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    (folder / "link.wav").symlink_to(folder / "fifo.wav")
    (folder / "folder.wav").mkdir()
    (folder / "loop.wav").symlink_to("loop.wav")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(folder)  # the path of a socket may have 108 characters only
        try:
            server.bind("socket.wav")
        finally:
            os.chdir(before)
    return {
        "fifo.wav": "is a FIFO, not a regular file",
        "zero.wav": "is a device, not a regular file",
        "link.wav": "is a FIFO, not a regular file",
        "folder.wav": "is a folder, not a regular file",
        "loop.wav": "cannot be read (Too many levels of symbolic links)",
        "socket.wav": "is a socket, not a regular file",
    }


def write_pointers(folder: Path) -> dict[str, str]:
    """What stands for content that is elsewhere, or came instead of it."""
    annex = ".git/annex/objects/aa/bb/SHA256E-s9--cc.wav/SHA256E-s9--cc.wav"
    (folder / "annex_link.wav").symlink_to(annex)
    (folder / "dvc_link.wav").symlink_to("/elsewhere/.dvc/cache/files/md5/aa/bb")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "fetched_not.wav.dvc").write_text("outs:\n- md5: aa\n  path: fetched_not.wav\n")
    for name, text in {
        "lfs.wav": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "annex.wav": "/annex/objects/SHA256E-s100--abc.wav\n",
        "dvc.wav": "outs:\n- md5: aa\n  size: 3\n  path: dvc.wav\n",
        "page.wav": "\n<!DOCTYPE html>\n<html>404 not found</html>",
        "error.wav": "\ufeff<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "answer.wav": '{"error": "quota"}',
        "list.wav": "ffconcat version 1.0\nfile other.wav\n",
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nother.ts\n#EXT-X-ENDLIST\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "zeros.wav").write_bytes(bytes(300_000))
    (folder / "packed.wav").write_bytes(b"PK\x03\x04" + bytes(100))
    return {
        "annex_link.wav": "is a git-annex link whose content is not here; run `git annex get`",
        "dvc_link.wav": "is a link into a DVC cache that lacks the content; run `dvc pull`",
        "dangling.wav": "file is missing: a link stands there that leads nowhere",
        "fetched_not.wav": "file is missing, but its DVC pointer fetched_not.wav.dvc is there; run `dvc pull`",
        "lfs.wav": "is a Git LFS pointer, its content is not here; run `git lfs pull`",
        "annex.wav": "is a git-annex pointer, its content is not here; run `git annex get`",
        "dvc.wav": "is a DVC pointer, its content is not here; run `dvc pull`, and name the file itself",
        "page.wav": "is an HTML page, neither media nor numbers (a download that went wrong?)",
        "error.wav": "is an XML text, neither media nor numbers (a download that went wrong?)",
        "answer.wav": "is a JSON text, neither media nor numbers (a download that went wrong?)",
        "list.wav": "is a list of other files, not a media file; name one of those",
        "list.m3u8": "is a list of other files, not a media file; name one of those",
        "zeros.wav": "holds nothing but zeros (a download or copy that was never finished?)",
        "packed.wav": "is a zip archive, not a media file",
    }


def write_bombs(folder: Path, megabytes: int) -> dict[str, str]:
    """What would take more than `megabytes` MiB."""
    with (folder / "sparse.wav").open("wb") as stream:
        stream.truncate(10**12)
    (folder / "wide.png").write_bytes(png_bytes(60_000, 60_000))
    (folder / "endless.png").write_bytes(png_bytes(2**31 - 1, 2**31 - 1))
    (folder / "wide.webp").write_bytes(webp_bytes(False, 16_000, 16_000))
    (folder / "wide.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(20))
    start = b"\xff\xd8\xff\xe0" + struct.pack(">H", 4) + b"\0\0"
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 65_000, 65_000, 1) + b"\x01\x11\x00"
    (folder / "wide.jpg").write_bytes(start + frame + b"\xff\xd9")
    allowed = f"extract.megabytes_per_file allows ({megabytes})"
    sizes = {
        "wide.png": "60000 x 60000",
        "endless.png": "2147483647 x 2147483647",
        "wide.webp": "16000 x 16000",
        "wide.gif": "65535 x 65535",
        "wide.jpg": "65000 x 65000",
    }
    pictures = {
        name: f"its picture of {size} needs more memory than {allowed}" for name, size in sizes.items()
    }
    return {"sparse.wav": f"has 953674 MiB, more than {allowed}", **pictures}


def write_unsupported(folder: Path) -> dict[str, str]:
    """Forms of known formats that the decoder cannot do."""
    for name, data in {
        "film.webp": webp_bytes(animated=True),
        "film16.png": png_bytes(8, 8, depth=16, animated=True),
        "pages.tif": tiff_bytes(2),
        "big.tif": b"II+\0" + bytes(40),
    }.items():
        (folder / name).write_bytes(data)
    return {
        "film.webp": "not supported: an animated WebP; convert it to a video, or to one picture",
        "film16.png": "not supported: an animated PNG of 16 bits; convert it to a video or to 8 bits",
        "pages.tif": "not supported: a TIFF of several pages; keep one page in a file",
        "big.tif": "not supported: a BigTIFF; convert it to a picture of an ordinary kind",
    }


def write_whole(folder: Path) -> list[str]:
    """Three wav files that nothing is wrong with."""
    return [write_wav(folder / f"good{k}.wav", tone(0.2, 8_000, 300 + 100 * k), 8_000).name for k in range(3)]
