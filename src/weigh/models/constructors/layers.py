"""The layers of `torch.nn` that have parameters, by the shapes of these, and a few that have none."""

from functools import cache
from typing import Any

from weigh.errors import InvalidConfig, NotConstructed
from weigh.models.constructors.convolutions import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from weigh.models.constructors.modules import Buffers, Module, Parameter
from weigh.models.constructors.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell
from weigh.models.constructors.shapes import Tensor
from weigh.models.constructors.sizes import many, sized
from weigh.models.constructors.unknown import Unknown


class Identity(Module):
    """What gives back what it is given."""


class Linear(Module):
    """A matrix (outputs, inputs), and a bias."""

    def __init__(self, in_features: Any, out_features: Any, bias: Any = True, *given: Any, **named: Any) -> None:
        super().__init__()
        own = self.__dict__  # of a new module, and of the one that models have most of: no name can replace another
        own["in_features"], own["out_features"] = in_features, out_features
        own["_parameters"]["weight"] = sized(out_features, in_features)
        own["_parameters"]["bias"] = sized(out_features) if bias else None


class NonDynamicallyQuantizableLinear(Linear):
    """The output matrix of `MultiheadAttention`, as torch calls it."""


class Bilinear(Module):
    """A matrix for each output."""

    def __init__(self, in1: Any, in2: Any, out: Any, bias: Any = True, **named: Any) -> None:
        super().__init__()
        self.weight = sized(out, in1, in2)
        self.register_parameter("bias", sized(out) if bias else None)


class Embedding(Module):
    """A table of vectors (rows, width)."""

    def __init__(
        self, num_embeddings: Any, embedding_dim: Any, padding_idx: Any = None, *given: Any, **named: Any
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise InvalidConfig("padding_idx", f"{padding_idx} is not below {num_embeddings}, the rows of its table")
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        weight = named.get("_weight")
        self.weight = Parameter(weight) if weight is not None else sized(num_embeddings, embedding_dim)

    @classmethod
    def from_pretrained(cls, embeddings: Any, **named: Any) -> "Embedding":
        """A table of a given shape."""
        return cls(*embeddings.shape)


class EmbeddingBag(Embedding):
    """A table whose vectors are summed."""


class LayerNorm(Module):
    """A weight and a bias of the normalized dimensions."""

    def __init__(self, normalized_shape: Any, eps: Any = 1e-5, elementwise_affine: Any = True, bias: Any = True,
                 *given: Any, **named: Any) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = many(normalized_shape, 1)
        self.register_parameter("weight", sized(*self.normalized_shape) if elementwise_affine else None)
        self.register_parameter("bias", sized(*self.normalized_shape) if elementwise_affine and bias else None)


class RMSNorm(Module):
    """A weight of the normalized dimensions."""

    def __init__(
        self, normalized_shape: Any, eps: Any = None, elementwise_affine: Any = True, *given: Any, **named: Any
    ) -> None:
        super().__init__()
        self.register_parameter("weight", sized(*many(normalized_shape, 1)) if elementwise_affine else None)


class GroupNorm(Module):
    """A weight and a bias for each channel."""

    def __init__(self, num_groups: Any, num_channels: Any, eps: Any = 1e-5, affine: Any = True, **named: Any) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise InvalidConfig("GroupNorm", f"{num_channels} channels are no multiple of {num_groups} groups")
        self.register_parameter("weight", sized(num_channels) if affine else None)
        self.register_parameter("bias", sized(num_channels) if affine else None)


class BatchNorm(Module):
    """A weight and a bias for each channel; its statistics are buffers."""

    def __init__(self, num_features: Any, eps: Any = 1e-5, momentum: Any = 0.1, affine: Any = True,
                 track_running_stats: Any = True, **named: Any) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.register_parameter("weight", sized(num_features) if affine else None)
        self.register_parameter("bias", sized(num_features) if affine else None)
        self.__dict__.update(running_mean=Tensor(num_features), running_var=Tensor(num_features))


class InstanceNorm(BatchNorm):
    """As a batch norm, with nothing to learn unless it is asked for."""

    def __init__(self, num_features: Any, eps: Any = 1e-5, momentum: Any = 0.1, affine: Any = False,
                 track_running_stats: Any = False, **named: Any) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine)


class PReLU(Module):
    """A slope, or one for each channel."""

    def __init__(self, num_parameters: Any = 1, *given: Any, **named: Any) -> None:
        super().__init__()
        self.weight = sized(num_parameters)


