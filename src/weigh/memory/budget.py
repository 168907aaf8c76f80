"""The question `weigh budget` answers: how many replicas serve this model at this rate and latency, and what binds?

A replica is one model on one device, or on several that share its work without loss. It takes a batch of sequences
that is as large as its memory holds and as the latency allows, and reads a prompt for each answer that it ends. Per
step of B sequences it moves at least the weights once, the caches of all and what their prompts write, and does at
least the operations of their tokens and of their share of prompts. The slower of the two bounds the step, so that a
replica serves at most B / (tokens of an answer · seconds of a step) requests. **No engine serves more**, unless it
skips work that is counted here: prompts that share a cache, drafts, sparse attention.
"""

from dataclasses import replace
from math import ceil, inf

from weigh.memory.budget_sheet import Budget, Demand, artifacts_beside
from weigh.memory.devices import Device
from weigh.memory.inference import Serving, largest_fitting
from weigh.memory.step_costs import RooflineCost
from weigh.models.parameters import Model
from weigh.units import positive

RESOURCES = ("memory capacity", "memory bandwidth", "compute", "latency target")
"""What may bind, and what `Budget.doubled` doubles."""


def budget(
    model: Model,
    device: Device,
    demand: Demand,
    *,
    dtype: str = "bfloat16",
    kv_dtype: str | None = None,
    devices: int = 1,
    efficiency: float = 1.0,
) -> Budget:
    """One deployment worked through its boundaries: the batch, the bounds on latency and rate, and the replicas.

    Args:
        model: What `weigh.params` counted: a decoder.
        device: What it runs on.
        demand: What users ask for, and how long they wait.
        dtype, kv_dtype: The formats of weights and cache, as for `weigh.inference`.
        devices: How many devices share a replica: memory, bandwidth and operations of all, and no cost of sharing.
        efficiency: The share of the sheet's bandwidth and operations that an engine was measured to reach. With 1 the
            figures are bounds.

    Raises:
        ContextTooLong: If there are more tokens than the model has learned positions for.
        WeighError: If the model is no decoder, or a figure is impossible.
    """
    positive("devices", devices)
    whole = replace(
        device, memory=device.memory * devices, bandwidth=device.bandwidth * devices, flops=device.flops * devices
    )
    tokens = model.tokens("context", demand.context, demand.context)
    serving = Serving(model, dtype, kv_dtype, prefill=1)
    rates = {"bandwidth": whole.bandwidth, "flops": whole.flops, "efficiency": efficiency}
    replica = _Replica(serving, RooflineCost(model, dtype=dtype, kv_dtype=kv_dtype, **rates), whole, demand)
    batch = replica.batch()
    capacity = replica.capacity(batch)
    fits = model.longest is None or tokens <= model.longest
    waits = demand.first_token is None or replica.first_token <= demand.first_token
    feasible = fits and waits and capacity > 0
    needed = max(1, ceil(demand.asked / capacity - 1e-9)) if feasible else None
    order = replica.binding()
    if not fits or not waits:
        order = ["time to first token" if fits else "context length", *order]
    busy = replica.batch_for(demand.asked / needed, batch) if needed else 0
    return Budget(
        model=model, device=device, demand=demand, dtype=serving.dtype, kv_dtype=serving.kv_dtype,
        devices=devices, efficiency=efficiency, longest=model.longest, batch=batch if feasible else 0,
        limits=replica.limits(), batch_in_use=busy, step_seconds=replica.step(busy) if busy else None,
        first_token_seconds=replica.first_token, capacity=capacity if feasible else 0.0, replicas=needed,
        binding=order[0], next_binding=order[1],
        doubled={name: replica.twice(name).most() if fits and waits else 0.0 for name in RESOURCES},
        memory=serving.estimate(demand.context, max(batch, demand.sequences)),
        artifacts=artifacts_beside(model.config.where),
    )  # fmt: skip


