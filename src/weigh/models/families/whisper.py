"""Whisper (Radford et al. 2022): BART's layers over the log-mel spectrogram of 30 seconds of sound."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, convolution, embedding, layer_norm, lm_head
from weigh.models.seq2seq import Seq2SeqSizes, caches, layers, positions, saved_layer, sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(Seq2SeqSizes):
    """An encoder-decoder's sizes, and the bins of the spectrogram."""

    mels: int


def read(config: Config) -> Sizes:
    """The sizes of Whisper tiny."""
    config.ignore("median_filter_width", "classifier_proj_size", "use_weighted_layer_sum")  # the last two of a head
    config.ignore("apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks")
    config.ignore("mask_feature_prob", "mask_feature_length", "mask_feature_min_masks")
    D = config.size("d_model", 384)
    encoder, decoder = sides(config, D, L=4, F=1536, H=6)
    return Sizes(
        V=config.size("vocab_size", 51865), D=D, T=config.size("max_target_positions", 448),
        S=config.size("max_source_positions", 1500), mels=config.size("num_mel_bins", 80),
        encoder=encoder, decoder=decoder, tied=config.flag("tie_word_embeddings", True),
        activation=saved.activation(config, "gelu", "activation_function"),
        dropout=config.rate("dropout", 0), score_dropout=config.rate("attention_dropout", 0),
        inner_dropout=config.rate("activation_dropout", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of BART, with two convolutions for word embeddings, the second of which halves the length."""
    body = "" if architecture == "WhisperModel" else "model."
    yield from convolution(f"{body}encoder.conv1", s.mels, s.D, 3)
    yield from convolution(f"{body}encoder.conv2", s.D, s.D, 3)
    yield from embedding(f"{body}encoder.embed_positions", s.S, s.D, "position table")
    yield from layers(f"{body}encoder", s.encoder, s.D, cross=False, key_bias=False)
    yield from layer_norm(f"{body}encoder.layer_norm", s.D)
    yield from embedding(f"{body}decoder.embed_tokens", s.V, s.D)
    yield from embedding(f"{body}decoder.embed_positions", s.T, s.D, "position table")
    yield from layers(f"{body}decoder", s.decoder, s.D, cross=True, key_bias=False)
    yield from layer_norm(f"{body}decoder.layer_norm", s.D)
    if architecture == "WhisperForConditionalGeneration":
        yield from lm_head("proj_out", s.V, s.D, tied_to=f"{body}decoder.embed_tokens.weight" if s.tied else "")


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of BART, with norms before each sublayer.

    The encoder reads as many frames whatever the text.
    """
    D, H, S = s.D, s.decoder.H, s.S
    listens = saved.reading(S, saved_layer(s, s.encoder, saved.heads_first(s.encoder.H, D // s.encoder.H)))
    across = [
        *saved.one("queries and what the heads found", "b · 2 · D", D=D),
        *saved.one("statistics of the scores", "4 · H", "fused", H=H),
        *saved.one("keys and values of the frames", "b · 2 · D", T=S, D=D),
        *saved.scores(H, s.score_dropout, softmax_32=False, S=S),
    ]
    writes = saved_layer(s, s.decoder, 2 * saved.heads_first(H, D // H), across=across)

    # The input and both results of each of two convolutions, the first of which has twice the frames.
    convolved = saved.one("convolutions", "b · (2 · M + 5 · D)", M=s.mels, D=D)
    ends = [*saved.norm(saved.LAYER, D), *saved.dropped(s.dropout, D)]
    return saved.SavedActivations(
        [listens] * s.encoder.L + [writes] * s.decoder.L,
        [*saved.reading(S, [*convolved, *ends]), *ends],
        loss_32=False,
    )


FAMILY = Family(
    model_type="whisper",
    architectures=("WhisperForConditionalGeneration", "WhisperModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    positions=positions,
    saves=saves,
)
