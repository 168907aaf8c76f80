"""Convolutions of `torch.nn`, by the shapes of their kernels."""

from typing import Any

from weigh.errors import InvalidConfig
from weigh.models.constructors.modules import Module
from weigh.models.constructors.sizes import many, sized


class Convolution(Module):
    """A kernel (outputs, inputs of a group, sizes), and a bias."""

    dimensions = 1

    def __init__(self, in_channels: Any, out_channels: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 dilation: Any = 1, groups: Any = 1, bias: Any = True, *given: Any, **named: Any) -> None:  # fmt: skip
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise InvalidConfig("a convolution", f"{in_channels} or {out_channels} is no multiple of {groups} groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = many(kernel_size, self.dimensions), many(stride, self.dimensions)
        self.padding = padding if isinstance(padding, str) else many(padding, self.dimensions)
        self.dilation = many(dilation, self.dimensions)
        self.weight = sized(*self.channels(), *self.kernel_size)
        self.register_parameter("bias", sized(out_channels) if bias else None)

    def channels(self) -> tuple[int, int]:
        """The outputs, and the inputs of a group."""
        return self.out_channels, self.in_channels // self.groups


class Conv1d(Convolution):
    """A convolution over a sequence."""


class Conv2d(Convolution):
    """A convolution over an image."""

    dimensions = 2


class Conv3d(Convolution):
    """A convolution over a video."""

    dimensions = 3


class Transposed(Convolution):
    """A transposed convolution: a kernel (inputs, outputs of a group, sizes), and a bias."""

    def __init__(self, in_channels: Any, out_channels: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0,
                 output_padding: Any = 0, groups: Any = 1, bias: Any = True, dilation: Any = 1,
                 *given: Any, **named: Any) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)

    def channels(self) -> tuple[int, int]:
        """The inputs, and the outputs of a group."""
        return self.in_channels, self.out_channels // self.groups


class ConvTranspose1d(Transposed):
    """A transposed convolution over a sequence."""


class ConvTranspose2d(Transposed):
    """A transposed convolution over an image."""

    dimensions = 2


class ConvTranspose3d(Transposed):
    """A transposed convolution over a video."""

    dimensions = 3