class _Replica:
    """What one replica can do, with the formulas of the module's docstring."""

    def __init__(self, serving: Serving, cost: RooflineCost, device: Device, demand: Demand) -> None:
        self.serving, self.cost, self.device, self.demand = serving, cost, device, demand
        prompt = demand.prompt + demand.template
        written, attended = self.cost.reading(0, prompt)
        weights, multiplied = self.cost.shared(prompt, 1)
        prefill = multiplied + attended * self.cost.per_flop
        self.first_token = max(weights + written * self.cost.per_byte, prefill)
        self.tokens = demand.generated - 1  # the first one comes with the prompt
        own, looked = self.cost.looking_back(prompt + (self.tokens - 1) // 2)
        share = demand.sequences * self.tokens
        self.bytes_seconds = (own + written / share) * self.cost.per_byte
        self.flops_seconds = looked * self.cost.per_flop + prefill / share

    def moving(self, batch: int) -> float:
        """Seconds of a step to move its bytes."""
        return self.cost.shared(batch, batch)[0] + batch * self.bytes_seconds

    def computing(self, batch: int) -> float:
        """Seconds of a step to do its operations."""
        return self.cost.shared(batch, batch)[1] + batch * self.flops_seconds

    def step(self, batch: int) -> float:
        """Seconds of a step."""
        return max(self.moving(batch), self.computing(batch))

    def limits(self) -> dict[str, int | None]:
        """The most sequences that each resource allows; `None` where it sets no limit."""
        context, target = self.demand.context, self.demand.per_token
        return {
            "memory capacity": largest_fitting(lambda batch: self.serving.low(context, batch) <= self.device.memory),
            "memory bandwidth": largest_fitting(lambda batch: self.moving(batch) <= target),
            "compute": largest_fitting(lambda batch: self.computing(batch) <= target),
        }

    def batch(self) -> int:
        """The most sequences within all limits: whole requests."""
        limits = [limit for limit in self.limits().values() if limit is not None]
        return min(limits, default=2**40) // self.demand.sequences * self.demand.sequences

    def capacity(self, batch: int) -> float:
        """The most requests in a second, with so many sequences at a time."""
        return batch / (self.demand.sequences * self.tokens * self.step(batch)) if batch else 0.0

    def most(self) -> float:
        """The most requests in a second."""
        return self.capacity(self.batch())

    def batch_for(self, rate: float, most: int) -> int:
        """The fewest sequences at a time that carry a rate."""
        each = self.demand.sequences
        fewer = largest_fitting(lambda requests: self.capacity(requests * each) < rate * (1 - 1e-12))
        return min(most, ((fewer or 0) + 1) * each)

    def twice(self, resource: str) -> "_Replica":
        """The same with twice as much of a resource, or twice the time."""
        device, demand, cost = self.device, self.demand, self.cost
        if resource == "latency target":
            demand = replace(demand, per_token=2 * demand.per_token)
        elif resource == "memory capacity":
            device = replace(device, memory=2 * device.memory)
        else:
            bandwidth, flops = (2 if resource == name else 1 for name in ("memory bandwidth", "compute"))
            cost = cost.on(bandwidth / cost.per_byte, flops / cost.per_flop)
        return _Replica(self.serving, cost, device, demand)

    def binding(self) -> list[str]:
        """What binds, and what binds next once there is twice as much of that: where twice as much helps most.

        Where it helps nowhere, what allows the fewest sequences.
        """
        order, replica = [], self
        for _ in range(2):
            gains = {name: replica.twice(name).most() for name in RESOURCES[:3]}
            best = max(gains, key=lambda name: gains[name])
            if gains[best] <= replica.most() * (1 + 1e-9):
                limits = {name: inf if limit is None else limit for name, limit in replica.limits().items()}
                best = min(limits, key=lambda name: limits[name])
            order.append(best)
            replica = replica.twice(best)
        return order
