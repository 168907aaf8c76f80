"""ELECTRA (Clark et al. 2020): BERT's encoder, trained to find the words that a small generator has replaced."""

from weigh.models import encoders
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import EncoderSizes, classifier, embeddings, encoder, hidden_classifier, saved_transform
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, layer_norm, linear, lm_head
from weigh.models.saved import KEPT_BY_ACTIVATION, SavedActivations


def read(config: Config) -> EncoderSizes:
    """The sizes of ELECTRA small. Word embeddings may be narrower than the model."""
    config.ignore("summary_last_dropout")
    return EncoderSizes.of(config, V=30522, E=128, D=256, F=1024, H=4)


def tensors(s: EncoderSizes, architecture: str) -> Tensors:
    """The tensors of BERT's encoder, with other heads. The discriminator is `ForPreTraining`."""
    body = "" if architecture == "ElectraModel" else "electra."
    yield from embeddings(f"{body}embeddings", s)
    if s.E != s.D:
        yield from linear(f"{body}embeddings_project", s.E, s.D, "projection")
    yield from encoder(f"{body}encoder", s)
    if architecture == "ElectraForPreTraining":
        yield from classifier("discriminator_predictions.dense", s.D, s.D)
        yield from classifier("discriminator_predictions.dense_prediction", s.D, 1)
    if architecture == "ElectraForMaskedLM":
        words = f"{body}embeddings.word_embeddings.weight"
        yield from layer_norm("generator_predictions.LayerNorm", s.E)
        yield from linear("generator_predictions.dense", s.D, s.E, "projection")
        yield from lm_head("generator_lm_head", s.V, s.E, tied_to=words if s.tied else "", bias=True)
    if architecture == "ElectraForSequenceClassification":
        yield from hidden_classifier("classifier", s.D, s.labels)


def saves(s: EncoderSizes, architecture: str) -> SavedActivations:
    """The saved tensors of BERT, with embeddings of their own width. The head has a GELU, whatever the layers have."""
    guesses = architecture == "ElectraForMaskedLM"
    return encoders.saves(s, saved_transform(s.E, KEPT_BY_ACTIVATION["gelu"]) if guesses else [])


FAMILY = Family(
    model_type="electra",
    architectures=("ElectraModel", "ElectraForPreTraining", "ElectraForMaskedLM", "ElectraForSequenceClassification"),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=learned,
    saves=saves,
)
