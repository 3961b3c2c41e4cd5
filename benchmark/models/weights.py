"""Weights that a network starts from: fresh, published by torchvision, or from a file."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Collection, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmark.options import UserError, suggest

if TYPE_CHECKING:  # all models check their options here, and some do without torchvision
    from torchvision.models import WeightsEnum

SUFFIXES = (".pth", ".pt", ".safetensors")
RENAMED = {"imagenet": "backbone"}
"""Words of earlier experiment files and what they are called now."""

WRAPPINGS = ("average", "model", "state_dict")
"""Keys under which training programs keep a network's weights beside other things.

They may stand in each other. Checkpoints of our runs have the moving average, where there is one,
beside the model; it comes first, as it is what was measured."""

CLASSIFIER_PREFIX = "features."
"""Of a classifier's convolutions, where torchvision's dense networks take those alone."""

SHOWN = 3
"""Names of parameters that an error lists."""

State = dict[str, Tensor]


def check_weights(choice: str, allowed: Collection[str] = ("none", "backbone", "full")) -> None:
    """Check the option ``weights`` of a model.

    Args:
        choice: one of ``allowed``, or the path of an existing file with one of :data:`SUFFIXES`.

    Raises:
        ValueError: it is neither.
    """
    if choice in allowed:
        return
    if choice in RENAMED:
        raise ValueError(f"weights: '{choice}' is now called '{RENAMED[choice]}'")
    if not choice.endswith(SUFFIXES):
        raise ValueError(
            f"weights must be {', '.join(allowed)} or a file ({', '.join(SUFFIXES)}), "
            f"got '{choice}'{suggest(choice, allowed)}"
        )
    if not Path(choice).is_file():
        raise ValueError(f"weights: there is no file {choice}")


def load_weights(
    network: nn.Module,
    choice: str,
    *,
    backbone: tuple[WeightsEnum | None, nn.Module] | None = None,
    full: WeightsEnum | None = None,
    class_layers: tuple[str, ...] = (),
    unused: tuple[str, ...] = (),
) -> None:
    """Give a fresh network the weights that the option ``weights`` asks for.

    Args:
        choice: ``none`` changes nothing; ``backbone`` and ``full`` are torchvision's published
            weights, downloaded once; anything else is a file of the network's or of its
            backbone's weights. Files are read without running code that they may hold.
        backbone: published weights of a classifier, None where there are none, and the module
            that its layers go to. What the module does not have (the classifier's last layers) is
            left out.
        full: published weights of the whole network.
        class_layers: starts of the names of parameters whose shape follows the number of
            classes; they stay fresh where the shape differs.
        unused: starts of the names of published parameters that the network may lack.

    Raises:
        UserError: the weights cannot be had, or are not of this network.
    """
    if choice == "none":
        return
    if choice == "backbone":
        assert backbone is not None
        published, module = backbone
        assert published is not None
        _load_backbone(module, _published(published), published.url)
    elif choice == "full":
        assert full is not None
        _load_whole(network, _published(full), full.url, class_layers, unused)
    else:
        parts = [network] if backbone is None else [network, backbone[1]]
        state = _unwrapped(read_weights(Path(choice)), parts)
        if backbone is not None and not state.keys() & network.state_dict().keys():
            _check_related(state, network, backbone[1], choice)
            _load_backbone(backbone[1], state, choice)
        else:
            _load_whole(network, state, choice, class_layers, unused)


def read_weights(path: Path) -> State:
    """Parameters by name, on the CPU.

    A ``.pth`` or ``.pt`` file may keep them under a key of :data:`WRAPPINGS`, as the checkpoints
    of our runs do.

    Raises:
        UserError: the file cannot be read, holds objects that could run code, or no weights.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"weights {path}: only files that hold nothing but tensors and plain values are "
            f"loaded{_held(error)}; save the network's state_dict() alone"
        ) from None
    except LookupError:  # what is no pickle at all may be read as orders to look things up
        raise UserError(f"weights {path}: cannot be read: torch did not write it") from None
    except (OSError, RuntimeError, EOFError, ValueError, BadZipFile, SafetensorError) as error:
        raise UserError(f"weights {path}: cannot be read: {_first_line(error)}") from None
    for key in WRAPPINGS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not _is_state(content):
        raise UserError(f"weights {path}: must hold parameters by name, as state_dict() gives them")
    return dict(content)


