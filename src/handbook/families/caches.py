"""Which rules of `weigh.models.derived_caches` hold for which model type, found by running tiny models of each.

`python -m handbook.families.caches` writes the table, `… TYPE…` prints what is found for these types.
"""

import copy
import inspect
import logging
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModel
from transformers.models.auto import modeling_auto

import weigh.models.derived_caches as derived
from handbook.families.cache_samples import sample
from weigh.models.caches import Caches, KeyValue, Latent
from weigh.models.recurrent_states import STATES

TABLE = Path(derived.__file__).with_name("derived_caches.txt")
BATCH, TOKENS, WRITTEN = 2, 11, 5
CHANGES, TRIES, SECONDS = 4, 6, 60
HEADS = (
    "CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MULTIMODAL_LM", "TEXT_TO_WAVEFORM",
)  # fmt: skip
PARTS = (
    "language_model", "model.language_model", "text_decoder", "text_model", "model.text_model", "model.decoder",
    "decoder", "thinker", "semantic", "talker",
)  # fmt: skip
"""Where models that want images or sounds keep the one that writes."""
HEADER = """\
# The rules of derived_caches.py and recurrent_states.py that hold for each model type of transformers {version}: of its
# attention, then of its states; `part` for those of a nested config. Verified with tiny models on a CPU, each with
# {changes} random changes of all its sizes and of some switches, against every tensor of the cache after a forward
# pass; where the whole cannot be run without images or sounds, its part was. `nothing` stands for types whose code has
# no word for a cache. Written by `python -m handbook.families.caches`.
"""
CACHE = re.compile(r"past_key_value|cache_params|use_cache|Cache\b")
KEPT_LARGER = {"falcon", "gpt_neo"}
"""The types that keep more than they need, which `weigh.models.families` tells apart."""
Seen = list[tuple[Any, ...]]


def types() -> dict[str, list[str]]:
    """The model types that write, and the kinds of head they have."""
    found: dict[str, list[str]] = {}
    for head in HEADS:
        for name in getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES"):
            if name not in KEPT_LARGER:
                found.setdefault(name, []).append(head)
    return found


def model_class(model_type: str) -> Any:
    """The class whose cache is looked at: the one that reads and writes text, with all its parts."""
    config, heads = CONFIG_MAPPING[model_type], types().get(model_type)
    if heads is None:
        return getattr(transformers, str(modeling_auto.MODEL_MAPPING_NAMES[model_type]))
    if getattr(config, "is_encoder_decoder", False):
        heads = sorted(heads, key="SEQ_TO_SEQ_CAUSAL_LM SPEECH_SEQ_2_SEQ IMAGE_TEXT_TO_TEXT CAUSAL_LM".find)
        heads = [head for head in heads if head != "CAUSAL_LM"] or heads
    elif "text_config" in config.sub_configs:
        heads = [head for head in heads if head != "CAUSAL_LM"] or heads
    name = getattr(modeling_auto, f"MODEL_FOR_{heads[0]}_MAPPING_NAMES")[model_type]
    return getattr(transformers, name if isinstance(name, str) else name[0])


FROM_CONFIG: Any = AutoModel.from_config


def without_images(auto: Any, config: Any, /, **options: Any) -> Any:
    """A part of a model, or an empty one where its library is not installed: no image is read here."""
    try:
        return FROM_CONFIG.__func__(auto, config, **options)
    except ImportError:
        part: Any = torch.nn.Module()
        part.config = config
        return part


def run(model_type: str, fields: dict[str, Any]) -> tuple[Any, Any]:
    """The config and the cache of a tiny model with random weights that has read some tokens."""
    torch.manual_seed(0)
    config = CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(fields))
    config._attn_implementation = "eager"
    if getattr(config, "is_decoder", None) is False and not config.is_encoder_decoder:
        config.is_decoder = True
    model = model_class(model_type)(config).to(torch.bfloat16).eval()
    said: dict[str, Any] = {"input_ids": torch.full((BATCH, TOKENS), 7), "use_cache": True}
    if config.is_encoder_decoder:
        said["decoder_input_ids"] = torch.full((BATCH, WRITTEN), 7)
    with torch.no_grad():
        try:
            return config, cache_of(model(**said))
        except Exception as problem:
            for cache in _of_a_part(model, config):
                return config, cache
            raise problem


