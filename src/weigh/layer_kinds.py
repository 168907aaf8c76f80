"""What the layers of each family keep of a forward pass, beside what follows from their sizes.

Read in transformers 5.23 and tested against the tensors that it saves. To count another family operation by operation,
add its `Kind`.
"""

from dataclasses import dataclass
from typing import Literal

KEPT_BY_ACTIVATION = {
    "relu": 1, "gelu": 2, "gelu_pytorch_tanh": 2, "gelu_python_tanh": 2, "silu": 2, "swish": 2, "gelu_new": 5,
}  # fmt: skip
"""How many tensors as wide as the feed-forward an activation function keeps, its result included. The derivative of a
ReLU follows from its result. `gelu_new` is written in seven operations, and four of them keep something too."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What, beside its sizes, decides what a layer of a family keeps.

    Attributes:
        out: The matrix after the heads, whose other side is as wide as all of them.
        up: A matrix into the feed-forward.
        activation: The config's field for the activation function, and its default.
        norm: `layer`, or `rms` if it is written out and computed in float32, or `gemma` if its weight is too.
        dropout: The config's field for the dropout on the residual stream and its default, or nothing.
        scores_dropout: The same for the attention scores.
        masks: Dropout masks outside the layers.
        gated: Whether the feed-forward's hidden layer is multiplied by another.
        scores32: Whether attention that stores its scores computes them in float32.
    """

    out: str
    up: str
    activation: tuple[str, str]
    norm: Literal["layer", "rms", "gemma"] = "rms"
    dropout: tuple[str, float] | None = None
    scores_dropout: tuple[str, float] = ("attention_dropout", 0.0)
    masks: int = 0
    gated: bool = True
    scores32: bool = True


_LLAMA = Kind("self_attn.o_proj", "mlp.up_proj", ("hidden_act", "silu"))
_BERT = Kind(
    "attention.output.dense", "intermediate.dense", ("hidden_act", "gelu"), "layer", ("hidden_dropout_prob", 0.1),
    ("attention_probs_dropout_prob", 0.1), masks=1, gated=False, scores32=False,
)  # fmt: skip

KINDS: dict[str, Kind] = {
    "gpt2": Kind(
        "attn.c_proj", "mlp.c_fc", ("activation_function", "gelu_new"), "layer", ("resid_pdrop", 0.1),
        ("attn_pdrop", 0.1), masks=1, gated=False, scores32=False,
    ),
    "opt": Kind("self_attn.out_proj", "fc1", ("activation_function", "relu"), "layer", ("dropout", 0.1), gated=False),
    "bert": _BERT,
    "roberta": _BERT,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": Kind("self_attn.o_proj", "mlp.up_proj", ("hidden_activation", "gelu_pytorch_tanh"), "gemma"),
}  # fmt: skip
"""The families whose activations are counted operation by operation."""
