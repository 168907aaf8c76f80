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
    r"^(?:linear_|to_|proj(?:ect|ection)?_(?!in$|out$|layer$))|_(?:proj|lin|linear|head|layer|projection)$"
)
"""What stands before or after the name of a matrix and says nothing."""

_ATTENTION = {
    "query": "q query queries wq query_global q_b wq_b",
    "key": "k key wk key_global",
    "value": "v value wv value_global values",
    "query-key-value": "qkv query_key_value queries_keys_values c_attn wqkv in_proj_weight in_proj att query_key",
    "key-value": "kv key_value keys_values kv_b w_kv",
    "query-latent": "q_a wq_a",
    "key-value-latent": "kv_a_proj_with_mqa kv_a",
    "output-latent": "o_a",
    "output": "o out output dense proj c_proj wo attention_out post o_b projection projection_layer",
    "gate": "gate g output_gate",
}  # fmt: skip
_FEED_FORWARD = {
    "gate": "gate wi_0",
    "gate-up": "gate_up proj_up_gate",
    "up": "up fc1 lin1 linear1 linear_1 linear_fc1 c_fc dense_h_to_4h wi w3 wi_1 intermediate_dense intermediate "
    "dense1 fc_in proj_in in pwconv1 pointwise_conv1 pointwise_lin1 ffw_1 ffw_layer_1 layer_1 w_in w_0 w_1 ffn input "
    "key",
    "down": "down fc2 lin2 linear2 linear_2 linear_fc2 c_proj dense_4h_to_h wo w2 output_dense dense2 fc_out "
    "proj_out out pwconv2 pointwise_conv2 pointwise_lin2 ffw_2 ffw_layer_2 layer_2 w_out ffn_output output value",
}
_MIXER = {
    "input": "in x", "output": "out o", "state": "x_proj", "time-step": "dt", "query": "q", "key": "k", "value": "v",
    "gate": "g output_gate",
}  # fmt: skip


def _table(names: dict[str, str]) -> dict[str, str]:
    return {name: what for what, several in names.items() for name in several.split()}


_WHAT = {
    "attention": _table(_ATTENTION), "cross-attention": _table(_ATTENTION), "mixer": _table(_MIXER),
    "feed-forward": _table(_FEED_FORWARD), "expert": _table(_FEED_FORWARD), "shared-expert": _table(_FEED_FORWARD),
}  # fmt: skip

_TELLS = {
    "attention": "q k v wq wk wv qkv query key value query_key_value wqkv q_a q_b kv_a kv_b in_proj_weight queries "
    "keys_values queries_keys_values kv",
    "feed-forward": "up down gate_up fc1 fc2 lin1 lin2 linear1 linear2 c_fc pwconv1 pwconv2 pointwise_conv1 "
    "pointwise_conv2 w_in w_out ffn ffn_output dense_h_to_4h dense_4h_to_h wi wo fc_in fc_out linear_fc1 linear_fc2 "
    "dense1 dense2",
}
"""Names that tell the sublayer by themselves, where the modules around them do not."""


def sublayer_of(parts: list[str]) -> str:
    """The sublayer of a matrix, by the modules around it from the innermost on; nothing if none tells."""
    if any(re.search(_SUBLAYERS[0][1], part) for part in parts):
        return "shared-expert"
    for part in reversed(parts):
        for sublayer, pattern in _SUBLAYERS:
            if re.search(pattern, part):
                return sublayer
    return ""


def what(sublayer: str, parts: list[str], *, gated: bool) -> str:
    """The role of a matrix in a layer: its sublayer, and what it is there.

    Args:
        sublayer: The sublayer that its modules name, or nothing.
        parts: The modules around it, down to its own.
        gated: Whether there is a third matrix, so that the first is the gate.
    """
    base, around = parts[-1], parts[-2] if len(parts) > 1 else ""
    if base in ("linear", "dense") and around and not re.search("att|bottleneck", around):
        if re.search(r"(?:^|_)inter(?:mediate)?(?:_|$)", around):
            return "feed-forward up"
        if re.search(r"(?:^|_)output(?:_|$)", around):
            return "feed-forward down" if sublayer in ("", "feed-forward") else f"{sublayer} output"
        base = around  # a matrix with something around it, such as a clamp
    plain = _AFFIXES.sub("", base)
    if plain == "w1":
        return f"{sublayer or 'feed-forward'} {'gate' if gated else 'up'}"
    if sublayer in ("", "mixer"):
        told = next((name for name, bases in _TELLS.items() if plain in bases.split()), "")
        told = "attention" if base == "o_proj" else told
        # A mixer of tokens has queries of its own; a module that only is called so may be anything.
        sublayer = told if told and (not sublayer or around in ("mixer", "temporal_block")) else sublayer
    if not sublayer:
        return f"other {base.replace('_', '-')}"
    found = _WHAT[sublayer].get(base) or _WHAT[sublayer].get(plain)
    return f"{sublayer} {found or base.replace('_', '-')}"


def is_head(module: str, shape: Shape, vocabularies: frozenset[int]) -> bool:
    """Whether a matrix outside the layers scores a vocabulary, by its name, or by its rows."""
    if len(shape) != 2 or re.search(r"vision|visual|image|tower|merger|subsampl|conv|dense", module):
        return False
    named = re.search(r"(?:^|\.)(?:lm_heads?|embed_out|vocab_projector|generator_lm_head)(?:\.\d+)?$", module)
    return named is not None or shape[0] in vocabularies


def other_role(owner: str, parts: list[str], dimensions: int) -> str:
    """The role of what is no matrix of a layer: a table, a token, a scale, a state.

    Args:
        owner: The class of the module that holds it.
        parts: The modules around it, and its own name, which is `table` for the weight of an embedding.
        dimensions: How many it has.
    """
    path, leaf = ".".join(parts), parts[-1]
    if re.search(r"token_type|segment", path):
        return "segment table"
    if re.search(r"pos(?:ition)?(?:s|al)?(?:_|\.|$)|relative_attention_bias|wpe|rel_embed|rel_pos|relative_pos", path):
        return "position table"
    if leaf == "table":
        return "embedding"
    for role, pattern in _LEAVES.items():
        if re.search(pattern, leaf):
            return role
    if dimensions > 1 and not re.search(r"scale|gamma|lambda|alpha|beta", leaf):
        return "convolution" if dimensions > 2 and re.search("conv", owner, re.IGNORECASE) else "projection"
    return "scale"


_LEAVES = {
    "sink": r"sink",
    "state": r"^(?:a_log|d|dt_bias|a)$|state|decay|time_",
    "token": r"token|probe|latent|query|mask|cls|class_embed|register|silence|newline",
}
"""The roles of parameters that are held by a module of their own, by their names."""
