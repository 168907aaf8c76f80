"""What a tiny model with random weights keeps when it has read some tokens."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModel, DynamicCache, PreTrainedModel
from transformers.models.auto import modeling_auto

from handbook.families.cache_tensors import READINGS, Reading, seen

HEADS = (
    "CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MULTIMODAL_LM", "TEXT_TO_WAVEFORM",
)  # fmt: skip
PARTS = (
    "language_model", "model.language_model", "text_decoder", "text_model", "model.text_model", "model.decoder",
    "decoder", "thinker", "semantic", "talker", "speecht5.decoder", "model.encoder.language_model",
    "backbone_model", "model.vlm", "model",
)  # fmt: skip
"""Where models that want images or sounds keep the one that writes."""
KEPT = ("past_key_values", "cache_params", "state", "mems", "past_buckets_states")
"""What outputs call what is to be given back with the next token."""
KEPT_LARGER = {"falcon", "gpt_neo"}
"""The types that keep more than they need, which `weigh.models.families` tells apart."""


def types() -> dict[str, list[str]]:
    """The model types that write, and the kinds of head they have."""
    found: dict[str, list[str]] = {}
    for head in HEADS:
        for name in sorted(getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES").keys() - KEPT_LARGER):
            found.setdefault(name, []).append(head)
    return found


def classes(model_type: str) -> list[Any]:
    """The classes of a type, first the one that reads and writes text with all its parts."""
    config, heads = CONFIG_MAPPING[model_type], types().get(model_type, [])
    if getattr(config, "is_encoder_decoder", False):
        heads = sorted(heads, key="SEQ_TO_SEQ_CAUSAL_LM SPEECH_SEQ_2_SEQ IMAGE_TEXT_TO_TEXT CAUSAL_LM".find)
        heads = [head for head in heads if head != "CAUSAL_LM"] or heads
    elif "text_config" in config.sub_configs:
        heads = [head for head in heads if head != "CAUSAL_LM"] or heads
    names = [getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES")[model_type] for head in heads]
    names += [modeling_auto.MODEL_MAPPING_NAMES[model_type]] if model_type in modeling_auto.MODEL_MAPPING_NAMES else []
    named = [getattr(transformers, name if isinstance(name, str) else name[0], None) for name in names]
    found = [one for one in named if one is not None]
    return list(dict.fromkeys(found)) or _of_config(config)


def _of_config(config: Any) -> list[Any]:
    """The classes for the config of a part, which no auto class names."""
    where = config.__module__.replace(".configuration_", ".modeling_")
    __import__(where)
    found = [one for one in vars(sys.modules[where]).values() if isinstance(one, type)]
    fitting = [one for one in found if issubclass(one, PreTrainedModel) and one.config_class is config]
    return sorted(fitting, key=lambda one: ("Causal" not in one.__name__, "Model" not in one.__name__))


FROM_CONFIG: Any = AutoModel.from_config


def without_images(auto: Any, /, config: Any, **options: Any) -> Any:
    """A part of a model, or an empty one where its library is not installed: no image is read here."""
    try:
        return FROM_CONFIG.__func__(auto, config, **options)
    except ImportError:
        part: Any = torch.nn.Module()
        part.config = config
        return part


def run(
    model_type: str, fields: dict[str, Any], reading: Reading = READINGS[0], *, decoder: bool = True
) -> tuple[Any, Any]:
    """The config and what a tiny model with random weights keeps that has read some tokens.

    Raises:
        Exception: What the last of its classes says, if none can be run.
    """
    last: Exception | None = None
    for model_class in classes(model_type):
        torch.manual_seed(0)
        config = CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(fields))
        config._attn_implementation = "eager"
        if decoder and getattr(config, "is_decoder", None) is False and not config.is_encoder_decoder:
            config.is_decoder = True
        try:
            model = built(model_class, config, reading.dtype)
            return config, _after_reading(model, config, reading)
        except Exception as problem:
            last = problem
    raise last or LookupError(f"no class takes a config of {model_type}")


def built(model_class: Any, config: Any, dtype: str) -> Any:
    """A model in a format, but for the parameters that it keeps in float32 whatever that is."""
    model = model_class(config).to(getattr(torch, dtype)).eval()
    wide = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    for name, parameter in model.named_parameters():
        if any(part in name for part in wide):
            parameter.data = parameter.data.float()
    return model


def _after_reading(model: Any, config: Any, reading: Reading) -> Any:
    before, last = _left_in(model), None
    with torch.no_grad():
        for said in _forms(model, config, reading):
            try:
                kept = _kept(model, said, reading.more)
            except Exception as problem:
                last = problem
                continue
            left = [tensor for name, tensor in _left_in(model).items() if name not in before]
            return [kept, *left] if left else kept
        for kept in _of_a_part(model, config, reading):
            return kept
    assert last is not None
    raise last


def _forms(model: Any, config: Any, reading: Reading) -> Iterator[dict[str, Any]]:
    """What a model may be given to read."""
    known = inspect.signature(model.forward).parameters
    beside = {name: make(config, reading) for name, make in BESIDE.items() if name in known}
    if config.is_encoder_decoder:
        read = {"input_ids": torch.full((reading.batch, reading.tokens), 7)}
        yield from ({**read, "decoder_input_ids": ids} for ids in _ids(config, reading.batch, reading.written))
    else:
        yield from ({"input_ids": ids, **beside} for ids in _ids(config, reading.batch, reading.tokens))


def _ids(config: Any, batch: int, tokens: int) -> Iterator[torch.Tensor]:
    """What a decoder may read: ids, or those of several codebooks as more sequences or beside each other."""
    yield torch.full((batch, tokens), 7)
    part = getattr(config, "decoder", None) or getattr(config, "decoder_config", None) or config
    books = getattr(part, "num_codebooks", None) or getattr(part, "num_channels", None)
    if books:
        yield torch.full((batch * books, tokens), 7)
        yield torch.full((batch, tokens, books), 7)


def _states(config: Any, reading: Reading) -> list[torch.Tensor]:
    """What an encoder may give to a decoder: one of the widths that the config names."""
    widths = {getattr(config.get_text_config(), name, 0) for name in ("hidden_size", "d_model")} - {0}
    return [torch.zeros(reading.batch, reading.tokens, width, dtype=_dtype(reading)) for width in widths]


def _dtype(reading: Reading) -> torch.dtype:
    found: torch.dtype = getattr(torch, reading.dtype)
    return found


BESIDE: dict[str, Callable[[Any, Reading], Any]] = {
    "cross_attention_states": lambda config, reading: _states(config, reading)[0],
    "image_encoder_embeddings": lambda config, reading: torch.zeros(
        reading.batch, 1, 3, config.vision_config.embed_dim, dtype=_dtype(reading)
    ),
    "image_attention_mask": lambda config, reading: torch.ones(reading.batch, reading.tokens, 1, dtype=torch.long),
    "encoder_inputs_embeds": lambda config, reading: torch.zeros(
        reading.batch, reading.tokens * config.downsample_factor, config.audio_config.hidden_size, dtype=_dtype(reading)
    ),
}
"""What models take of images and of sound beside text, by the name of the argument."""


def _kept(model: Any, said: dict[str, Any], more: int) -> Any:
    """What a model keeps after a prompt and some tokens more."""
    output = model(**said, use_cache=True)
    name, kept = _named(output)
    takes = "past_key_values" in inspect.signature(model.forward).parameters
    if kept is None and takes and getattr(model.config, "is_decoder", True):  # it may write in one and not give it back
        name, kept = "past_key_values", DynamicCache(config=model.config)
        model(**said, past_key_values=kept, use_cache=True)
    for _ in range(more if kept is not None else 0):
        kept = _named(model(**_next(said), **{name: kept}, use_cache=True))[1] or kept
    return kept


def _next(said: dict[str, Any]) -> dict[str, Any]:
    """What is given to a model with the next token: that alone, and no images that it has the keys of."""
    if "decoder_input_ids" in said:
        return said | {"decoder_input_ids": said["decoder_input_ids"][:, -1:]}
    return {name: each[:, -1:] for name, each in said.items() if name != "cross_attention_states"}


def _named(output: Any) -> tuple[str, Any]:
    return next(((name, kept) for name in KEPT if (kept := getattr(output, name, None)) is not None), ("", None))


def _left_in(model: Any) -> dict[str, torch.Tensor]:
    """The tensors of numbers that the modules of a model hold and that are neither parameters nor buffers."""
    return {
        f"{place}.{name}": each
        for place, module in model.named_modules() for name, each in vars(module).items()
        if isinstance(each, torch.Tensor) and each.is_floating_point()
    }  # fmt: skip


def _of_a_part(model: Any, config: Any, reading: Reading) -> Iterator[Any]:
    """The caches of the parts that write, given what they want in place of the reader's images or sounds."""
    states = _states(config, reading)
    tokens = reading.written if config.is_encoder_decoder else reading.tokens
    ids = [{name: each} for name in ("input_ids", "input_values") for each in _ids(config, reading.batch, tokens)]
    calls = [*ids, *({**each, "encoder_hidden_states": state} for each in ids for state in states)]
    for name in PARTS:
        part = model
        for step in name.split("."):
            part = getattr(part, step, None)
        if not isinstance(part, torch.nn.Module):
            continue
        for call in [*calls, *({"inputs_embeds": each} for each in states)]:
            try:
                cache = _kept(part, call, 0 if "inputs_embeds" in call else reading.more)
                found = seen(cache, reading)
            except Exception:
                continue
            if found and (not config.is_encoder_decoder or any(one[0] == "cross" for one in found)):
                yield cache