def _of_a_part(model: Any, config: Any) -> Iterator[Any]:
    """The caches of the parts that write, given what they want in place of the reader's images or sounds."""
    widths = {getattr(config.get_text_config(), name, 0) for name in ("hidden_size", "d_model")} - {0}
    states = [torch.zeros(BATCH, TOKENS, width, dtype=torch.bfloat16) for width in widths]
    ids = {"input_ids": torch.full((BATCH, TOKENS), 7)}
    calls = [ids, *({**ids, "encoder_hidden_states": each} for each in states)]
    for name in PARTS:
        part = model
        for step in name.split("."):
            part = getattr(part, step, None)
        if not isinstance(part, torch.nn.Module):
            continue
        for call in [*calls, *({"inputs_embeds": each} for each in states)]:
            try:
                cache = cache_of(part(**call, use_cache=True))
            except Exception:
                continue
            if cache is not None and (not config.is_encoder_decoder or any(one[0] == "cross" for one in seen(cache))):
                yield cache


def cache_of(output: Any) -> Any:
    """What a model gives back as its cache."""
    return next((kept for name in ("past_key_values", "cache_params") if (kept := getattr(output, name, None))), None)


def seen(cache: Any) -> Seen:
    """What a cache holds, in the order of its layers, told as `expected` does."""
    if hasattr(cache, "self_attention_cache"):
        pairs = zip(cache.self_attention_cache.layers, cache.cross_attention_cache.layers, strict=True)
        return [one for own, cross in pairs for one in (*_layer(own, "kv"), *_layer(cross, "cross"))]
    found: Seen = []
    for layer, state in zip_longest(cache.layers, getattr(cache, "linear_cache", ())):
        found += _layer(layer, "kv") + ([_state(state)] if isinstance(state, torch.Tensor) else [])
    return found


def _layer(layer: Any, kind: str) -> Seen:
    found: Seen = []
    known = {"keys", "values", "_sliding_window_tensor", "indexer_keys"}
    keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
    if keys is not None and values is not None and keys.numel():
        window = int(layer.sliding_window) if getattr(layer, "is_sliding", False) else None
        index = getattr(layer, "indexer_keys", None)
        kept = TOKENS if window is None else min(TOKENS, window - 1)
        if keys.shape[2] not in (kept, WRITTEN):
            found.append(("tokens", keys.shape[2]))
        widths = (keys.shape[1], keys.shape[3], values.shape[3])
        found.append((kind, *widths, window, 0 if index is None else index.shape[-1]))
    for name in ("conv_states", "recurrent_states"):
        found += [_state(each) for each in getattr(layer, name, {}).values() if each is not None]
    others = {name for name, each in vars(layer).items() if isinstance(each, torch.Tensor) and each.numel() > 1}
    for name, each in vars(layer).items():
        if isinstance(each, dict) and not name.endswith("_states"):
            others |= {name for part in each.values() if isinstance(part, torch.Tensor)}
    return found + [("other", name) for name in sorted(others - known)]


def _state(state: torch.Tensor) -> tuple[Any, ...]:
    return "state", prod(state.shape[1:]), "float32" if state.dtype == torch.float32 else None


def expected(caches: Caches) -> Seen:
    """What the tensors of these caches are: heads, widths of key and value, window, and the key of an index."""
    found: Seen = []
    for layer in caches:
        if isinstance(layer, KeyValue):
            kind = "cross" if layer.cross else "kv"
            found.append((kind, layer.heads, layer.key, layer.value, layer.window, 0))
        elif isinstance(layer, Latent):
            found.append(("kv", 1, layer.rank, layer.rope, layer.window, layer.index))
        else:
            found.append(("state", layer.numel, layer.dtype))
    return found


def candidates() -> list[tuple[str, ...]]:
    """All combinations of rules."""
    attention = [rule for rule in derived.ATTENTION if rule != "if-decoder"]
    return [(rule, *states) for states in [(), *((state,) for state in STATES)] for rule in attention]


