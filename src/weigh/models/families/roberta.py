"""RoBERTa (Liu et al. 2019): BERT, trained better. Its positions count from the padding token's number."""

from dataclasses import dataclass

from weigh.models import encoders
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import EncoderSizes, classifier, encoder, hidden_classifier, saved_transform, scores
from weigh.models.family import Family, Positions
from weigh.models.layers import Tensors, Weight, embedding, layer_norm, linear
from weigh.models.saved import KEPT_BY_ACTIVATION, SavedActivations


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(EncoderSizes):
    """BERT's sizes, and the number of the padding token."""

    padding: int


def read(config: Config) -> Sizes:
    """The sizes of the reference's default."""
    return Sizes.of(config, V=50265, D=768, F=3072, H=12, padding=config.size("pad_token_id", 1, least=0))


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of BERT's encoder, with other heads. Only the bare model has a pooler."""
    body = "" if architecture == "RobertaModel" else "roberta."
    yield from embedding(f"{body}embeddings.word_embeddings", s.V, s.D)
    yield from embedding(f"{body}embeddings.token_type_embeddings", s.S, s.D, "segment table")
    yield from layer_norm(f"{body}embeddings.LayerNorm", s.D)
    yield from embedding(f"{body}embeddings.position_embeddings", s.T, s.D, "position table")
    yield from encoder(f"{body}encoder", s)
    if architecture == "RobertaModel":
        yield from linear("pooler.dense", s.D, s.D, "pooler")
    if architecture == "RobertaForMaskedLM":
        yield Weight("lm_head.bias", (s.V,), "lm head bias")
        yield from linear("lm_head.dense", s.D, s.D, "projection")
        yield from layer_norm("lm_head.layer_norm", s.D)
        yield from scores("lm_head", f"{body}embeddings.word_embeddings.weight", s)
    if architecture == "RobertaForSequenceClassification":
        yield from hidden_classifier("classifier", s.D, s.labels)
    if architecture == "RobertaForTokenClassification":
        yield from classifier("classifier", s.D, s.labels)
    if architecture == "RobertaForQuestionAnswering":
        yield from classifier("qa_outputs", s.D, s.labels)


def positions(s: Sizes) -> Positions:
    """The rows of the table of positions after that of the padding token."""
    return {"context": s.T - s.padding - 1}


def saves(s: Sizes, architecture: str) -> SavedActivations:
    """The saved tensors of BERT. The head has a GELU, whatever the layers have."""
    guesses = architecture == "RobertaForMaskedLM"
    return encoders.saves(s, saved_transform(s.D, KEPT_BY_ACTIVATION["gelu"]) if guesses else [])


FAMILY = Family(
    model_type="roberta",
    architectures=(
        "RobertaModel",
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
        "RobertaForTokenClassification",
        "RobertaForQuestionAnswering",
    ),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=positions,
    saves=saves,
)