class MultiheadAttention(Module):
    """Queries, keys and values from one matrix if they are as wide as each other, and the output."""

    def __init__(self, embed_dim: Any, num_heads: Any, dropout: Any = 0, bias: Any = True, add_bias_kv: Any = False,
                 add_zero_attn: Any = False, kdim: Any = None, vdim: Any = None, **named: Any) -> None:  # fmt: skip
        super().__init__()
        if embed_dim % num_heads:
            raise InvalidConfig("MultiheadAttention", f"{embed_dim} is no multiple of {num_heads} heads")
        keys, values = kdim or embed_dim, vdim or embed_dim
        if keys == values == embed_dim:
            self.in_proj_weight = sized(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = sized(embed_dim, embed_dim)
            self.k_proj_weight, self.v_proj_weight = sized(embed_dim, keys), sized(embed_dim, values)
        self.register_parameter("in_proj_bias", sized(3 * embed_dim) if bias else None)
        if add_bias_kv:
            self.bias_k, self.bias_v = sized(1, 1, embed_dim), sized(1, 1, embed_dim)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias)


class ParametrizationList(Module):
    """What a parametrized weight is computed from."""


def weight_norm(module: Any, name: str = "weight", dim: int = 0) -> Any:
    """A module whose weight is computed from its lengths along a dimension and its directions."""
    weight = module._parameters.pop(name)
    lengths = [size if i == dim % len(weight.shape) else 1 for i, size in enumerate(weight.shape)]
    computed = ParametrizationList()
    computed.original0, computed.original1 = sized(*lengths), sized(*weight.shape)
    held = Module()
    held.add_module(name, computed)
    module.add_module("parametrizations", held)
    module.__dict__[name] = Tensor(*weight.shape)
    return module


def old_weight_norm(module: Any, name: str = "weight", dim: int = 0) -> Any:
    """The same under the names that torch gave before."""
    weight = module._parameters.pop(name)
    lengths = [size if i == dim % len(weight.shape) else 1 for i, size in enumerate(weight.shape)]
    module.register_parameter(f"{name}_g", sized(*lengths))
    module.register_parameter(f"{name}_v", sized(*weight.shape))
    module.__dict__[name] = Tensor(*weight.shape)
    return module


WITH_PARAMETERS = {
    each.__name__: each
    for each in (
        Bilinear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Embedding, EmbeddingBag,
        GRU, GRUCell, GroupNorm, Identity, LSTM, LSTMCell, LayerNorm, Linear, MultiheadAttention, PReLU, RMSNorm, RNN,
    )
} | {f"{kind.__name__}{n}d": type(f"{kind.__name__}{n}d", (kind,), {})
     for kind in (BatchNorm, InstanceNorm) for n in (1, 2, 3)}  # fmt: skip
WITH_PARAMETERS["SyncBatchNorm"] = WITH_PARAMETERS["BatchNorm1d"]

WITHOUT_PARAMETERS = {
    *(f"{kind}{n}d" for kind in (
        "Dropout", "MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "ReflectionPad", "ReplicationPad",
        "ZeroPad", "ConstantPad",
    ) for n in (1, 2, 3)),
    "Dropout", "AlphaDropout", "ReLU", "ReLU6", "GELU", "SiLU", "Tanh", "Sigmoid", "Softmax", "LogSoftmax", "LeakyReLU",
    "ELU", "SELU", "CELU", "GLU", "Mish", "Hardswish", "Hardsigmoid", "Hardtanh", "Softplus", "LogSigmoid", "Softmax2d",
    "Flatten", "Unflatten", "Unfold", "Fold", "Upsample", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle",
    "CosineSimilarity", "CrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss", "BCELoss", "NLLLoss", "L1Loss", "CTCLoss",
    "SmoothL1Loss", "KLDivLoss", "PairwiseDistance", "UpsamplingNearest2d", "UpsamplingBilinear2d",
    "AdaptiveAvgPool1d", "TripletMarginLoss", "Threshold", "Softshrink", "MarginRankingLoss", "PoissonNLLLoss",
}  # fmt: skip
"""Modules of `torch.nn` that learn nothing."""


@cache
def layer(name: str) -> Any:
    """What stands in for `torch.nn.NAME`."""
    if name in WITH_PARAMETERS:
        return WITH_PARAMETERS[name]
    if name in WITHOUT_PARAMETERS:
        return type(name, (Buffers,), {})
    return absent(name) if name[:1].isupper() else Unknown(f"torch.nn.{name}")


def absent(name: str) -> type:
    """A layer whose parameters nobody here knows: to make one is refused, and to name it is not."""

    def refuse(*given: Any, **named: Any) -> Any:
        raise NotConstructed("the model's constructor", f"makes a torch.nn.{name}, which weigh does not know")

    return type(name, (Module,), {"__init__": refuse})
