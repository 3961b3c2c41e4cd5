"""Image files that claim too much, are something else, or lie in circles of links."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import images
from datasets.images import index_files, max_pixels, open_picture, read_image, read_mask
from datasets.sample import DatasetError


def claiming(path: Path, width: int, height: int) -> Path:
    """A PNG of 70 bytes that says it is so large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        content = kind + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("size", [(15_000, 15_000), (60_000, 60_000), (2_000_000_000, 1)])
def test_a_picture_that_claims_too_many_pixels(tmp_path, read, size):
    bomb = claiming(tmp_path / "bomb.png", *size)
    with pytest.raises(DatasetError) as caught:
        read(bomb)
    assert str(caught.value) == (
        f"{bomb}: claims more than the 200,000,000 pixels that an image may have; if it is right, "
        "set the environment variable LOSSBENCH_MAX_PIXELS to a higher number"
    )


def test_the_bomb_takes_no_memory(tmp_path):
    """1.3 GB of pixels are refused where a process may have no more than it has and 400 MB."""
    bomb = claiming(tmp_path / "bomb.png", 21_000, 21_000)
    code = (
        "import resource, sys, datasets.images as images\n"
        "from pathlib import Path\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 400_000_000,) * 2)\n"
        "try:\n    images.read_image(Path(sys.argv[1]))\n"
        "except images.DatasetError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, bomb],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != images.PIXELS_VARIABLE},
    )
    assert "claims more than the 200,000,000 pixels" in done.stdout, done.stderr


def test_the_limit_is_the_users(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setenv("LOSSBENCH_MAX_PIXELS", "99")
    with pytest.raises(DatasetError, match="more than the 99 pixels"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("LOSSBENCH_MAX_PIXELS", "100")
    assert read_image(tmp_path / "a.png").shape == (10, 10, 3)
    monkeypatch.setenv("LOSSBENCH_MAX_PIXELS", "400000000")
    bomb = claiming(tmp_path / "bomb.png", 19_000, 19_000)
    with pytest.raises(DatasetError, match="does not decode"):  # let through, and then cut short
        read_image(bomb)


@pytest.mark.parametrize("text", ["x", "0", "-1", "1.5", "1e9", "٣", "9" * 30])
def test_a_limit_that_is_none(monkeypatch, text):
    monkeypatch.setenv("LOSSBENCH_MAX_PIXELS", text)
    with pytest.raises(DatasetError, match=r"LOSSBENCH_MAX_PIXELS: must be a whole number from 1"):
        max_pixels()


def test_no_other_program_is_started(tmp_path, monkeypatch):
    """Pillow would hand this one to Ghostscript, whatever its suffix."""
    called = tmp_path / "called"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {called}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = tmp_path / "a.png"
    file.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(DatasetError, match="not an image in any format that can be read"):
        open_picture(file)
    assert not called.exists()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_formats_by_content_not_by_name(tmp_path, kind):
    picture = Image.fromarray(np.full((6, 8, 3), 77, np.uint8))
    picture.save(tmp_path / "a.jpg", kind)
    assert read_image(tmp_path / "a.jpg").shape == (6, 8, 3)


def test_two_pictures_in_one_jpeg(tmp_path):
    """As some cameras write them: the first counts."""
    first, second = (Image.fromarray(np.full((6, 8, 3), v, np.uint8)) for v in (10, 200))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert int(read_image(tmp_path / "a.jpg").mean()) in range(5, 16)


def test_links_are_followed_once(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").touch()
    data = tmp_path / "data"
    data.mkdir()
    (data / "linked").symlink_to(elsewhere)
    (data / "b.png").symlink_to(elsewhere / "a.png")
    assert list(index_files(data)) == ["b", "linked/a"]


@pytest.mark.parametrize(
    "links", [{"in": "."}, {"deep/in": ".."}, {"x/to_y": "../y", "y/to_x": "../x"}]
)
def test_links_that_go_round_in_circles(tmp_path, links):
    for name, target in links.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(target)
    with pytest.raises(DatasetError, match="is a link to a folder that it lies in; remove"):
        index_files(tmp_path)