def _held(error: pickle.UnpicklingError) -> str:
    """The class that torch did not load; the rest of its message advises to load it unchecked."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f" (it holds {found[1]})" if found else ""


def _is_state(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def _published(weights: WeightsEnum) -> State:
    """From torch's folder of downloads, or from the network into it."""
    try:
        # The hash is checked when downloading only; a file that lies there may hold anything.
        return weights.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError, EOFError, HTTPException, pickle.UnpicklingError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"weights: {weights.url} can be neither loaded nor downloaded "
            f"({_first_line(error)}); put the file {Path(weights.url).name} into {folder}, or give "
            "`weights` the path of a file"
        ) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return f"it is no file of tensors alone{_held(error)}"
    return str(error).partition("\n")[0] or type(error).__name__


def _unwrapped(state: State, parts: list[nn.Module]) -> State:
    """Without the names of modules around any of the parts, as in ``network.head.weight``."""
    inside = {name for part in parts for name, _ in part.named_children()}
    while True:
        outer = {name.partition(".")[0] for name in state}
        if len(outer) != 1 or outer & inside or not all("." in name for name in state):
            return state
        state = {name.partition(".")[2]: value for name, value in state.items()}


def _check_related(state: State, network: nn.Module, backbone: nn.Module, source: str) -> None:
    """That weights are of the backbone, where none of them is of the network as a whole."""
    names = {name.removeprefix(CLASSIFIER_PREFIX) for name in state} | state.keys()
    if names & backbone.state_dict().keys():
        return
    raise UserError(
        f"weights {source} are neither of this network ({_some(list(network.state_dict()))}) nor "
        f"of its backbone ({_some(list(backbone.state_dict()))}); they are {_some(list(state))}"
    )


def _load_backbone(module: nn.Module, state: State, source: str) -> None:
    wanted = module.state_dict().keys()
    if not wanted & state.keys():
        state = {name.removeprefix(CLASSIFIER_PREFIX): value for name, value in state.items()}
    _load(module, {name: value for name, value in state.items() if name in wanted}, source)


def _load_whole(
    network: nn.Module,
    state: State,
    source: str,
    class_layers: tuple[str, ...],
    unused: tuple[str, ...],
) -> None:
    own = network.state_dict()
    state = {n: value for n, value in state.items() if n in own or not n.startswith(unused)}
    for name in own:
        if name.startswith(class_layers) and name in state and state[name].shape != own[name].shape:
            state[name] = own[name]
    _load(network, state, source)


def _load(module: nn.Module, state: State, source: str) -> None:
    """Copy all parameters; names the first that are missing, left over or of another shape.

    Names are compared by loading, into a copy, since torchvision's published detectors are older
    than some of its names: modules rename what they find under a former one.
    """
    trial = copy.deepcopy(module)
    own = module.state_dict()
    reshaped = [n for n in own if n in state and state[n].shape != own[n].shape]
    faults = {
        "has in another shape": [
            f"{n} {list(state[n].shape)} instead of {list(own[n].shape)}" for n in reshaped
        ]
    }
    fitting = {name: value for name, value in state.items() if name not in reshaped}
    try:
        outcome = trial.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # a shape, under a former name
        raise UserError(
            f"weights {source} are not of this network: {str(error).splitlines()[-1].strip()}"
        ) from None
    # Older files, and networks with frozen norms, do not count batches; nothing depends on it.
    counted = [n for n in own if not n.endswith("num_batches_tracked")]
    missing = [n for n in outcome.missing_keys if n in counted and n not in reshaped]
    besides = [n for n in outcome.unexpected_keys if not n.endswith("num_batches_tracked")]
    faults = {"lacks": missing, "has besides": besides, **faults}
    found = [f"it {word} {_some(names)}" for word, names in faults.items() if names]
    if found:
        raise UserError(f"weights {source} are not of this network: {'; '.join(found)}")
    module.load_state_dict(trial.state_dict())


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
