"""The real command line: fetching data sets, and experiments on those that are not there."""

import http.server
import io
import json
import threading
import zipfile
from functools import partial

import numpy as np
import pytest
import yaml
from PIL import Image

EXPERIMENT = {
    "name": "people",
    "repetitions": 1,
    "train": {"epochs": 1, "batch_size": 2, "image_size": 32},
    "matrix": {
        "boxes": {
            "task": "detection",
            "losses": ["giou"],
            "datasets": ["penn_fudan"],
            "models": [{"name": "tiny_fcos", "width": 8}],
        }
    },
}


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def archives(tmp_path):
    """A folder with PennFudanPed.zip, which is not the published one."""
    mask = np.zeros((32, 32), np.uint8)
    mask[4:20, 6:16] = 1
    folder = tmp_path / "archives"
    folder.mkdir()
    with zipfile.ZipFile(folder / "PennFudanPed.zip", "w") as archive:
        for i in range(10):
            name = f"FudanPed{i:05d}"
            image = np.full((32, 32, 3), 20 * i, np.uint8)
            archive.writestr(f"PennFudanPed/PNGImages/{name}.png", png(image))
            archive.writestr(f"PennFudanPed/PedMasks/{name}_mask.png", png(mask))
    return folder


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    for name in ("LOSSBENCH_DATA", "LOSSBENCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mirror(archives):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = partial(Quiet, directory=str(archives))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("no_data")
def test_told_to_download_then_downloaded_then_read(cli, tmp_path, mirror):
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    absent = cli("run", "people.yaml", "--data", "mine")
    assert absent.returncode == 2
    command = f"python3 run.py download penn_fudan --data {tmp_path / 'mine'}"
    assert f"get it with `{command}`" in absent.stderr
    assert "Traceback" not in absent.stderr

    other = cli("download", "penn_fudan", "--from", mirror)
    assert other.returncode == 2
    assert "was published with 53,723,336" in other.stderr

    fetched = cli("download", "penn_fudan", "--from", mirror, "--unverified")
    assert fetched.returncode == 0, fetched.stderr
    folder = tmp_path / "cache" / "lossbench" / "datasets" / "penn_fudan"
    assert f"is now in {folder}" in fetched.stdout
    assert json.loads((folder / "lossbench.json").read_text())["name"] == "penn_fudan"
    again = cli("download", "penn_fudan")
    assert again.returncode == 0
    assert "unpacked from PennFudanPed.zip" in again.stdout
    assert ", not checked)" in again.stdout

    planned = cli("run", "people.yaml", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "penn_fudan" in planned.stdout


@pytest.mark.usefixtures("no_data")
def test_archives_from_a_folder_into_another(cli, tmp_path, archives):
    words = ["--data", "mine", "--from", "archives", "--unverified"]
    assert cli("download", "penn_fudan", *words).returncode == 0
    assert (tmp_path / "mine" / "penn_fudan" / "PennFudanPed" / "PedMasks").is_dir()
    assert (archives / "PennFudanPed.zip").is_file()


@pytest.mark.usefixtures("no_data")
def test_list_and_mistakes(cli):
    listed = cli("download", "--list")
    assert listed.returncode == 0
    for word in ("voc2007", "911.1 MB", "oxford_pet", "CC BY-SA 4.0", "no published checksum"):
        assert word in listed.stdout
    unknown = cli("download", "voc20007")
    assert unknown.returncode == 2
    assert "did you mean 'voc2007'?" in unknown.stderr
    assert cli("download").returncode == 2
    assert cli("download", "bccd", "--list").returncode == 2
    gone = cli("download", "bccd", "--from", "no_such_folder")
    assert gone.returncode == 2
    assert "no such file (it is published at https://github.com" in gone.stderr
    for place in ("foo://x", "https://"):
        refused = cli("download", "bccd", "--from", place)
        assert refused.returncode == 2
        assert f"--from: {place}: is not an address to fetch from" in refused.stderr


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize("words", [("run", "quickstart", "--dry-run"), ("download", "bccd")])
def test_a_file_is_no_data_folder(cli, tmp_path, words):
    (tmp_path / "file").write_text("")
    refused = cli(*words, "--data", "file")
    assert refused.returncode == 2
    assert refused.stderr == "error: --data (or LOSSBENCH_DATA): file is a file; name a folder\n"
