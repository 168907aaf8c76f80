"""Random changes of a config: of one field, and of many that belong together, so that most can be built."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

from handbook.families import reference
from handbook.families.hints import ACTIVATIONS, hints
from handbook.families.small import leaves, put
from handbook.families.starts import Fields

_LAYERS = re.compile(r"(layers?|depth|blocks|num_stacks|repeats)$")
_HEADS = re.compile(r"heads?$|n_head|heads_")
_WIDTH = re.compile(r"(size|dim|inner|width|channels|d_model|_ff|n_embd|rank|features)$|^(dim|d_\w+|width|\w+_dim)$")
_WORDS_AT_ALL = re.compile(r"act|activation|hidden_act|nonlinearity")
_TEXT = ("llama", "qwen2", "mistral", "qwen3", "gemma", "opt", "phi3", "gpt2")
_VISION = ("clip_vision_model", "siglip_vision_model", "dinov2", "vit")
_SIZES = (1, 2, 3, 4, 5, 8, 16, 24, 32, 48, 64, 96, 128)


def change(random_: random.Random, model_type: str, small: Fields, full: Fields) -> Fields:
    """A config that differs from a small one in one field or in many.

    Args:
        random_: Decides.
        model_type: The type.
        small: The config to begin with.
        full: All its fields, as resolved.
    """
    config = copy.deepcopy(small)
    shown = random_.choice((0.0, 0.2, 0.6, 1.0))
    everything = leaves(full)
    for path, value in everything:
        if value is not None and random_.random() < shown:
            _put(config, path, copy.deepcopy(value), full)
    chosen = {1: 0.0, 2: 0.15, 3: 0.35, 4: 0.6}[random_.randint(1, 4)]
    if chosen == 0.0:
        path, value = random_.choice(everything)
        _put(config, path, changed(random_, model_type, path, value, full), full)
    else:
        _joint(random_, model_type, everything, chosen, config, full)
    if random_.random() < 0.25:
        _swap(random_, config, full)
    if random_.random() < 0.3:
        _rare(random_, model_type, config, full)
    if random_.random() < 0.3:
        count = random_.randint(1, 7)
        config |= random_.choice(({"id2label": {str(i): f"L{i}" for i in range(count)}}, {"num_labels": count}))
    if random_.random() < 0.2:
        for name in random_.sample(sorted(config), k=min(len(config), 2)):
            if name != "model_type" and config[name] is not None and not isinstance(config[name], dict):
                config[name] = None
    return config


def _joint(
    random_: random.Random,
    model_type: str,
    everything: list[tuple[tuple[str, ...], Any]],
    chosen: float,
    config: Fields,
    full: Fields,
) -> None:
    """Change many fields: those of one value together, as they are when one of them is said by another."""
    together: dict[Any, Any] = {}
    factor = random_.choice((0.25, 0.5, 0.5, 1, 2, 1.5))
    for path, value in everything:
        if random_.random() > chosen:
            continue
        name = path[-1]
        if type(value) is int and value > 8 and _WIDTH.search(name) and random_.random() < 0.85:
            scaled = int(value * factor) // 8 * 8 or value
            new = together.setdefault(value, scaled) if random_.random() < 0.9 else scaled
            for other, same in everything:
                if same == value and type(same) is int and _WIDTH.search(other[-1]) and random_.random() < 0.9:
                    _put(config, other, new, full)
            _put(config, path, new, full)
        elif isinstance(value, list) and value and all(type(item) is int for item in value) and random_.random() < 0.6:
            _stages(random_, path, value, everything, factor, config, full)
        else:
            _put(config, path, changed(random_, model_type, path, value, full), full)


def _stages(
    random_: random.Random,
    path: tuple[str, ...],
    value: list[int],
    everything: list[tuple[tuple[str, ...], Any]],
    factor: float,
    config: Fields,
    full: Fields,
) -> None:
    """Change a list of sizes; with a new length, all lists of the old length and the fields that say it."""
    if random_.random() < 0.5 or len(value) < 2:
        kind = random_.choice(("scale", "one"))
        new = list(value)
        if kind == "scale":
            new = [max(1, int(item * factor)) for item in value]
        else:
            at = random_.randrange(len(value))
            new[at] = max(1, random_.choice((value[at] + 1, value[at] * 2, value[at] // 2)))
        _put(config, path, new, full)
        return
    length = max(1, len(value) + random_.choice((-1, 1)))
    for other, same in everything:
        if other[:-1] == path[:-1] and isinstance(same, list) and len(same) == len(value):
            _put(config, other, (same + same[-1:])[:length] if length > len(same) else same[:length], full)
        elif other[:-1] == path[:-1] and type(same) is int and same == len(value):
            _put(config, other, length, full)


def changed(random_: random.Random, model_type: str, path: tuple[str, ...], value: Any, full: Fields) -> Any:
    """Another value of a field.

    Args:
        random_: Decides.
        model_type: The type of the whole config.
        path: The names down to the field.
        value: Its value as resolved.
        full: All fields as resolved.
    """
    name = path[-1]
    if isinstance(value, bool):
        return not value
    if name.endswith(("_id", "_token", "_index")) and type(value) is int:
        return random_.choice((0, 1, 2))
    if type(value) is int:
        if _LAYERS.search(name):
            return random_.randint(1, 5)
        if _HEADS.search(name):
            return random_.choice((1, 2, 4, 8, max(1, value // 2), value * 2))
        if value <= 8:
            return random_.choice((1, 2, 3, 4, 5, 6, 8))
        step = 8 if value % 8 == 0 else 1
        return max(
            1, int(value * random_.choice((0.25, 0.5, 0.75, 1.5, 2))) // step * step + random_.choice((0, 0, 0, step))
        )
    if isinstance(value, float):
        return random_.choice((value * 2, value / 2, 0.0, 1.0, 4.0, 1.5))
    if isinstance(value, str):
        return _word(random_, model_type, name, value, full, path)
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            kinds = sorted(set(value)) + list(hints(model_type).words.get("layer_type", ()))
            return [random_.choice(kinds) for _ in value]
        if all(type(item) is int for item in value):
            return [max(0, item + random_.choice((0, 0, 1, -1, item))) for item in value]
        return random_.choice((value[:-1], value + value[-1:]))
    if value is None:
        return _absent(random_, name, full)
    return copy.deepcopy(value)


def _word(random_: random.Random, model_type: str, name: str, value: str, full: Fields, path: tuple[str, ...]) -> str:
    if name == "model_type":
        return value
    if _WORDS_AT_ALL.search(name):
        return random_.choice(ACTIVATIONS)
    inner = full
    for part in path[:-1]:
        inner = inner[part]
    owner = inner.get("model_type")
    known = hints(owner if owner in reference.types() else model_type).words.get(name, ())
    return random_.choice((*known, value))


def _absent(random_: random.Random, name: str, full: Fields) -> Any:
    """A value for a field that is null or absent by default, after its name."""
    if name.endswith(("_id", "token")):
        return random_.choice((0, 1))
    if "head_dim" in name:
        return random_.choice((16, 32, 64, 128))
    if _HEADS.search(name):
        return random_.choice((1, 2, 4))
    if _LAYERS.search(name):
        return random_.randint(1, 4)
    widths = [value for path, value in leaves(full) if type(value) is int and _WIDTH.search(path[-1])]
    if _WIDTH.search(name) and widths:
        return random_.choice((*widths, 64, 96, 2 * widths[0], 4 * widths[0]))
    return random_.choice((True, False, None, random_.choice(_SIZES)))


def _swap(random_: random.Random, config: Fields, full: Fields) -> None:
    """Put a model of another type in the place of a nested one, as its text or vision tower."""
    for name, nested in full.items():
        if isinstance(nested, dict) and isinstance(nested.get("model_type"), str) and random_.random() < 0.5:
            kinds = (
                _TEXT if "text" in name or "llm" in name or "decoder" in name else _VISION if "vision" in name else ()
            )
            if kinds:
                kind = random_.choice(kinds)
                config[name] = {"model_type": kind, ("n_layer" if kind == "gpt2" else "num_hidden_layers"): 2}
                if random_.random() < 0.5 and kind != "gpt2":
                    config[name] |= {"hidden_size": random_.choice((256, 512)), "num_attention_heads": 8}


def _rare(random_: random.Random, model_type: str, config: Fields, full: Fields) -> None:
    """Use an old name of a field, or a field that the sources look for and the default lacks."""
    known = hints(model_type)
    names = reference.config_class(model_type).attribute_map
    renamed = [(old, new) for old, new in names.items() if new in config]
    if renamed and random_.random() < 0.6:
        old, new = random_.choice(renamed)
        config[old] = config.pop(new)
        return
    extra = [
        name for name in (*known.old, *known.sought) if name not in full and not name.endswith(("_config", "_dict"))
    ]
    if extra:
        name = random_.choice(extra)
        config[name] = _absent(random_, name, full)


def _put(config: Fields, path: tuple[str, ...], value: Any, full: Fields) -> None:
    """Set a field, and name the type of each nested config on the way to it."""
    inner = config
    for name in path[:-1]:
        full = full[name]
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
        if isinstance(full.get("model_type"), str):
            inner.setdefault("model_type", full["model_type"])
    put(config, path, value)
