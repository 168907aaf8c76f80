"""DistilBERT (Sanh et al. 2019): half of BERT's layers, and neither segments nor a pooler."""

from weigh.models import saved
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import EncoderSizes, classifier, saved_layer, saved_transform
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, embedding, labels, layer_norm, linear, lm_head, stack


def read(config: Config) -> EncoderSizes:
    """The sizes of DistilBERT base. Positions that are sinusoids are kept as weights too."""
    config.ignore("sinusoidal_pos_embds", "tie_weights_", "qa_dropout", "seq_classif_dropout")
    D, H = config.size("dim", 768), config.size("n_heads", 12)
    config.split("dim", "n_heads", D, H)
    return EncoderSizes(
        V=config.size("vocab_size", 30522), T=config.size("max_position_embeddings", 512), S=0, E=D,
        D=D, F=config.size("hidden_dim", 3072), L=config.layers("n_layers", 6), H=H,
        labels=labels(config), tied=config.flag("tie_word_embeddings", True),
        activation=saved.activation(config, "gelu", "activation"), dropout=config.rate("dropout", 0.1),
        score_dropout=config.rate("attention_dropout", 0.1),
    )  # fmt: skip


def tensors(s: EncoderSizes, architecture: str) -> Tensors:
    """The tensors of BERT's layers, under names of their own."""

    def layer(name: str, i: int) -> Tensors:
        for projection, what in (("q_lin", "query"), ("k_lin", "key"), ("v_lin", "value"), ("out_lin", "output")):
            yield from linear(f"{name}.attention.{projection}", s.D, s.D, f"attention {what}")
        yield from layer_norm(f"{name}.sa_layer_norm", s.D)
        yield from linear(f"{name}.ffn.lin1", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.ffn.lin2", s.F, s.D, "feed-forward down")
        yield from layer_norm(f"{name}.output_layer_norm", s.D)

    body = "" if architecture == "DistilBertModel" else "distilbert."
    yield from embedding(f"{body}embeddings.word_embeddings", s.V, s.D)
    yield from embedding(f"{body}embeddings.position_embeddings", s.T, s.D, "position table")
    yield from layer_norm(f"{body}embeddings.LayerNorm", s.D)
    yield from stack(f"{body}transformer.layer", s.L, layer)
    if architecture == "DistilBertForMaskedLM":
        words = f"{body}embeddings.word_embeddings.weight"
        yield from linear("vocab_transform", s.D, s.D, "projection")
        yield from layer_norm("vocab_layer_norm", s.D)
        yield from lm_head("vocab_projector", s.V, s.D, tied_to=words if s.tied else "", bias=True)
    if architecture == "DistilBertForSequenceClassification":
        yield from classifier("pre_classifier", s.D, s.D)
        yield from classifier("classifier", s.D, s.labels)


def saves(s: EncoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of BERT, without a dropout after the attention."""
    layer = saved_layer(s, saved.dropped(s.dropout, s.D))
    outside = [*saved.norm(saved.LAYER, s.D), *saved.dropped(s.dropout, s.D)]
    transform = saved_transform(s.D, s.activation.kept) if architecture == "DistilBertForMaskedLM" else []
    return saved.SavedActivations([layer] * s.L, [*outside, *transform], loss_32=False)


FAMILY = Family(
    model_type="distilbert",
    architectures=("DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=learned,
    saves=saves,
)
