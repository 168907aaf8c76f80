"""The cache of each layer of any decoder, from the fields of its config.

A few rules over the names of fields cover the decoders of transformers. Which rules hold for a type is data,
`derived_caches.txt`: what `python -m handbook.families.caches` found by building tiny models of it, changing their
fields at random, and reading the tensors of the cache after a forward pass. A type that is not there has no answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from weigh.models.caches import Caches, KeyValue, Latent, Layer, State, Vectors
from weigh.models.config import MAX_LAYERS
from weigh.models.recurrent_states import STATES, first
from weigh.models.vector_caches import hashed, hidden, pooled

SLIDING = frozenset({"sliding_attention", "hybrid_sliding"})
RECURRENT = frozenset({"linear_attention", "conv", "hybrid", "hybrid_sliding"})
ONLY_RECURRENT = frozenset({"linear_attention", "conv"})
NOTHING = frozenset({"moe", "mlp", "dummy"})
INDEXED = frozenset({"indexed_attention", "minimax_m3_sparse"})
COMPRESSED = frozenset({"heavily_compressed_attention", "compressed_sparse_attention"})
KINDS = SLIDING | RECURRENT | INDEXED | COMPRESSED | {
    "full_attention", "chunked_attention",
    "reference_sliding_attention",  # looks at a whole prompt, and at a window of what it wrote
}  # fmt: skip
OLD_NAMES = {"mamba": "linear_attention", "attention": "full_attention"}
TEXT = ("text_config", "decoder", "generator", "decoder_config", "thinker_config", "language_config", "vlm_config")
"""Where a config of several models keeps that of the one which writes."""
STAGES = ("semantic_config", "coarse_acoustics_config")
"""Where Bark keeps those of two that write one after another."""


@cache
def rules() -> dict[str, tuple[str, ...]]:
    """The rules that were verified for each model type: that of its attention, where it has any, and of its states."""
    lines = Path(__file__).with_name("derived_caches.txt").read_text("utf-8").splitlines()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return {name: tuple(rule.split("+")) for name, rule, *_ in rows}


def caches(config: Any, model_type: str) -> Caches | None:
    """The cache of each layer of a decoder; `None` if no rule is known to hold for its type.

    Args:
        config: The config with its fields as the class in transformers computes them, nested configs too.
        model_type: What the config calls itself.

    Returns:
        What each layer keeps, those that keep nothing left out; an empty list for a model that keeps nothing.
    """
    known = rules().get(model_type)
    if known is None:
        return None
    whole = config
    if known == ("part",):
        config = text(config)
        known = rules().get(str(getattr(config, "model_type", "")), ("part",))
    try:
        found = apply(known, config, whole)
        return found if all(map(sound, found)) else None
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return None


def sound(layer: Layer) -> bool:
    """Whether every size of a layer is a whole number that can be one."""
    sizes = [size for name, size in asdict(layer).items() if size is not None and name not in ("dtype", "cross")]
    holds = not isinstance(layer, KeyValue) or layer.key + layer.value != 0
    return all(type(size) is int and 0 <= size < 2**40 for size in sizes) and sizes[0] > 0 and holds


def apply(known: tuple[str, ...], config: Any, whole: Any) -> Caches:
    """The caches by rules that hold for a config, whose fields have to be there.

    Args:
        known: The rule of its attention, if it has any, then those of its states.
        config: That of the decoder.
        whole: The config that it is part of, or the same.
    """
    crossing = encoder_decoder(whole)
    prefix = first(whole, "chroma_length", default=0) if crossing else first(whole, "prompt_length", default=0)
    if crossing and known[0] == "if-decoder":
        known = ("attention",)
    if known[0] == "nothing" or (known[0] == "if-decoder" and not getattr(config, "is_decoder", False)):
        return []
    if known[0] in STATES:  # no layer attends, each keeps a state
        return [one for place, _, layer in layers(config) for one in STATES[known[0]](place, "linear_attention", layer)]
    attention, states = ATTENTION[known[0]], [STATES[rule] for rule in known[1:]]
    if states and first(config, "layer_types", "layers_block_type", default=None) is None:
        raise ValueError("nothing says which layers keep a state")
    found: Caches = []
    for place, kind, layer in layers(config):
        if kind in NOTHING:
            continue
        if kind not in KINDS:
            raise ValueError(f"nothing is known of {kind}")
        if kind not in ONLY_RECURRENT:
            found += attention(place, kind, layer)
            for one in found[-1:]:
                if crossing and isinstance(one, KeyValue):
                    found.append(replace(one, window=None, cross=True))
                if prefix and isinstance(one, KeyValue):  # tokens of the model's own that stand before every prompt
                    found.append(State(prefix * one.heads * (one.key + one.value)))
        if kind in RECURRENT:
            if not states:
                raise ValueError(f"no rule for what {kind} keeps was verified")
            for state in states:
                found += state(place, kind, layer)
    return found


def text(config: Any) -> Any:
    """The config of the part that writes, of stages the one that keeps more; `None` if there is none."""
    stages = [stage for name in STAGES if (stage := getattr(config, name, None)) is not None]
    if stages:
        return max(stages, key=lambda stage: stage.num_layers * stage.hidden_size)
    part = next((part for name in TEXT if (part := getattr(config, name, None)) is not None), None)
    inner = None if part is None else text(part)
    return part if inner is None else inner


def encoder_decoder(config: Any) -> bool:
    """Whether layers also attend to the tokens of an encoder."""
    return bool(getattr(config, "is_encoder_decoder", False))


def layers(config: Any) -> Iterator[tuple[int, str, Any]]:
    """Each layer: its place, its type as a cache sees it, and the config as it holds for it."""
    count = first(config, "decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers", "num_hidden_layers")
    if count > MAX_LAYERS:
        raise ValueError(f"{count} layers are more than any model has")
    kinds = first(config, "layer_types", "layers_block_type", default=None)
    reused = sharing(config, count)
    for place in range(count):
        layer = of_layer(config, place)
        if reused[place]:
            yield place, "dummy", layer
        elif kinds is not None:
            yield place, OLD_NAMES.get(kinds[place], kinds[place]), layer
        elif getattr(layer, "sliding_window", None) is not None:
            yield place, "sliding_attention", layer
        elif getattr(layer, "attention_chunk_size", None) is not None:
            yield place, "chunked_attention", layer
        else:
            yield place, "full_attention", layer


def of_layer(config: Any, place: int) -> Any:
    """The config as it holds for one layer, where layers have fields of their own."""
    each = getattr(config, "per_layer_config", None)
    return config if each is None or place >= len(each) else each[place]  # it has as many as an encoder has layers


def sharing(config: Any, count: int) -> list[bool]:
    """Which layers read the cache of an earlier one and keep none."""
    modes = getattr(config, "kv_sharing_modes", None)
    if modes is not None:
        return [mode == "reuse" for mode in modes]
    shared = getattr(config, "num_kv_shared_layers", None) or 0
    return [place >= count - shared for place in range(count)]


def window(kind: str, layer: Any) -> int | None:
    """The tokens that a layer looks back to; `None` for all."""
    if kind in SLIDING:
        return int(first(layer, "sliding_window"))
    return int(layer.attention_chunk_size) if kind == "chunked_attention" else None


def keys_and_values(place: int, kind: str, layer: Any) -> Caches:
    """A key and a value for each head."""
    heads = first(
        layer, "decoder_attention_heads", "num_decoder_attention_heads", "decoder_num_attention_heads", default=0
    )
    shared = first(layer, "decoder_num_key_value_heads", default=heads)  # other names are its encoder's
    if not heads:
        heads = first(layer, "num_attention_heads", "num_heads")
        shared = first(layer, "num_key_value_heads", "num_kv_heads", default=heads)
    head = first(layer, "head_dim", "d_kv", "kv_channels", "attention_head_dim", default=0)
    head = head or first(layer, "hidden_size", "d_model") // heads
    if kind in SLIDING:
        shared = first(layer, "swa_num_key_value_heads", default=shared)
        head = first(layer, "swa_head_dim", default=head)
    return [KeyValue(shared, head, first(layer, "v_head_dim", default=head), window(kind, layer))]


def one_head(place: int, kind: str, layer: Any) -> Caches:
    """One key and value for all heads where the config says so, else one for each."""
    heads = 1 if layer.multi_query else layer.num_attention_heads
    head = layer.hidden_size // layer.num_attention_heads
    return [KeyValue(heads, head, head, window(kind, layer))]


def twice_in_windows(place: int, kind: str, layer: Any) -> Caches:
    """A key and a value for each head, of which layers with a window have twice as many."""
    return [
        replace(one, heads=2 * one.heads) if one.window and isinstance(one, KeyValue) else one
        for one in keys_and_values(place, kind, layer)
        if not isinstance(one, State)
    ]


def latent(place: int, kind: str, layer: Any) -> Caches:
    """One compressed vector, and the rotated part of the key where a layer has one."""
    rotates = getattr(layer, "no_rope_layers", None)  # 1 for those that rotate, despite its name
    rope = first(layer, "qk_rope_head_dim") if rotates is None or rotates[place] else 0
    return [Latent(first(layer, "kv_lora_rank"), rope, window(kind, layer))]


def indexed(place: int, kind: str, layer: Any) -> Caches:
    """The same, and the key by which a layer, or the next ones with it, chooses its tokens; of pools its gate, too."""
    types, modes = getattr(layer, "indexer_types", None), getattr(layer, "kv_sharing_modes", None)
    own = kind == "indexed_attention" and (types is None or types[place] == "full")
    pools = getattr(layer, "index_kpool", None)
    key = layer.index_head_dim if pools is None else 2 * layer.index_head_dim + 1
    if modes is not None and modes[place] == "reuse_but_indexer":
        return [Vectors(key)]
    return [replace(one, index=key) if own and isinstance(one, Latent) else one for one in latent(place, kind, layer)]


def widely_indexed(place: int, kind: str, layer: Any) -> Caches:
    """The same with the key in float32, as its rotation has it."""
    found: Caches = []
    for one in indexed(place, kind, layer):
        found.append(replace(one, index=0) if isinstance(one, Latent) else one)
        found += [Vectors(one.index, dtype="float32")] if isinstance(one, Latent) and one.index else []
    return found


def indexed_heads(place: int, kind: str, layer: Any) -> Caches:
    """A key and a value for each head, and the key by which a layer chooses its tokens."""
    key = first(layer, "indexer_head_dim", "index_head_dim", "index_dim")
    return keys_and_values(place, kind, layer) + ([Vectors(key)] if kind in INDEXED else [])


def with_positions(place: int, kind: str, layer: Any) -> Caches:
    """The same, and in the first such layer the three positions of each token for all of them."""
    first_of_them = kind in INDEXED and place == layer.layer_types.index(kind)
    return indexed_heads(place, kind, layer) + ([Vectors(3, dtype="int64")] if first_of_them else [])


def of_images(place: int, kind: str, layer: Any) -> Caches:
    """A key and a value for each head, in some layers of the tokens of images in place of its own."""
    return [
        replace(one, cross=place in layer.cross_attention_layers) if isinstance(one, KeyValue) else one
        for one in keys_and_values(place, kind, layer)
    ]


ATTENTION: dict[str, Callable[[int, str, Any], Caches]] = {
    "attention": keys_and_values,
    "if-decoder": keys_and_values,
    "one-head": one_head,
    "twice-in-windows": twice_in_windows,
    "latent": latent,
    "indexed": indexed,
    "widely-indexed": widely_indexed,
    "indexed-heads": indexed_heads,
    "with-positions": with_positions,
    "of-images": of_images,
    "hidden": hidden,
    "hashed": hashed,
    "pooled": pooled,
}
"""What a layer with attention keeps, by the name of the rule."""
