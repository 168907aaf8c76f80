"""DeBERTa v2 and v3 (He et al. 2021): BERT with what a word is and where it stands attended to apart."""

from weigh.config import Config
from weigh.errors import InvalidConfig
from weigh.families.bert import after_attention, predictions
from weigh.families.parts import Family, Tensors, convolution, labels, layer_norm, linear, no_caches


def alternatives(config: Config, field: str) -> list[str]:
    """A field that is a list of words, or text with a bar between them."""
    value = config.get(field, [])
    if isinstance(value, str):
        return [word.strip() for word in value.lower().split("|")]
    if not isinstance(value, list):
        raise InvalidConfig(f"{config.where}, field {field}", f"must be a list of words, not {value!r:.40}")
    return value


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

    relative = config.flag("relative_attention", False)
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

    buckets, distance = (config.size(name, -1, least=-1) for name in ("position_buckets", "max_relative_positions"))
    if relative:
        yield f"{body}encoder.rel_embeddings.weight", (2 * next(n for n in (buckets, distance, T) if n > 0), D)
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


DEBERTA_V2 = Family(
    tensors, no_caches, ("DebertaV2Model", "DebertaV2ForMaskedLM", "DebertaV2ForSequenceClassification")
)
