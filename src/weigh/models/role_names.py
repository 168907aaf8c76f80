"""What the modules of models are called, and what that says of the matrices in them."""

import re

from weigh.models.layers import Shape

_SUBLAYERS = (
    ("shared-expert", r"shared?_experts?|shared_mlp"),
    ("expert", r"^experts$|^expert_\d+$"),
    ("cross-attention", r"cross_?att|encoder_attn|enc_dec_att|encoder_attention|multihead_attn|_cross_|^src_attn"),
    ("mixer", r"linear_attn|mamba|mixer|delta|ssm|^conv$|short_conv|^time_mix|recurrent|temporal_block|mlstm|xlstm"),
    ("attention", r"att(?:n|entions?)(?:$|_)|attention|^self$"),
    ("feed-forward", r"mlp|ffn|^ff\d*$|feed_forward|ffw|dense_relu_dense|intermediate|moe|channel_mix|^layer_norm_ff"),
)  # fmt: skip
"""The sublayers, by the names of their modules."""

_AFFIXES = re.compile(
    r"^(?:linear|to|project|proj|projection)_(?!in$|out$|layer$)|_(?:proj|lin|linear|head|layer|projection)$"
)

_ATTENTION = {
    "query": "q query wq query_global q_b wq_b",
    "key": "k key wk key_global",
    "value": "v value wv value_global",
    "query-key-value": "qkv query_key_value c_attn wqkv in_proj_weight att",
    "key-value": "kv key_value kv_b w_kv",
    "query-latent": "q_a wq_a",
    "key-value-latent": "kv_a_proj_with_mqa kv_a",
    "output-latent": "o_a",
    "output": "o out output dense proj c_proj wo attention_out post o_b projection projection_layer",
    "gate": "gate g",
}  # fmt: skip
_FEED_FORWARD = {
    "gate": "gate wi_0",
    "gate-up": "gate_up",
    "up": "up fc1 lin1 linear1 linear_1 linear_fc1 c_fc dense_h_to_4h wi w3 wi_1 intermediate_dense dense1 fc_in "
          "proj_in pwconv1 pointwise_conv1 ffw_1 w_in ffn ffw_layer_1 input pointwise_lin1",
    "down": "down fc2 lin2 linear2 linear_2 linear_fc2 c_proj dense_4h_to_h wo w2 output_dense dense2 fc_out "
            "proj_out pwconv2 pointwise_conv2 ffw_2 w_out ffn_output ffw_layer_2 output pointwise_lin2",
}  # fmt: skip
_MIXER = {"input": "in", "output": "out o", "state": "x", "time-step": "dt"}


def _table(names: dict[str, str]) -> dict[str, str]:
    return {name: what for what, several in names.items() for name in several.split()}


_WHAT = {
    "attention": _table(_ATTENTION), "mixer": _table(_MIXER), "feed-forward": _table(_FEED_FORWARD),
}  # fmt: skip
_WHAT["cross-attention"] = _WHAT["attention"]
_WHAT["expert"] = _WHAT["shared-expert"] = _WHAT["feed-forward"]

_ONE_SUBLAYER = {name for name in _WHAT["attention"] if name not in _WHAT["feed-forward"]} - {
    "dense", "proj", "out", "projection", "projection_layer", "post", "att", "o",
}  # fmt: skip


def sublayer_of(parts: list[str]) -> str:
    """The sublayer of a matrix, by the modules around it from the innermost on; nothing if none tells."""
    shared = next((part for part in parts if re.search(_SUBLAYERS[0][1], part)), None)
    if shared:
        return "shared-expert"
    for part in reversed(parts):
        for sublayer, pattern in _SUBLAYERS:
            if re.search(pattern, part):
                return sublayer
    return ""


def what(sublayer: str, parts: list[str], gated: bool) -> str:
    """The role of a matrix in a layer: its sublayer, and what it is there.

    Args:
        sublayer: The sublayer that its modules name, or nothing.
        parts: The modules around it, down to its own.
        gated: Whether there is a third matrix, so that the first is the gate.
    """
    base, around = parts[-1], parts[-2] if len(parts) > 1 else ""
    plain = _AFFIXES.sub("", base)
    if base == "linear" and around:  # a matrix with something around it, such as a clamp
        base, plain = around, _AFFIXES.sub("", around)
    if base == "dense" and around.startswith("intermediate"):
        return "feed-forward up"
    if base == "dense" and around.startswith("output") and sublayer in ("", "feed-forward"):
        return "feed-forward down"
    if plain == "w1":
        return f"{sublayer or 'feed-forward'} {'gate' if gated else 'up'}"
    if sublayer in ("mixer", "") and (plain in _ONE_SUBLAYER):
        sublayer = "attention" if sublayer == "" or plain in ("q", "k", "v") else sublayer
    if sublayer in ("mixer", "") and plain in _WHAT["feed-forward"] and plain not in ("output", "input", "proj_out"):
        sublayer = "feed-forward" if sublayer == "" or plain in ("up", "down", "gate_up") else sublayer
    if not sublayer:
        return f"other {base.replace('_', '-')}"
    found = _WHAT[sublayer].get(plain) or _WHAT[sublayer].get(base)
    return f"{sublayer} {found or base.replace('_', '-')}"


def head_of(name: str) -> str:
    """The module of a matrix outside the layers, without numbers."""
    return ".".join(part for part in name.split(".")[:-1] if not part.isdigit())


def is_head(module: str, shape: Shape, vocabularies: frozenset[int]) -> bool:
    """Whether a matrix outside the layers scores a vocabulary, by its name, or by its rows."""
    named = re.search(r"(?:^|\.)(?:lm_heads?|embed_out|proj_out|vocab_projector|generator_lm_head)$", module)
    return len(shape) == 2 and (named is not None or shape[0] in vocabularies)


def other_role(owner: str, parts: list[str], shape: Shape) -> str:
    """The role of what is no matrix of a layer: a table, a token, a scale, a state."""
    path, leaf = ".".join(parts), parts[-1]
    if re.search(r"token_type|segment", path):
        return "segment table"
    if re.search(r"pos(?:ition)?(?:s|al)?(?:_|\.|$)|relative_attention_bias|wpe|rel_embed|rel_pos|relative_pos", path):
        return "position table"
    if re.search(r"relative_attention_bias", path):
        return "position table"
    if leaf == "table":
        return "embedding"
    if re.search(r"sink", leaf):
        return "sink"
    if re.search(r"^(?:a_log|d|dt_bias|a)$|state|decay|time_", leaf):
        return "state"
    if re.search(r"token|probe|latent|query|mask|cls|class_embed|register|silence|newline", leaf):
        return "token"
    if len(shape) >= 2 and not re.search(r"scale|gamma|lambda|alpha|beta", leaf):
        return "convolution" if len(shape) > 2 and re.search("conv", owner, re.IGNORECASE) else "projection"
    return "scale"
