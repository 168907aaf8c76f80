"""What is asked of a deployment, and the sheet that answers it, boundary by boundary."""

from dataclasses import dataclass
from typing import Any

from weigh.errors import WeighError
from weigh.memory.devices import Device
from weigh.memory.inference import Inference
from weigh.memory.step_costs import RooflineCost
from weigh.models.parameters import Model
from weigh.sources import is_remote, locate
from weigh.units import format_bytes, positive

ARTIFACTS = {
    "tokenizer and preprocessing": (
        ("tokenizer", "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json"),
        ("its settings and chat template", "tokenizer_config.json", "chat_template.jinja", "chat_template.json"),
    ),
    "safety and post-processing": (("generation config: stop tokens and limits", "generation_config.json"),),
}
"""What must be there beside the weights: for two of the boundaries, a name and the files of which one is enough."""

Artifacts = dict[str, dict[str, str | None]]
"""For each boundary and each name the file that was found; `None` where none was."""


def artifacts_beside(config: str) -> Artifacts:
    """Which of `ARTIFACTS` lie in the directory of a config. A remote one is not asked."""
    folder = locate(config).parent
    there = (lambda name: False) if is_remote(folder) else (lambda name: (folder / name).is_file())
    return {
        boundary: {name: next((file for file in files if there(file)), None) for name, *files in each}
        for boundary, each in ARTIFACTS.items()
    }


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What users ask for, and how long they wait.

    Attributes:
        rate: Requests in a second.
        prompt: The tokens of a prompt.
        generated: The tokens of an answer, two at least.
        per_token: The most seconds for each token after the first.
        first_token: The most seconds until the first token, if that is limited.
        template: Tokens that a chat template or a system prompt adds to each prompt.
        sequences: Sequences that are written for each answer: beams, or answers to choose from.
        retries: The share of answers that fail a filter or a schema and are written again, below 1.
    """

    rate: float
    prompt: int
    generated: int
    per_token: float
    first_token: float | None = None
    template: int = 0
    sequences: int = 1
    retries: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what nobody can ask for. Raises WeighError."""
        for name in ("prompt", "sequences"):
            positive(f"{name} of a request", getattr(self, name))
        if positive("generated tokens", self.generated) < 2:
            raise WeighError("generated tokens", "must be 2 at least: a time per token is one between tokens")
        if self.template:
            positive("template tokens", self.template)
        for name, number in (("rate", self.rate), ("time per token", self.per_token)):
            if not 0 < number < float("inf"):
                raise WeighError(name, f"must be above 0, not {number}")
        if self.first_token is not None and not 0 < self.first_token < float("inf"):
            raise WeighError("time to first token", f"must be above 0, not {self.first_token}")
        if not 0 <= self.retries < 1:
            raise WeighError("retries", f"must be a share from 0 to below 1, not {self.retries}")

    @property
    def context(self) -> int:
        """The tokens of a sequence at its end."""
        return self.prompt + self.template + self.generated

    @property
    def asked(self) -> float:
        """Answers that are written in a second, those that fail included."""
        return self.rate / (1 - self.retries)


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A line of a budget sheet.

    Attributes:
        boundary: One of the seven.
        asked: What the demand or the choice is.
        found: What follows.
        kind: What the figure is: exact, a bound, an estimate at the efficiency given, or a list of what must be there.
        holds: Whether it holds.
    """

    boundary: str
    asked: str
    found: str
    kind: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A deployment, worked through its boundaries. Times are in seconds and bounds, unless the efficiency is below 1.

    Attributes:
        model: The model that is deployed.
        device: The device of a replica.
        demand: What is asked of it.
        dtype: The format of the weights.
        kv_dtype: That of the cache.
        devices: The devices of a replica.
        efficiency: The share of the sheet's figures that is reached.
        longest: The tokens that the model is made for; `None` if nothing says.
        batch: The most sequences that a replica may hold; 0 if the demand cannot be met.
        limits: The most sequences by memory capacity, bandwidth and compute; `None` where there is no limit.
        batch_in_use: The sequences that are enough for each replica's share of the rate.
        step_seconds: The least seconds for each token at that batch.
        first_token_seconds: The least seconds until the first token, without waiting.
        capacity: The most requests that a replica serves in a second.
        replicas: The fewest replicas; `None` if the demand cannot be met.
        binding: What limits a replica: where twice as much would help most.
        next_binding: What limits it once there is twice as much of that.
        doubled: The capacity with twice of each resource, or twice the time per token.
        memory: What `weigh.inference` says of `batch` sequences at their longest, prompts read token by token.
        artifacts: What two of the boundaries need beside the weights, and the file that was found.
    """

    model: Model
    device: Device
    demand: Demand
    dtype: str
    kv_dtype: str
    devices: int
    efficiency: float
    longest: int | None
    batch: int
    limits: dict[str, int | None]
    batch_in_use: int
    step_seconds: float | None
    first_token_seconds: float
    capacity: float
    replicas: int | None
    binding: str
    next_binding: str
    doubled: dict[str, float]
    memory: Inference
    artifacts: Artifacts

    def cost(self) -> RooflineCost:
        """What its steps cost, to simulate with."""
        whole = {"bandwidth": self.device.bandwidth * self.devices, "flops": self.device.flops * self.devices}
        return RooflineCost(
            self.model, **whole, dtype=self.dtype, kv_dtype=self.kv_dtype, efficiency=self.efficiency
        )  # fmt: skip

    @property
    def kind(self) -> str:
        """What its times are."""
        return "bound" if self.efficiency == 1 else "estimate"

    @property
    def lines(self) -> tuple[BudgetLine, ...]:
        """The sheet: a line or two for each of the seven boundaries."""
        return (*self._size(), *self._speed(), *self._work())

    def _size(self) -> list[BudgetLine]:
        demand, memory = self.demand, self.memory
        room, longest = self.device.memory * self.devices, "any" if self.longest is None else f"{self.longest:,}"
        extra = f" + {demand.template:,} of template" if demand.template else ""
        fits = self.longest is None or demand.context <= self.longest
        return [
            BudgetLine(
                "context and shape", f"{demand.prompt:,}{extra} + {demand.generated:,} tokens",
                f"{demand.context:,} of {longest}", "exact", fits,
            ),
            BudgetLine(
                "memory", f"{max(self.batch, demand.sequences):,} sequences in {format_bytes(room)}",
                f"{format_bytes(memory.low_bytes)}: weights {format_bytes(memory.weight_bytes)}, "
                f"cache {format_bytes(memory.kv_cache_bytes)}", "exact", memory.low_bytes <= room,
            ),
        ]  # fmt: skip

    def _speed(self) -> list[BudgetLine]:
        demand, least = self.demand, "at least" if self.kind == "bound" else "about"
        limits = ", ".join(f"{'any' if n is None else f'{n:,}'} by {name}" for name, n in self.limits.items())
        step = "" if self.step_seconds is None else (
            f"{least} {seconds_as_text(self.step_seconds)} with {self.batch_in_use:,}; "
        )  # fmt: skip
        first = "first token" if demand.first_token is None else f"first token in {seconds_as_text(demand.first_token)}"
        waits = demand.first_token is None or self.first_token_seconds <= demand.first_token
        served = f"{self.capacity:.3g} at most for each of {self.replicas:,}" if self.replicas else "not met"
        return [
            BudgetLine("batch and latency", f"{seconds_as_text(demand.per_token)} per token",
                       f"{step}at most {limits}", self.kind, self.batch > 0),
            BudgetLine("batch and latency", first, f"{least} {seconds_as_text(self.first_token_seconds)}, unqueued",
                       self.kind, waits),
            BudgetLine("batch and latency", f"{demand.rate:.3g} requests/s", served, self.kind, bool(self.replicas)),
        ]  # fmt: skip

    def _work(self) -> list[BudgetLine]:
        demand, bits = self.demand, 8 * self.memory.weight_bytes / self.model.parameters
        tokenizer, safety = ARTIFACTS
        return [
            BudgetLine("precision", f"weights {self.dtype}, cache {self.kv_dtype}",
                       f"{bits:.3g} bits per weight, {self.memory.kv_cache_bytes_per_token:,} bytes per cached token",
                       "exact", True),
            BudgetLine("decoding", f"{demand.sequences:,} per answer",
                       f"{demand.sequences * demand.generated:,} tokens for {demand.generated:,}", "exact", True),
            BudgetLine(tokenizer, f"{demand.template:,} tokens of template", self._found(tokenizer), "must be there",
                       None not in self.artifacts[tokenizer].values()),
            BudgetLine(safety, f"{demand.retries:.3g} written again, {demand.asked:.3g} answers/s",
                       self._found(safety), "must be there", None not in self.artifacts[safety].values()),
        ]  # fmt: skip

    def _found(self, boundary: str) -> str:
        return "; ".join(f"{name}: {file or 'missing'}" for name, file in self.artifacts[boundary].items())

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers and strings."""
        demand = {name: getattr(self.demand, name) for name in Demand.__dataclass_fields__}
        plain = ("dtype", "kv_dtype", "devices", "efficiency", "kind", "longest", "batch", "batch_in_use",
                 "step_seconds", "first_token_seconds", "capacity", "replicas", "binding", "next_binding")  # fmt: skip
        device = {name: getattr(self.device, name) for name in Device.__dataclass_fields__}
        return {
            "model_type": self.model.model_type,
            **{name: getattr(self, name) for name in plain},
            "context": self.demand.context,
            "limits": self.limits,
            "artifacts": self.artifacts,
            "capacity_if_doubled": self.doubled,
            "weight_bytes": self.memory.weight_bytes,
            "kv_cache_bytes": self.memory.kv_cache_bytes,
            "total_bytes": self.memory.low_bytes,
            "demand": demand,
            "device": device,
            "steps": self.memory.as_dict()["steps"],
            "assumptions": list(ASSUMED),
        }


ASSUMED = (
    "memory holds every sequence at its longest, so that none is thrown out; prompts are read in pieces",
    "time counts the caches of sequences that are half written on average, and a prompt read for each answer",
    "each sequence of an answer keeps and reads a cache of its own; no prompt shares one with another",
    "devices of a replica share its work without loss; nobody waits; the GB of a data sheet are 10⁹ bytes",
)
"""What a budget rests on, a sentence each."""


def seconds_as_text(seconds: float) -> str:
    """Seconds with three digits, in milliseconds below one."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
