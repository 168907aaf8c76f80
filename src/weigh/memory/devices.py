"""Accelerators by the figures of their data sheets: memory, bandwidth and operations.

What a sheet states is a peak, and its GB is read as 10⁹ bytes. Operations are those of 16-bit numbers in dense
matrices: where a sheet states them with sparsity, half of that.
"""

from dataclasses import dataclass

from weigh.errors import WeighError
from weigh.units import GB, positive


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator.

    Attributes:
        name: What it is called.
        memory: Its bytes.
        bandwidth: Bytes that its memory moves in a second.
        flops: Operations in a second in the format of the computation.
        source: Where the figures are from.
    """

    name: str
    memory: int
    bandwidth: float
    flops: float
    source: str = "given"

    def __post_init__(self) -> None:
        """Refuse figures of no device. Raises WeighError."""
        positive("memory of the device", self.memory)
        if not (0 < self.bandwidth < float("inf") and 0 < self.flops < float("inf")):
            raise WeighError(f"device {self.name}", "needs a bandwidth and FLOP/s above 0")


_NVIDIA = "https://www.nvidia.com/en-us/data-center/"

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("a100-80gb", 80 * GB, 2.039e12, 312e12, f"{_NVIDIA}a100/"),
        Device("h100", 80 * GB, 3.35e12, 989e12, f"{_NVIDIA}h100/"),
        Device("h200", 141 * GB, 4.8e12, 989e12, f"{_NVIDIA}h200/"),
        Device("l4", 24 * GB, 300e9, 121e12, f"{_NVIDIA}l4/"),
        Device("l40s", 48 * GB, 864e9, 362e12, f"{_NVIDIA}l40s/"),
    )
}
"""Devices by name, with the page of the maker that states their figures. The A100, H100 and H200 are those for SXM."""


def find_device(name: str) -> Device:
    """The device of that name. Raises WeighError if there is none."""
    known = DEVICES.get(name.lower())
    if known is None:
        raise WeighError(
            f"device {name!r:.40}",
            f"not known to weigh, which knows {', '.join(DEVICES)}; or give its memory, bandwidth and FLOP/s",
        )
    return known
