"""How many replicas keep a promise to a share of users? The bound of a budget, then a simulation of those who come."""

from collections.abc import Sequence
from math import inf

from weigh.errors import WeighError
from weigh.memory.arrivals import Request
from weigh.memory.batching import simulate_serving
from weigh.memory.budget_sheet import Budget
from weigh.memory.serving_times import ServingRun
from weigh.units import positive


def simulate_replicas(
    found: Budget, requests: Sequence[Request], replicas: int, *, step_tokens: int | None = None
) -> ServingRun:
    """The times of requests that go to replicas in turn, each with the batch and the memory of a budget.

    Args:
        found: A budget that is feasible.
        requests: Who arrives when.
        replicas: How many there are.
        step_tokens: As for `weigh.simulate_serving`.

    Raises:
        WeighError: If no replica can serve this.
    """
    if not found.replicas:
        raise WeighError("budget", f"no replica meets it; {found.binding} binds")
    positive("replicas", replicas)
    extra, cost = found.demand.template, found.cost()
    longer = [Request(each.arrival, each.prompt + extra, each.generated) for each in requests]
    room = found.device.memory * found.devices - found.memory.weight_bytes
    limit = max(1, min(found.batch, len(longer), step_tokens - 1 if step_tokens else found.batch))
    runs = [
        simulate_serving(longer[number::replicas], cost, batch=limit, cache_limit=room, step_tokens=step_tokens)
        for number in range(min(replicas, len(longer)))
    ]
    served = sorted((each for run in runs for each in run.requests), key=lambda each: each.request.arrival)
    return ServingRun(
        tuple(served), limit, max(run.largest_batch for run in runs), sum(run.steps for run in runs),
        sum(run.busy_seconds for run in runs), sum(run.sequence_seconds for run in runs),
        sum(run.tokens for run in runs),
    )  # fmt: skip


def replicas_for(
    found: Budget, requests: Sequence[Request], *, share: float = 0.95, step_tokens: int | None = None
) -> tuple[int, ServingRun]:
    """The replicas with which a share of requests meets the targets in simulation, where one fewer misses them.

    The search starts at the bound, doubles, and then halves the difference.

    Args:
        found: A budget that is feasible.
        requests: Who arrives when.
        share: The percentile that has to meet each target: 0.95 for p95.
        step_tokens: As for `weigh.simulate_serving`.

    Returns:
        The replicas, and what they did.

    Raises:
        WeighError: If no replica can serve this, or not even a replica for each request meets the targets.
    """
    demand = found.demand
    targets = {"per_token": demand.per_token, "first_token": demand.first_token or inf}

    def simulated(replicas: int) -> tuple[bool, ServingRun]:
        run = simulate_replicas(found, requests, replicas, step_tokens=step_tokens)
        met = all(run.percentile(what, share).value <= target for what, target in targets.items() if run.times(what))
        return met, run

    most = max(len(requests), found.replicas or 1)
    low, high = (found.replicas or 1) - 1, found.replicas or 1
    while not (tried := simulated(high))[0]:
        if high >= most:
            raise WeighError("latency target", f"p{100 * share:.0f} misses it with a replica for each request")
        low, high = high, min(2 * high, most)
    best = tried[1]
    while high - low > 1:
        middle = (low + high) // 2
        met, run = simulated(middle)
        low, high, best = (low, middle, run) if met else (middle, high, best)
    return high, best
