"""What the keys of a checkpoint say: which part of it is below them, where its form alone does not tell.

Training loops choose the keys, and few are fixed. What is said here counts only for a part that has weights beside it,
but for optimizer, scheduler and random states, which are none wherever they are.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

STATE_DICTS = (
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "module",
    "weights",
    "params",
)
"""The keys below which training loops keep a model's state dict, as Lightning, nanoGPT and timm do."""

AVERAGE = re.compile(r"(^|_)(emas?|swa|shadow|averag\w*|avg|polyak)_?\d*(_|$)|^current_model_state$")
"""Keys of a moving average of the weights: `ema`, `model_ema`, `shadow_params`, `averaged_model`, `swa_state_dict`.

And the key below which Lightning keeps the weights themselves, where the average is in `state_dict`.
"""

COUNTER = "n_averaged"
"""What `torch.optim.swa_utils.AveragedModel` counts its averages in, beside the model below `module`."""

_RNG = re.compile(r"(^|_)rngs?(_|$)|random_state|(manual|random)_seed")
_LOOP = re.compile(
    r"callbacks|loops|(datamodule_)?(hyper_parameters|hparams)|args|cfg|config|settings|opt|options|"
    r"(grad_|amp_)?scaler|native_amp_scaling_state|amp|(\w+_)?sampler|(train_|val_)?(data)?loader|(\w+_)?metrics|"
    r"meters|history|logs?|results|lr_?sched\w*|(\w+_)?(grads?|gradients?)|(\w+_)?(replay|rollout)(s|_buffers?)?"
)
GRADIENT = ".grad"
"""What follows the name of a weight in that of its gradient."""

_MOST_WRAPPERS = 4  # parts of a name that come between the average's own and the model's


def of_key(key: Any, is_tensor: bool) -> str:
    """What a key says, where it is text: see `by_name`."""
    return by_name(key, is_tensor) if isinstance(key, str) else ""


def by_name(key: str, is_tensor: bool) -> str:
    """What a key says of what is below it: `optimizer`, `rng` or `metadata`; nothing if it is none of those.

    `optimizer`, `optimizer_state_dict` and `optimizer_states` hold more below them; `rng_state` and the like may be a
    tensor themselves.
    """
    key = key.lower()
    if "optim" in key and not is_tensor:
        return "optimizer"
    if _RNG.search(key):
        return "rng"
    return "metadata" if "scheduler" in key and not is_tensor else ""


def beside(key: Any) -> str:
    """What a key says of a part with tensors that has weights beside it: `ema`, `beside` or nothing."""
    if not isinstance(key, str):
        return ""
    return "ema" if AVERAGE.search(key.lower()) else "beside" if _LOOP.fullmatch(key.lower()) else ""


def counts_averages(names: Iterable[Any]) -> bool:
    """Whether a state dict is that of torch's `AveragedModel`, which counts beside the model below `module`."""
    names = list(names)
    others = [name for name in names if name != COUNTER]
    return len(others) < len(names) and all(isinstance(name, str) and name.startswith("module.") for name in others)


def averages(shapes: Mapping[Any, tuple[int, ...]]) -> tuple[list[str], list[str]]:
    """The tensors of a moving average that lies in the state dict of the model, and what it counts its steps in.

    The first part of a name says `ema` or the like, and what follows is the name and shape of another tensor, with
    dots or, in the `LitEma` of Stable Diffusion, without. `ema_pytorch` keeps its counters, scalars whose names have no
    dot, beside the two models; with the average alone, that is the weights.

    Args:
        shapes: The sizes of the tensors by their names.
    """
    dotted = {name: name.partition(".") for name in shapes if isinstance(name, str) and "." in name}
    mean = {name: rest for name, (first, _, rest) in dotted.items() if AVERAGE.search(first)}
    if not mean:
        return [], []
    scalars = [name for name in shapes if isinstance(name, str) and "." not in name and not shapes[name]]
    loose = len(shapes) - len(dotted) - len(scalars)
    if len(mean) == len(dotted):
        return [], [] if loose else scalars
    others = {name for name in shapes if isinstance(name, str) and name not in mean}
    known = {(name, shapes[name]) for name in others}
    known |= {(dotted[name][2], shapes[name]) for name in others if name in dotted}
    known |= {(name.replace(".", ""), shape) for name, shape in known}
    found = [name for name, rest in mean.items() if not shapes[name] or _is_known(rest, shapes[name], known)]
    if not any(shapes[name] for name in found):
        return [], []
    return found, [] if loose or len({dotted[name][0] for name in others if name in dotted}) > 1 else scalars


def _is_known(rest: str, shape: tuple[int, ...], known: set[tuple[str, tuple[int, ...]]]) -> bool:
    for _ in range(_MOST_WRAPPERS):
        if (rest, shape) in known:
            return True
        _, _, rest = rest.partition(".")
    return False


def gradients(shapes: Mapping[Any, tuple[int, ...]]) -> list[str]:
    """The names of gradients that lie in the state dict: that of another tensor of their shape, and `.grad`."""
    return [
        name
        for name in shapes
        if isinstance(name, str) and name.endswith(GRADIENT) and shapes.get(name.removesuffix(GRADIENT)) == shapes[name]
    ]
