"""The bytes of a model as a quantizer saves it, by what its config says of that: the tensors, without the header.

Of each scheme it is known which matrices it converts and what each becomes. What is not known, such as the layout of
another version, is said to be so: then the model is counted, and its bytes are not.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from weigh.tensors import Tensor


class Saved(NamedTuple):
    """What a quantized model takes as saved.

    Attributes:
        method: The name of the scheme, as the config has it.
        nbytes: The bytes of its tensors; `None` if they are not known.
        parameters: The parameters that are quantized; `None` if that is not known.
        within: By how many bytes it may be off: numbers that are written as text take more or fewer digits.
        unknown: Why the bytes are not known; empty if they are.
    """

    method: str
    nbytes: int | None
    parameters: int | None
    within: int = 0
    unknown: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The figures under the names that `weigh params --json` promises."""
        return {
            "method": self.method,
            "bytes": self.nbytes,
            "quantized_parameters": self.parameters,
            "within": self.within,
            "unknown": self.unknown,
        }


def settings_of(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a config says of its quantization, of the model or of the text model in it; `None` if nothing."""
    for holder in (fields, fields.get("text_config")):
        if isinstance(holder, dict):
            for key in ("quantization_config", "compression_config", "quantization"):
                found = holder.get(key)
                if isinstance(found, dict) and found:
                    # MLX writes the same under two names, and no method.
                    is_mlx = "quant_method" not in found and isinstance(holder.get("quantization"), dict)
                    return {**found, **({"quant_method": "mlx"} if is_mlx else {})}
    return None


def saved(fields: Mapping[str, Any], named: "Iterable[Tensor]", dtype: str) -> Saved | None:
    """What a model takes as its quantizer saves it; `None` if its config says nothing of one.

    Args:
        fields: The fields of its config.
        named: Its tensors in the order of the state dict, tied ones too, each with its role.
        dtype: The number format of what is not quantized.
    """
    settings = settings_of(fields)
    if settings is None:
        return None
    from weigh.models.quantization.weighing import weighed  # schemes are nothing to most models

    return weighed(settings, fields, tuple(named), dtype)
