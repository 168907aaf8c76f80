"""How many experts a token passes through, by the config of any mixture of experts."""

import re
from typing import Any, NamedTuple

USED = (
    "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts", "num_selected_experts",
    "experts_per_token", "num_experts_per_topk",
)  # fmt: skip
"""What configs call the number of experts that a token passes through."""

ALWAYS = {"switch_transformers": 1, "nllb-moe": 2}
"""The same of the types whose implementation has it fixed."""


class Routing(NamedTuple):
    """The experts that a token passes through, in each part of a model.

    Attributes:
        used: By the part of the config that says so: `text`, `vision`, … or nothing for the config itself.
    """

    used: dict[str, int]

    def of(self, name: str, count: int) -> int:
        """The experts of a layer that a token passes through, of `count`; 0 if the config does not say.

        Args:
            name: The name of one of their tensors.
            count: How many there are.
        """
        part = next((part for part in self.used if part and re.search(rf"(?:^|[._]){part}", name)), "")
        said = self.used.get(part) or next(iter(self.used.values()), 0)
        return min(said, count)


def routing(config: Any) -> Routing:
    """The experts that a token passes through, as a config and the configs in it say."""
    return Routing(dict(_used(config, "")))


def _alike(value: Any) -> Any:
    """A number that is said once for every layer, or else the value."""
    alike = isinstance(value, list) and value and all(type(one) is int and one == value[0] for one in value)
    return value[0] if alike else value


def _used(config: Any, part: str, depth: int = 3) -> list[tuple[str, int]]:
    found = []
    said = [_alike(getattr(config, name, None)) for name in USED] + [ALWAYS.get(str(getattr(config, "model_type", "")))]
    number = next((value for value in said if type(value) is int and value > 0), None)
    if number is not None:
        real, idle = (getattr(config, name, None) for name in ("n_routed_experts", "zero_expert_num"))
        if isinstance(real, int) and isinstance(idle, int):  # experts that give back their input
            number = number * real // (real + idle)
        found.append((part, number))
    for name, value in list(getattr(config, "__dict__", {}).items()):
        if depth and name.endswith("_config") and hasattr(value, "__dict__"):
            found += _used(value, name.removesuffix("_config"), depth - 1)
    return found
