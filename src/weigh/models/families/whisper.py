"""Whisper (Radford et al. 2022): BART's layers over the log-mel spectrogram of 30 seconds of sound."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.bart import layers, seq2seq_layer
from weigh.models.families.parts import Caches, Family, KeyValue, Positions, Tensors, TiedTo, convolution, layer_norm


def tensors(config: Config, architecture: str) -> Tensors:
    """Two convolutions in place of word embeddings, the second of which halves the length. Keys have no bias."""
    V, D, mels = config.size("vocab_size", 51865), config.size("d_model", 384), config.size("num_mel_bins", 80)
    for side in ("encoder", "decoder"):
        config.split("d_model", f"{side}_attention_heads", D, config.size(f"{side}_attention_heads", 6))
    config.refuse("num_hidden_layers", config.size("encoder_layers", 4))
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("activation_dropout", "decoder_layerdrop", "encoder_layerdrop", "init_std")
    config.ignore("is_encoder_decoder", "median_filter_width", "scale_embedding")
    config.ignore("classifier_proj_size", "use_weighted_layer_sum")  # of a head for classification
    config.ignore("apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks")
    config.ignore("mask_feature_prob", "mask_feature_length", "mask_feature_min_masks")
    body = "" if architecture == "WhisperModel" else "model."
    yield from convolution(f"{body}encoder.conv1", mels, D, 3)
    yield from convolution(f"{body}encoder.conv2", D, D, 3)
    yield f"{body}encoder.embed_positions.weight", (config.size("max_source_positions", 1500), D)
    L, F = config.size("encoder_layers", 4), config.size("encoder_ffn_dim", 1536)
    yield from layers(f"{body}encoder", L, D, F, cross=False, key_bias=False)
    yield from layer_norm(f"{body}encoder.layer_norm", D)
    yield f"{body}decoder.embed_tokens.weight", (V, D)
    yield f"{body}decoder.embed_positions.weight", (config.size("max_target_positions", 448), D)
    L, F = config.size("decoder_layers", 4), config.size("decoder_ffn_dim", 1536)
    yield from layers(f"{body}decoder", L, D, F, cross=True, key_bias=False)
    yield from layer_norm(f"{body}decoder.layer_norm", D)
    if architecture == "WhisperForConditionalGeneration":
        yield "proj_out.weight", TiedTo(f"{body}decoder.embed_tokens.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every head of the decoder, and as many of the encoder's frames."""
    H = config.size("decoder_attention_heads", 6)
    E = config.size("d_model", 384) // H
    return [KeyValue(H, E, E), KeyValue(H, E, E, cross=True)] * config.size("decoder_layers", 4)


def positions(config: Config) -> Positions:
    """The decoder's tokens, and the encoder's frames."""
    return {
        "context": config.size("max_target_positions", 448),
        "encoder_context": config.size("max_source_positions", 1500),
    }


def saves(config: Config, architecture: str) -> saved.Saves:
    """BART's layers, with norms before each part. The encoder reads the same number of frames S, whatever the text."""
    D, S, rate = config.size("d_model", 384), config.size("max_source_positions", 1500), config.get("dropout", 0)

    H, F = config.size("encoder_attention_heads", 6), config.size("encoder_ffn_dim", 1536)
    listens = saved.reading(S, seq2seq_layer(config, D, H, F, rate, saved.heads_first(H, D // H)))

    H, F = config.size("decoder_attention_heads", 6), config.size("decoder_ffn_dim", 1536)
    across = [
        *saved.piece("queries and what the heads found", "b · 2 · D", D=D),
        *saved.piece("statistics of the scores", "4 · H", "fused", H=H),
        *saved.piece("keys and values of the frames", "b · 2 · D", T=S, D=D),
        *saved.scores(H, config.get("attention_dropout", 0), softmax_32=False, S=S),
    ]
    writes = seq2seq_layer(config, D, H, F, rate, 2 * saved.heads_first(H, D // H), across=across)

    # The input and both results of each of two convolutions, the first of which has twice the frames.
    convolved = saved.piece("convolutions", "b · (2 · M + 5 · D)", M=config.size("num_mel_bins", 80), D=D)
    ends = [*saved.norm(saved.LAYER, D), *saved.dropped(rate, D)]
    layers = [listens] * config.size("encoder_layers", 4) + [writes] * config.size("decoder_layers", 4)
    return saved.Saves(layers, [*saved.reading(S, [*convolved, *ends]), *ends], loss_32=False)


WHISPER = Family(tensors, caches, ("WhisperForConditionalGeneration", "WhisperModel"), positions, saves=saves)
