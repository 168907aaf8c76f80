"""Small configs of encoders, of encoder-decoders and of models that see or hear, with fields left out at random."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Fields = dict[str, Any]

sizes = st.integers(1, 40)
depths = st.integers(1, 3)
counts = st.sampled_from([1, 2, 3, 4, 6])
LABELS = {
    "num_labels": st.integers(1, 5),
    "id2label": st.integers(1, 5).map(lambda count: {str(i): f"class {i}" for i in range(count)}),
}
TIED = {"tie_word_embeddings": st.booleans()}


def configs(required: Fields, optional: Fields) -> SearchStrategy[Fields]:
    return st.fixed_dictionaries(required, optional=optional)


def divided(width: str, *heads: str) -> SearchStrategy[Fields]:
    """A width that is a multiple of the heads: of each, where there are several."""
    return st.tuples(st.tuples(*[counts for _ in heads]), st.integers(1, 4)).map(
        lambda drawn: {width: 12 * drawn[1], **dict(zip(heads, drawn[0], strict=True))}
    )


def merged(*parts: SearchStrategy[Fields]) -> SearchStrategy[Fields]:
    return st.tuples(*parts).map(lambda drawn: {name: value for part in drawn for name, value in part.items()})


def bert_like(**optional: SearchStrategy[Any]) -> SearchStrategy[Fields]:
    required = {
        "num_hidden_layers": depths, "intermediate_size": sizes, "vocab_size": sizes, "max_position_embeddings": sizes,
        "pad_token_id": st.just(0),
    }  # fmt: skip
    return merged(
        divided("hidden_size", "num_attention_heads"),
        configs(required, {"type_vocab_size": sizes} | LABELS | TIED | optional),
    )


deberta_v2 = bert_like(
    type_vocab_size=st.integers(0, 2), position_biased_input=st.booleans(), relative_attention=st.booleans(),
    share_att_key=st.booleans(), max_relative_positions=st.integers(-1, 9), position_buckets=st.integers(-1, 9),
    pos_att_type=st.sampled_from(["p2c|c2p", "P2C", "c2p |p2c", ["c2p"], ["p2c", "c2p"], []]),
    norm_rel_ebd=st.sampled_from(["none", "layer_norm", "none | layer_norm"]), conv_kernel_size=st.integers(0, 5),
    conv_groups=st.sampled_from([1, 2, 3]), legacy=st.booleans(), embedding_size=sizes, pooler_hidden_size=sizes,
)  # fmt: skip

distilbert = merged(
    divided("dim", "n_heads"),
    configs(
        {"n_layers": depths, "hidden_dim": sizes, "vocab_size": sizes, "max_position_embeddings": sizes},
        {"sinusoidal_pos_embds": st.booleans()} | LABELS | TIED,
    ),
)

t5 = configs(
    {"d_model": sizes, "d_kv": sizes, "d_ff": sizes, "num_layers": depths, "num_heads": counts, "vocab_size": sizes},
    {
        "num_decoder_layers": depths, "relative_attention_num_buckets": sizes,
        "feed_forward_proj": st.sampled_from(["relu", "gated-gelu", "gated-silu"]), "is_gated_act": st.booleans(),
    },
)  # fmt: skip

SIDES = {
    "encoder_layers": depths, "decoder_layers": depths, "encoder_ffn_dim": sizes, "decoder_ffn_dim": sizes,
    "vocab_size": sizes, "pad_token_id": st.just(0),
}  # fmt: skip
bart = merged(
    divided("d_model", "encoder_attention_heads", "decoder_attention_heads"),
    configs(SIDES | {"max_position_embeddings": sizes}, LABELS | TIED),
)
whisper = merged(
    divided("d_model", "encoder_attention_heads", "decoder_attention_heads"),
    configs(SIDES | {"max_source_positions": sizes, "max_target_positions": sizes}, {"num_mel_bins": sizes} | TIED),
)

SQUARE = {"image_size": st.integers(20, 60), "patch_size": st.integers(1, 20)}
PAIR = {name: side | st.lists(side, min_size=2, max_size=2) for name, side in SQUARE.items()}
# Heads need not divide the width: what is left of it over is not attended with.
vit = configs(
    {"hidden_size": st.integers(6, 40), "num_attention_heads": counts, "num_hidden_layers": depths},
    {
        "intermediate_size": sizes, "num_channels": st.integers(1, 4), "qkv_bias": st.booleans(),
        "pooler_output_size": sizes, "head_dim": sizes,
    }
    | PAIR
    | LABELS,
)  # fmt: skip


def clip_side(**required: SearchStrategy[Any]) -> SearchStrategy[Fields]:
    return merged(
        divided("hidden_size", "num_attention_heads"),
        configs({"num_hidden_layers": depths, **required}, {"intermediate_size": sizes, "projection_dim": sizes}),
    )


TEXT = clip_side(vocab_size=sizes, max_position_embeddings=sizes)
VISION = clip_side(**SQUARE)
clip = configs(
    {"text_config": TEXT, "vision_config": VISION},
    {"projection_dim": sizes, "text_config_dict": TEXT, "vision_config_dict": VISION},
)


def stages(**optional: SearchStrategy[Any]) -> SearchStrategy[Fields]:
    stage = st.tuples(st.sampled_from([4, 6, 8, 24]), depths)
    drawn = st.lists(stage, min_size=1, max_size=4)
    return merged(
        drawn.map(
            lambda stages: {
                "hidden_sizes": [width for width, _ in stages],
                "depths": [depth for _, depth in stages],
                "num_stages": len(stages),
            }
        ),
        configs({}, {"num_channels": st.integers(1, 4)} | LABELS | optional),
    )


resnet = stages(
    embedding_size=st.sampled_from([4, 8]), layer_type=st.sampled_from(["basic", "bottleneck"]),
    downsample_in_first_stage=st.booleans(), downsample_in_bottleneck=st.booleans(),
).map(lambda fields: {name: value for name, value in fields.items() if name != "num_stages"})  # fmt: skip
convnext = stages(
    patch_size=st.integers(1, 5) | st.lists(st.integers(1, 5), min_size=2, max_size=2),
    layer_scale_init_value=st.sampled_from([0.0, 1e-6]),
)

ENCODERS: dict[str, SearchStrategy[Fields]] = {
    "bert": bert_like(),
    "roberta": bert_like(),
    "distilbert": distilbert,
    "albert": bert_like(embedding_size=sizes, num_hidden_groups=depths, inner_group_num=depths),
    "electra": bert_like(embedding_size=sizes | st.just(12)),
    "deberta-v2": deberta_v2,
    "t5": t5,
    "bart": bart,
    "vit": vit,
    "clip": clip,
    "whisper": whisper,
    "resnet": resnet,
    "convnext": convnext,
}
