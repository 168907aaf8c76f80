"""compressed-tensors: a config with groups of modules, each with the number format and the strategy of its scales."""

from typing import Any

from weigh.models.quantization.matrices import Matrix
from weigh.models.quantization.schemes import Plan, Settings, up
from weigh.models.quantization.unknown import Unknown

_FORMATS = {
    ("int", 4): ("pack-quantized",),
    ("int", 8): ("int-quantized", "naive-quantized", "pack-quantized"),
    ("float", 8): ("float-quantized", "naive-quantized"),
    ("float", 4): ("nvfp4-pack-quantized", "mxfp4-pack-quantized"),
}


def compressed(given: Settings) -> Plan:
    """What compressed-tensors makes of the linear layers that a config targets.

    Raises:
        Unknown: If it has other targets, more than one group, a cache of its own, or a format that is not known here.
    """
    groups = given.fields.get("config_groups")
    if not isinstance(groups, dict) or len(groups) != 1 or not isinstance(next(iter(groups.values())), dict):
        raise Unknown("its config_groups are not one group")
    (group,) = groups.values()
    if group.get("targets") != ["Linear"]:
        raise Unknown(f"its targets are {group.get('targets')!r:.40}")
    for name in ("kv_cache_scheme", "sparsity_config", "transform_config"):
        if given.fields.get(name):
            raise Unknown(f"it has a {name}")
    form = group.get("format") or given.fields.get("format")
    weights = group.get("weights")
    settings = Settings(weights if isinstance(weights, dict) else {}, given.dtype)
    kind, bits = settings.one_of("type", "int", "float"), settings.whole("num_bits", 8, 2, 3, 4, 5, 6, 7, 8)
    if form not in _FORMATS.get((kind, bits), ("pack-quantized",) if kind == "int" else ()):
        raise Unknown(f"its format is {form!r:.40}, of {kind} {bits}")
    layout = _Layout(settings, str(form), bits, _static(group.get("input_activations")))
    left = given.names("ignore", marked=True)
    return Plan(layout.cost, frozenset({"linear", "expert"}), left)


def _static(activations: Any) -> bool:
    """Whether a scale of activations is saved beside each matrix."""
    if not isinstance(activations, dict):
        return False
    return activations.get("dynamic") in (False, None, "local")


class _Layout:
    def __init__(self, given: Settings, form: str, bits: int, has_input_scale: bool) -> None:
        self.form, self.bits, self.width, self.has_input_scale = form, bits, given.width, has_input_scale
        self.symmetric = given.one_of("symmetric", True, False)
        usual = "tensor_group" if form == "nvfp4-pack-quantized" else "tensor"
        self.strategy = given.one_of("strategy", usual, "tensor", "channel", "group", "tensor_group", "block")
        grouped = self.strategy in ("group", "tensor_group")
        self.size = given.whole("group_size", 0) if grouped else None
        self.ordered = given.fields.get("actorder") == "group"
        self.block = given.fields.get("block_structure") if self.strategy == "block" else None
        block = self.block
        if self.strategy == "block" and not (
            isinstance(block, list)
            and len(block) == 2
            and all(type(side) is int and 0 < side < 2**31 for side in block)
        ):
            raise Unknown(f"its block_structure is {block!r:.40}")

    def cost(self, matrix: Matrix) -> int:
        """The bytes of one matrix."""
        outputs, inputs, scales = matrix.outputs, matrix.inputs, self.scales(matrix)
        if self.form == "mxfp4-pack-quantized":
            return outputs * up(inputs, 2) + scales
        if self.form == "nvfp4-pack-quantized":
            return outputs * up(inputs, 2) + scales + 4 + (4 if self.has_input_scale else 0)
        beside = self.width if self.has_input_scale else 0
        if self.form != "pack-quantized":
            return outputs * inputs + scales * (self.width + (0 if self.symmetric else 1)) + beside
        each = 32 // self.bits
        size = outputs * up(inputs, each) * 4 + scales * self.width + 2 * 8 + beside
        if not self.symmetric:
            size += up(outputs, each) * 4 * (scales // outputs)
        return size + (4 * inputs if self.ordered else 0)

    def scales(self, matrix: Matrix) -> int:
        """How many scales a matrix has."""
        if self.size:
            return matrix.outputs * up(matrix.inputs, self.size)
        if self.block:
            return up(matrix.outputs, self.block[0]) * up(matrix.inputs, self.block[1])
        return matrix.outputs if self.strategy == "channel" else 1
