"""Weights from torchvision's publications and from files, safely and with errors that say why."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import Weights, WeightsEnum

from benchmark.models.weights import check_weights, load_weights, read_weights
from benchmark.options import UserError
from benchmark.training.averaging import MovingAverage


class Net(nn.Module):
    """A backbone, a neck and class layers, as the real ones have them."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.neck = nn.Conv2d(4, 5, 1)
        self.logits = nn.Conv2d(5, classes, 1)


class Classifier(nn.Module):
    """What the backbone was cut from: its parts are called ``features.0`` ..."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
        self.classifier = nn.Linear(4, 1000)


class Wrapper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = Net()


def seeded(make, seed: int):
    torch.manual_seed(seed)
    return make()


def differing(a: nn.Module, b: nn.Module) -> set[str]:
    """First words of the names of parameters that are not the same."""
    other = b.state_dict()
    return {
        name.partition(".")[0]
        for name, value in a.state_dict().items()
        if value.shape != other[name].shape or not torch.equal(value, other[name])
    }


@pytest.fixture
def net() -> Net:
    return seeded(Net, 0)


@pytest.fixture
def trained() -> Net:
    trained = seeded(Net, 1)
    trained.backbone[1].running_mean.fill_(3)
    return trained


@pytest.mark.parametrize("choice", ["none", "backbone", "full"])
def test_words_are_accepted(choice):
    check_weights(choice)


def test_files_are_accepted(tmp_path):
    for name in ("a.pth", "b.pt", "c.safetensors"):
        (tmp_path / name).touch()
        check_weights(str(tmp_path / name))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("imagenet", r"^weights: 'imagenet' is now called 'backbone'$"),
        ("bakbone", r"must be none, backbone, full or a file \(.pth, .pt, .safetensors\), got "
         r"'bakbone' \(did you mean 'backbone'\?\)"),
        ("weights.onnx", "got 'weights.onnx'"),
        ("nowhere/a.pth", "there is no file nowhere/a.pth"),
    ],
)  # fmt: skip
def test_other_choices_are_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        check_weights(choice)


def test_a_word_that_the_model_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"must be none, backbone or a file .*, got 'full'"):
        check_weights("full", ("none", "backbone"))


def test_none_changes_nothing(net):
    load_weights(net, "none")
    assert differing(net, seeded(Net, 0)) == set()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_all_weights(net, trained, tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(trained.state_dict(), path)
    load_weights(net, str(path))
    assert differing(net, trained) == set()


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_checkpoint_holds_weights_beside_other_things(net, trained, tmp_path, key):
    """As those of our runs, whose model has the network inside."""
    wrapped = {f"network.{name}": value for name, value in trained.state_dict().items()}
    optimizer = torch.optim.AdamW(trained.parameters()).state_dict()
    content = {key: wrapped, "optimizer": optimizer, "counters": {"epoch": 3}}
    torch.save(content, tmp_path / "checkpoint.pt")
    load_weights(net, str(tmp_path / "checkpoint.pt"))
    assert differing(net, trained) == set()


def test_of_a_checkpoint_with_a_moving_average_that_is_taken(net, trained, tmp_path):
    average = MovingAverage(net, 0.9)
    average.model.load_state_dict(trained.state_dict())
    content = {"model": net.state_dict(), "average": average.state_dict()}
    torch.save(content, tmp_path / "checkpoint.pt")
    load_weights(net, str(tmp_path / "checkpoint.pt"))
    assert differing(net, trained) == set()


def test_several_modules_around_the_network_are_taken_off(net, trained, tmp_path):
    state = {f"module.network.{name}": value for name, value in trained.state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    load_weights(net, str(tmp_path / "a.pth"))
    assert differing(net, trained) == set()


def test_class_layers_of_another_number_of_classes_stay_fresh(net, tmp_path):
    other = seeded(lambda: Net(classes=7), 1)
    torch.save(other.state_dict(), tmp_path / "a.pth")
    load_weights(net, str(tmp_path / "a.pth"), class_layers=("logits.",))
    assert differing(net, other) == {"logits"}
    assert torch.equal(net.logits.weight, seeded(Net, 0).logits.weight)


def test_class_layers_of_the_same_number_are_taken(net, trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    load_weights(net, str(tmp_path / "a.pth"), class_layers=("logits.",))
    assert differing(net, trained) == set()


def test_published_parts_that_the_network_lacks_must_be_declared(net, trained, tmp_path):
    state = {**trained.state_dict(), "aux.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"it has besides aux.weight"):
        load_weights(net, str(tmp_path / "a.pth"))
    load_weights(net, str(tmp_path / "a.pth"), unused=("aux.",))
    assert differing(net, trained) == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("neck.weight"), "it lacks neck.weight$"),
        (lambda s: s.update({"neck.weight": torch.zeros(5, 9, 1, 1)}),
         r"it has in another shape neck.weight \[5, 9, 1, 1\] instead of \[5, 4, 1, 1\]"),
        (lambda s: s.update({"logits.bias": torch.zeros(9)}), r"logits.bias \[9\] instead of"),
    ],
)  # fmt: skip
def test_other_differences_are_errors_that_name_the_file(net, trained, tmp_path, change, message):
    state = trained.state_dict()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=message) as caught:
        load_weights(net, str(tmp_path / "a.pth"), class_layers=("neck_",))
    assert str(tmp_path / "a.pth") in str(caught.value)
    assert differing(net, seeded(Net, 0)) == set()


def test_an_error_names_the_first_parameters_only(net, tmp_path):
    torch.save({"neck.weight": torch.zeros(5, 4, 1, 1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"backbone.1.weight and 6 more"):
        load_weights(net, str(tmp_path / "a.pth"))


def test_a_file_of_the_backbone_goes_there(net, tmp_path):
    classifier = seeded(Classifier, 2)
    for name, state in {
        "whole.pth": classifier.state_dict(),
        "inside.pth": {f"features.{k}": v for k, v in classifier.features.state_dict().items()},
        "own.pth": seeded(Net, 5).backbone.state_dict(),
    }.items():
        torch.save(state, tmp_path / name)
        fresh = seeded(Net, 0)
        load_weights(fresh, str(tmp_path / name), backbone=(None, fresh.backbone))
        assert differing(fresh, net) == {"backbone"}
        expected = {k.removeprefix("features."): v for k, v in state.items()}["0.weight"]
        assert torch.equal(fresh.backbone[0].weight, expected)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_code_in_a_file_is_not_run(net, tmp_path):
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a.pth: only files that hold nothing but t") as caught:
        load_weights(net, str(tmp_path / "a.pth"))
    # Not what torch's own message says: to load it all the same.
    assert "weights_only" not in str(caught.value)
    assert re.search(r"loaded \(it holds \S+\); save the network's", str(caught.value))
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "a.pth", weights_only=False)
    assert (tmp_path / "sprung").exists()  # it would have been


def test_a_file_of_another_network_is_told_from_one_of_the_backbone(net, tmp_path):
    torch.save({"conv.weight": torch.zeros(3), "conv.bias": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(UserError) as caught:
        load_weights(net, str(tmp_path / "a.pth"), backbone=(None, net.backbone))
    assert str(caught.value).endswith(
        "a.pth are neither of this network (backbone.0.weight, backbone.0.bias, backbone.1.weight "
        "and 8 more) nor of its backbone (0.weight, 0.bias, 1.weight and 4 more); they are "
        "weight, bias"
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"no weights at all", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_named(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"weights {path}: "):
        read_weights(path)


@pytest.mark.parametrize("content", [torch.zeros(3), {}, {"a": 3}, {1: torch.zeros(1)}, [1]])
def test_a_file_without_named_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match="must hold parameters by name"):
        read_weights(tmp_path / "a.pth")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of a server of the folder ``tmp_path / "www"``."""
    (tmp_path / "www").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def publish(server: str, folder: Path, network: nn.Module) -> WeightsEnum:
    """Put weights on the server, the start of their hash in the name as torchvision has it."""
    torch.save(network.state_dict(), folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
    (folder / "new.pth").rename(folder / f"net-{digest}.pth")

    class Published(WeightsEnum):
        V1 = Weights(url=f"{server}/net-{digest}.pth", transforms=lambda: None, meta={})

    return Published.V1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it has downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"


def test_published_weights_are_downloaded_once(net, server, home, tmp_path):
    published = publish(server, tmp_path / "www", seeded(Classifier, 3))
    load_weights(net, "backbone", backbone=(published, net.backbone))
    assert torch.equal(net.backbone[0].weight, seeded(Classifier, 3).features[0].weight)
    assert differing(net, seeded(Net, 0)) == {"backbone"}
    for file in (tmp_path / "www").iterdir():
        file.unlink()
    again = seeded(Net, 0)
    load_weights(again, "backbone", backbone=(published, again.backbone))
    assert differing(again, net) == set()


def test_the_whole_network_as_published(net, server, home, tmp_path):
    other = seeded(lambda: Net(classes=91), 3)
    published = publish(server, tmp_path / "www", other)
    load_weights(net, "full", full=published, class_layers=("logits.",))
    assert differing(net, other) == {"logits"}


def test_a_download_with_another_hash_is_refused(net, server, home, tmp_path):
    published = publish(server, tmp_path / "www", seeded(Net, 3))
    torch.save(seeded(Net, 4).state_dict(), tmp_path / "www" / Path(published.url).name)
    with pytest.raises(UserError, match="invalid hash value"):
        load_weights(net, "full", full=published)
    assert differing(net, seeded(Net, 0)) == set()


def test_without_a_network_the_error_says_what_to_do(net, server, home, tmp_path):
    published = publish(server, tmp_path / "www", seeded(Net, 3))
    name = Path(published.url).name
    (tmp_path / "www" / name).rename(tmp_path / name)
    with pytest.raises(UserError, match=f"put the file {name} into {home}, or give `weights`"):
        load_weights(net, "full", full=published)
    home.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).rename(home / name)
    load_weights(net, "full", full=published)
    assert differing(net, seeded(Net, 3)) == set()


def test_code_in_the_folder_of_downloads_is_not_run_either(net, server, home, tmp_path):
    published = publish(server, tmp_path / "www", seeded(Net, 3))
    home.mkdir(parents=True)
    torch.save(Trap(tmp_path / "sprung"), home / Path(published.url).name)
    with pytest.raises(UserError, match="can be neither loaded nor downloaded") as caught:
        load_weights(net, "full", full=published)
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