def verify(model_type: str) -> dict[str, str]:
    """The rule that holds for a type and, if that is `part`, for the type of its part; none if none does.

    Raises:
        ValueError: If no rule gives the caches that were seen.
    """
    left, part = candidates(), ""
    for change in range(CHANGES):
        config, found = _changed(model_type, change)
        text = derived.text(config)
        whole, crossing = config, derived.encoder_decoder(config)
        config = whole if text is None else text
        part = str(config.model_type)
        left = [rule for rule in left if _holds(rule, config, crossing, found)]
        if not left:
            raise ValueError(f"no rule gives {found[:3]}")
    rule = "+".join(left[0])
    if getattr(CONFIG_MAPPING[model_type](), "is_decoder", None) is False and not crossing and not _always(model_type):
        rule = "if-decoder"
    return {model_type: rule} if text is None else {model_type: "part", part: rule}


def _changed(model_type: str, change: int) -> tuple[Any, Seen]:
    """A config, and what its model's cache holds. Some changes make no model, so several are tried."""
    for attempt in range(TRIES):
        try:
            config, cache = run(model_type, sample(model_type, f"{change}.{attempt}"))
            found = seen(cache)
        except Exception as problem:
            last = problem
            continue
        if found:
            return config, found
        last = ValueError("nothing is kept")
    raise ValueError(f"no model of it can be run: {type(last).__name__} {last}"[:300])


def _holds(rule: tuple[str, ...], config: Any, crossing: bool, found: Seen) -> bool:
    try:
        return expected(derived.apply(rule, config, crossing)) == found
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return False


def _always(model_type: str) -> bool:
    """Whether a model keeps a cache though its config says that it is no decoder."""
    config = CONFIG_MAPPING[model_type].from_dict(sample(model_type, "0.0"))
    with torch.no_grad():
        output = model_class(model_type)(config).eval()(input_ids=torch.full((1, TOKENS), 7), use_cache=True)
    cache = cache_of(output)
    return cache is not None and bool(seen(cache))


def part_of(model_type: str) -> str:
    """The type of the part that writes in a model whose other parts cannot be made tiny; empty without one."""
    try:
        part = derived.text(CONFIG_MAPPING[model_type]())
    except Exception:
        return ""
    name = str(getattr(part, "model_type", ""))
    return name if name != model_type and name in CONFIG_MAPPING else ""


def without_cache() -> list[str]:
    """The model types whose code does not know the word: they read, and write nothing."""
    found = []
    for model_type, config in CONFIG_MAPPING.items():
        folder = Path(inspect.getfile(config)).parent
        sources = [path.read_text("utf-8") for path in folder.glob("[mg][oe]*_*.py")]  # modeling, generation
        if sources and not any(CACHE.search(source) for source in sources):
            found.append(model_type)
    return found


def main(names: list[str]) -> None:
    """Verify types and print what is found; without names all, and write the table."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, lambda number, frame: signal.default_int_handler(number, frame))
    setattr(AutoModel, "from_config", classmethod(without_images))  # noqa: B010 — mypy knows it for a method
    known: dict[str, set[str]] = {}
    wanted = list(names or types())
    for model_type in wanted:
        signal.alarm(SECONDS)  # some have sizes that no field makes small
        try:
            for name, rule in verify(model_type).items():
                known.setdefault(name, set()).add(rule)
                print(f"{name} {rule}", flush=True)  # noqa: T201
        except (Exception, KeyboardInterrupt) as problem:
            print(f"# {model_type}: {type(problem).__name__} {problem}"[:200].replace("\n", " "), flush=True)  # noqa: T201
            wanted += [part for part in [part_of(model_type)] if part and part not in wanted]
    if not names:
        parts = {name: part_of(name) for name in types() if name not in known and "assistant" not in name}
        known |= {name: {"part"} for name, part in parts.items() if part in known}
        known |= {name: {"nothing"} for name in without_cache() if name not in known}
        rows = [f"{name} {rules.pop()}" for name, rules in sorted(known.items()) if len(rules) == 1]
        header = HEADER.format(version=version("transformers"), changes=CHANGES)
        TABLE.write_text(header + "\n".join(rows) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
