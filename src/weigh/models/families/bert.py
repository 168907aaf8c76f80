"""BERT (Devlin et al. 2019)."""

from weigh.models import encoders
from weigh.models.caches import no_caches
from weigh.models.config import Config
from weigh.models.encoders import EncoderSizes, classifier, embeddings, encoder, predictions, saved_transform
from weigh.models.family import Family, learned
from weigh.models.layers import Tensors, linear
from weigh.models.saved import SavedActivations


def read(config: Config) -> EncoderSizes:
    """The sizes of BERT base."""
    config.ignore("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers")
    config.ignore("pooler_size_per_head", "pooler_type")  # of Google's multilingual checkpoints, and never used
    return EncoderSizes.of(config, V=30522, D=768, F=3072, H=12)


def tensors(s: EncoderSizes, architecture: str) -> Tensors:
    """The tensors of the encoder, and of the pooler and head that the architecture adds."""
    body = "" if architecture == "BertModel" else "bert."
    yield from embeddings(f"{body}embeddings", s)
    yield from encoder(f"{body}encoder", s)
    if architecture in ("BertModel", "BertForPreTraining", "BertForSequenceClassification"):
        yield from linear(f"{body}pooler.dense", s.D, s.D, "pooler")
    if architecture in ("BertForMaskedLM", "BertForPreTraining"):
        yield from predictions("cls.predictions", f"{body}embeddings.word_embeddings.weight", s)
    if architecture == "BertForPreTraining":
        yield from classifier("cls.seq_relationship", s.D, 2)
    if architecture in ("BertForSequenceClassification", "BertForTokenClassification"):
        yield from classifier("classifier", s.D, s.labels)
    if architecture == "BertForQuestionAnswering":
        yield from classifier("qa_outputs", s.D, s.labels)


def saves(s: EncoderSizes, architecture: str) -> SavedActivations:
    """The saved tensors of the encoder, and of the head for masked words."""
    guesses = architecture in ("BertForMaskedLM", "BertForPreTraining")
    return encoders.saves(s, saved_transform(s.E, s.activation.kept) if guesses else [])


FAMILY = Family(
    model_type="bert",
    architectures=(
        "BertModel",
        "BertForMaskedLM",
        "BertForPreTraining",
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "BertForQuestionAnswering",
    ),
    read=read,
    tensors=tensors,
    caches=no_caches,
    positions=learned,
    saves=saves,
)
