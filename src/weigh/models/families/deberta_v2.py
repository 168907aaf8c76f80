"""DeBERTa v2 and v3 (He et al. 2021): BERT with what a word is and where it stands attended to apart."""

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bert import after_attention, encoder_layer, predictions, transform
from weigh.models.families.parts import Family, Positions, Tensors, convolution, labels, layer_norm, linear, no_caches


def alternatives(config: Config, field: str) -> list[str]:
    """A field that is a list of words, or text with a bar between them."""
    value = config.get(field, [])
    if isinstance(value, str):
        return [word.strip() for word in value.lower().split("|")]
    if not isinstance(value, list):
        raise InvalidConfig(f"{config.where}, field {field}", f"must be a list of words, not {value!r:.40}")
    return value


def rows(config: Config, T: int) -> int:
    """The distances in each direction that have an embedding."""
    buckets, distance = (config.size(name, -1, least=-1) for name in ("position_buckets", "max_relative_positions"))
    return next(n for n in (buckets, distance, T) if n > 0)


def tensors(config: Config, architecture: str) -> Tensors:
    """One table of relative positions for all layers, with projections of their own unless those are shared too."""
    V, T, S = (
        config.size("vocab_size", 128100),
        config.size("max_position_embeddings", 512),
        config.size("type_vocab_size", 0, least=0),
    )
    L, D, F = (
        config.size("num_hidden_layers", 24),
        config.size("hidden_size", 1536),
        config.size("intermediate_size", 6144),
    )
    E, P = config.size("embedding_size", D), config.size("pooler_hidden_size", D)
    heads = config.size("num_attention_heads", 24)
    config.refuse("attention_head_size", config.split("hidden_size", "num_attention_heads", D, heads))
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("cls_dropout", "conv_act", "pooler_dropout", "pooler_hidden_act")
    body = "" if architecture == "DebertaV2Model" else "deberta."

    yield f"{body}embeddings.word_embeddings.weight", (V, E)
    if config.flag("position_biased_input", True):
        yield f"{body}embeddings.position_embeddings.weight", (T, E)
    if S:
        yield f"{body}embeddings.token_type_embeddings.weight", (S, E)
    if E != D:
        yield from linear(f"{body}embeddings.embed_proj", E, D, bias=False)
    yield from layer_norm(f"{body}embeddings.LayerNorm", D)

    relative, distances = config.flag("relative_attention", False), rows(config, T)
    shared = config.flag("share_att_key", False)
    kinds = alternatives(config, "pos_att_type")
    for i in range(L):
        layer = f"{body}encoder.layer.{i}"
        for name in ("query_proj", "key_proj", "value_proj"):
            yield from linear(f"{layer}.attention.self.{name}", D, D)
        for kind, name in (("c2p", "pos_key_proj"), ("p2c", "pos_query_proj")):
            if relative and not shared and kind in kinds:
                yield from linear(f"{layer}.attention.self.{name}", D, D)
        yield from after_attention(layer, D, F)

    if relative:
        yield f"{body}encoder.rel_embeddings.weight", (2 * distances, D)
    if "layer_norm" in alternatives(config, "norm_rel_ebd"):
        yield from layer_norm(f"{body}encoder.LayerNorm", D)
    kernel = config.size("conv_kernel_size", 0, least=0)
    channels = config.split("hidden_size", "conv_groups", D, config.size("conv_groups", 1))
    if kernel:
        yield from convolution(f"{body}encoder.conv.conv", channels, D, kernel)
        yield from layer_norm(f"{body}encoder.conv.LayerNorm", D)

    legacy = config.flag("legacy", True)
    if architecture == "DebertaV2ForMaskedLM" and legacy:
        yield from predictions("cls.predictions", f"{body}embeddings.word_embeddings.weight", V, D, E, tied)
    if architecture == "DebertaV2ForMaskedLM" and not legacy:
        yield "lm_predictions.lm_head.bias", (V,)
        yield from linear("lm_predictions.lm_head.dense", D, D)
        yield from layer_norm("lm_predictions.lm_head.LayerNorm", D)
    if architecture == "DebertaV2ForSequenceClassification":
        yield from linear("pooler.dense", P, P)
        yield from linear("classifier", D, labels(config))


def positions(config: Config) -> Positions:
    """Absolute positions are left out of most; relative ones reach any distance."""
    absolute = config.flag("position_biased_input", True)
    return {"context": config.size("max_position_embeddings", 512)} if absolute else {}


def disentangled(config: Config, D: int, H: int, drops: object) -> saved.Part:
    """What relative positions save in each layer: their projections for each sequence, and where in them to look."""
    T = config.size("max_position_embeddings", 512)
    P = 2 * rows(config, T)
    kinds = [kind for kind in ("c2p", "p2c") if kind in alternatives(config, "pos_att_type")]
    projected = saved.piece("projected positions", "b · D", T=P, D=D)
    # The scores of every position, and which are looked up: 64-bit numbers, the same for all sequences and heads.
    looked_up = [*saved.piece("scores of positions", "b · H · P", H=H, P=P), *saved.piece("distances", "8 · T", B=1)]
    # Keys are divided by a scale before they meet the queries, and meet the positions as they are.
    keys = saved.piece("keys", "b · D", D=D) if "p2c" in kinds else []
    dropped = saved.piece("positions", "b · D + D" if drops else "b · D", B=1, T=P, D=D)
    return [*keys, *dropped, *len(kinds) * [*projected, *looked_up]]


def saves(config: Config, architecture: str) -> saved.Saves:
    """BERT's, with a mask of the scores, and with relative positions what `disentangled` says.

    A convolution beside the first layer, which the largest have, is left out.
    """
    L, D, F = (
        config.size("num_hidden_layers", 24),
        config.size("hidden_size", 1536),
        config.size("intermediate_size", 6144),
    )
    E, H = config.size("embedding_size", D), config.size("num_attention_heads", 24)
    rate, drops = config.get("hidden_dropout_prob", 0.1), config.get("attention_probs_dropout_prob", 0.1)
    k = saved.activation(config, "gelu")
    positions = disentangled(config, D, H, rate) if config.flag("relative_attention", False) else []
    mask = saved.piece("attention mask", "T")
    one = encoder_layer(D, H, F, k, drops, saved.dropped(rate, D, 2), mask, positions)
    narrow = saved.piece("narrow embeddings", "b · E", E=E) if E != D else []
    embedded = [*narrow, *saved.norm(saved.LAYER, D), *saved.dropped(rate, D)]
    head = transform(E if config.flag("legacy", True) else D, k) if architecture == "DebertaV2ForMaskedLM" else []
    return saved.Saves([one] * L, [*embedded, *head], loss_32=False, fused=False)


DEBERTA_V2 = Family(
    tensors,
    no_caches,
    ("DebertaV2Model", "DebertaV2ForMaskedLM", "DebertaV2ForSequenceClassification"),
    positions,
    saves=saves,
)
