"""Simulated engines, against queueing theory, the roofline, and laws that hold for any queue."""

import random
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh.memory.batching import _steps_until
from weigh.memory.serving_times import _student

TRACE = Path("snippets/inference/arrivals.csv")
H100 = {"bandwidth": 3.35e12, "flops": 989e12}
STEP = weigh.LinearCost(fixed=1.0)
"""A step of a second, whatever is in it."""

requests_of = st.lists(
    st.builds(weigh.Request, st.floats(0, 50), st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=25
)
costs = st.builds(
    weigh.LinearCost, st.floats(0.01, 2), st.floats(0, 0.5), st.floats(0, 0.01), st.integers(1, 3)
)  # fmt: skip


def slowly(requests: list[weigh.Request], cost: weigh.StepCost, batch: int) -> list[tuple[float, float]]:
    """First and last tokens by continuous batching, one step and one sequence at a time: the definition."""
    waiting = sorted(enumerate(requests), key=lambda pair: pair[1].arrival)
    times = {number: [0.0, 0.0] for number, _ in waiting}
    running: list[list[int]] = []  # the request, its cached tokens, the tokens it still gets
    now = 0.0
    while waiting or running:
        if not running and waiting[0][1].arrival > now:
            now = waiting[0][1].arrival
        new = []
        while waiting and waiting[0][1].arrival <= now and len(running) + len(new) < batch:
            new.append(waiting.pop(0))
        memory, compute = cost.shared(len(running) + sum(one.prompt for _, one in new), len(running) + len(new))
        work = [cost.looking_back(one[1]) for one in running] + [cost.reading(0, one.prompt) for _, one in new]
        now += max(
            memory + sum(each[0] for each in work) * cost.per_byte,
            compute + sum(each[1] for each in work) * cost.per_flop,
        )
        for one in running:
            one[1], one[2] = one[1] + 1, one[2] - 1
        for number, request in new:
            times[number][0] = now
            running.append([number, request.prompt, request.generated - 1])
        for one in [one for one in running if not one[2]]:
            times[one[0]][1] = now
            running.remove(one)
    return [(first, last) for first, last in times.values()]


@settings(max_examples=60, deadline=None)
@given(requests_of, costs, st.integers(1, 5))
def test_many_steps_at_once_are_as_many_steps_one_by_one(
    requests: list[weigh.Request], cost: weigh.LinearCost, batch: int
) -> None:
    run = weigh.simulate_serving(requests, cost, batch=batch)
    expected = sorted(slowly(requests, cost, batch))
    assert sorted((each.first, each.finish) for each in run.requests) == [
        (pytest.approx(first), pytest.approx(last)) for first, last in expected
    ]


@pytest.mark.parametrize("name", ["llama-3-8b", "mistral-7b", "gemma-2-2b", "deepseek-v2-lite", "mixtral-8x7b"])
def test_windows_and_experts_are_summed_as_they_bend(name: str) -> None:
    cost = weigh.RooflineCost(weigh.params(f"models/{name}"), **H100)
    generator = random.Random(0)
    requests = [
        weigh.Request(generator.uniform(0, 2), generator.randint(4000, 4200), generator.randint(1, 120))
        for _ in range(12)
    ]
    run = weigh.simulate_serving(requests, cost, batch=6)
    found = sorted((each.first, each.finish) for each in run.requests)
    assert found == [
        (pytest.approx(a, rel=1e-9), pytest.approx(b, rel=1e-9)) for a, b in sorted(slowly(requests, cost, 6))
    ]


@pytest.mark.parametrize("name", ["llama-3-8b", "gemma-2-9b", "gpt2", "mamba-130m", "deepseek-v3", "qwen3-30b-a3b"])
def test_a_step_costs_what_its_bound_says(name: str) -> None:
    model = weigh.params(f"models/{name}")
    cost = weigh.RooflineCost(model, **H100)
    for context, batch in ((1, 1), (500, 8), (1000, 64)):
        decode = weigh.decode_bound(model, context=context, batch=batch, **H100)
        memory, compute = cost.shared(batch, batch)
        moved, flops = cost.looking_back(context)
        seconds = max(memory + batch * moved / 3.35e12, compute + batch * flops / 989e12)
        assert seconds == pytest.approx(decode.seconds, rel=1e-6)
        prefill = weigh.prefill_bound(model, context=context, batch=batch, **H100)
        memory, compute = cost.shared(batch * context, batch)
        moved, flops = cost.reading(0, context)
        seconds = max(memory + batch * moved / 3.35e12, compute + batch * flops / 989e12)
        assert seconds == pytest.approx(prefill.seconds, rel=1e-6)
    half = weigh.RooflineCost(model, **H100, efficiency=0.5)
    assert half.per_byte == pytest.approx(2 * cost.per_byte)
    assert half.on(**H100).per_byte == pytest.approx(cost.per_byte)


def test_a_prompt_in_pieces_does_the_same_attention() -> None:
    for name in ("llama-3-8b", "gemma-2-9b"):
        cost = weigh.RooflineCost(weigh.params(f"models/{name}"), **H100)
        pieces = [cost.reading(before, 1000)[1] for before in range(0, 6000, 1000)]
        assert sum(pieces) == cost.reading(0, 6000)[1]


def exponential_queue(load: float, deterministic: bool, seed: int, count: int = 4000) -> float:
    """The mean wait of a queue with one place, in mean services, with services of many short steps."""
    generator = random.Random(seed)
    steps = 1000
    lengths = [(1, steps if deterministic else max(1, round(generator.expovariate(1 / steps)))) for _ in range(count)]
    requests = weigh.random_arrivals(lengths, load, seed=seed)
    run = weigh.simulate_serving(requests, weigh.LinearCost(1 / steps), batch=1)
    return fmean(run.times("waiting"))


@pytest.mark.parametrize(("deterministic", "expected"), [(False, 0.6 / 0.4), (True, 0.6 / 0.4 / 2)])
def test_a_single_place_waits_as_m_m_1_and_m_d_1_do(deterministic: bool, expected: float) -> None:
    """Pollaczek and Khinchine: load / (1 - load) services, and half of it if all are as long."""
    waits = [exponential_queue(0.6, deterministic, seed) for seed in range(6)]
    spread = (sum((wait - fmean(waits)) ** 2 for wait in waits) / 5 / 6) ** 0.5
    assert abs(fmean(waits) - expected) < 3.5 * spread + 0.01 * expected


@settings(max_examples=60, deadline=None)
@given(requests_of, costs, st.integers(1, 5), st.sampled_from(["continuous", "static"]), st.none() | st.integers(6, 50))
def test_laws_of_any_engine(
    requests: list[weigh.Request], cost: weigh.LinearCost, batch: int, batching: str, step_tokens: int | None
) -> None:
    run = weigh.simulate_serving(requests, cost, batch=batch, batching=batching, step_tokens=step_tokens)  # type: ignore[arg-type]
    assert sorted(each.request.arrival for each in run.requests) == sorted(one.arrival for one in requests)
    assert all(each.request.arrival <= each.start < each.first <= each.finish for each in run.requests)
    assert run.largest_batch <= batch
    assert run.padding_tokens >= 0
    if batching == "continuous":
        assert run.padding_tokens == 0, "no token goes through the model for nobody"
        # Little's law: the sequences in service, summed over time, are the times in service, summed over requests.
        served = sum(each.finish - each.start for each in run.requests)
        assert run.sequence_seconds == pytest.approx(served)
    starts = [each.start for each in run.requests]
    assert starts == sorted(starts), "first come, first served"
    assert weigh.simulate_serving(requests, cost, batch=batch, batching=batching, step_tokens=step_tokens) == run  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=25), st.integers(1, 5))
def test_no_answer_is_later_than_with_static_batches(lengths: list[tuple[int, int]], batch: int) -> None:
    """If all are there at once and a step takes a second, a place that is free earlier starts the next one earlier."""
    requests = [weigh.Request(0.0, *each) for each in lengths]
    static, continuous = (
        weigh.simulate_serving(requests, STEP, batch=batch, batching=batching)  # type: ignore[arg-type]
        for batching in ("static", "continuous")
    )
    assert all(a.finish <= b.finish for a, b in zip(continuous.requests, static.requests, strict=True))


def test_static_batches_pay_for_the_longest() -> None:
    requests = [weigh.Request(0, 4, 1), weigh.Request(0, 10, 6)]
    run = weigh.simulate_serving(requests, STEP, batch=2, batching="static")
    assert [each.finish for each in run.requests] == [1, 6]
    assert run.padding_tokens == (10 - 4) + (6 - 1)
    assert run.sequence_seconds == 12


def test_the_cache_limits_a_batch() -> None:
    requests = [weigh.Request(0, 10, 11) for _ in range(6)]
    run = weigh.simulate_serving(requests, STEP, batch=6, cache_limit=2 * 21)
    assert run.largest_batch == 2
    assert [each.start for each in run.requests] == [0, 0, 11, 11, 22, 22]
    static = weigh.simulate_serving(requests, STEP, batch=6, cache_limit=2 * 21, batching="static")
    assert static.largest_batch == 2


def test_a_prompt_in_pieces_holds_nobody_up() -> None:
    cost = weigh.LinearCost(fixed=1.0, per_token=0.01)
    requests = [weigh.Request(0, 1, 40), weigh.Request(3, 3000, 2)]
    whole, pieces = (weigh.simulate_serving(requests, cost, batch=2, step_tokens=n) for n in (None, 101))
    assert pieces.times("per_token")[0] < whole.times("per_token")[0]
    assert pieces.times("first_token")[1] > whole.times("first_token")[1]


def test_steps_until() -> None:
    for gap, seconds, growth in ((10.0, 1.0, 0.0), (10.0, 1.0, 0.3), (0.5, 1.0, 0.1), (7.3, 0.2, 0.05)):
        steps = _steps_until(gap, seconds, growth)

        def took(n: int, seconds: float = seconds, growth: float = growth) -> float:
            return n * seconds + growth * n * (n - 1) / 2

        assert took(steps) >= gap - 1e-9
        assert steps == 1 or took(steps - 1) < gap


def test_a_real_trace() -> None:
    requests = weigh.read_arrivals(TRACE)
    assert len(requests) == 4424
    cost = weigh.RooflineCost(weigh.params("models/llama-3-8b"), **H100)
    run = weigh.simulate_serving(requests, cost, batch=256, step_tokens=2048)
    assert run.tokens == sum(one.prompt + one.generated - 1 for one in requests)
    facts = run.as_dict()
    assert facts["requests"] == 4424
    assert facts["first_token_p99"][1] < facts["first_token_p99"][0] < facts["first_token_p99"][2]


def test_percentiles_are_order_statistics() -> None:
    times = list(range(1, 1001))
    random.Random(0).shuffle(times)
    found = weigh.percentile(times, 0.99)
    assert (found.value, found.count) == (990, 1000)
    assert found.low is not None and found.low < 990
    assert weigh.percentile(times[:100], 0.99).high is None, "a hundred say nothing of where p99 ends"
    assert weigh.percentile(times[:30], 0.5).low is None
    assert weigh.percentile([7.0], 0.5).value == 7.0
    assert weigh.percentile(list(range(1, 101)), 0.55).value == 55, "0.55 · 100 is a little more than 55 in floats"
    assert [_student(degrees) for degrees in (4, 19)] == [
        pytest.approx(2.776, abs=0.01),
        pytest.approx(2.093, abs=2e-4),
    ]


@pytest.mark.parametrize("stays", [0.0, 0.9])
def test_the_interval_covers_the_percentile_of_dependent_times(stays: float) -> None:
    """An autoregression of which the percentile is known; with neighbours taken for independent it would not."""
    covered = counted = 0
    for seed in range(120):
        generator, value, times = random.Random(seed), random.Random(-1 - seed).gauss(0, 1), []
        for _ in range(1500):
            value = stays * value + (1 - stays**2) ** 0.5 * generator.gauss(0, 1)
            times.append(value)
        found = weigh.percentile(times, 0.9)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1.2815515655 <= found.high
        counted += found.independent < 0.6 * found.count
    assert covered >= 106, "95 % are promised"
    assert (counted > 90) == (stays > 0)


def test_arrivals_at_random_are_poisson() -> None:
    requests = weigh.random_arrivals([(1, 1)] * 20_000, 5.0, seed=1)
    assert weigh.arrival_rate(requests) == pytest.approx(5, rel=0.03)
    assert weigh.dispersion(requests, 10) == pytest.approx(1, abs=0.25)
    assert weigh.dispersion(weigh.read_arrivals(TRACE), 60) > 2
    assert weigh.arrival_rate(weigh.scaled_arrivals(requests, 3)) == pytest.approx(
        3 * weigh.arrival_rate(requests)
    )  # fmt: skip
    drawn = weigh.random_arrivals([(3, 4), weigh.Request(9, 5, 6)], 1.0, count=50)
    assert {(one.prompt, one.generated) for one in drawn} == {(3, 4), (5, 6)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'seconds'"),
        ("seconds,prompt_tokens\n", "has no column 'generated_tokens'"),
        ("seconds,prompt_tokens,generated_tokens\n", "has no rows"),
        ("seconds,prompt_tokens,generated_tokens\n1,2\n", "line 2: must have a time and two whole numbers"),
        ("seconds,prompt_tokens,generated_tokens\n1,2,x\n", "line 2: must have a time"),
        ("seconds,prompt_tokens,generated_tokens\n1,2,3\nnan,2,3\n", "line 3: arrival: must be seconds from 0"),
        ("seconds,prompt_tokens,generated_tokens\n1,0,3\n", "line 2: prompt tokens"),
        ("seconds,prompt_tokens,generated_tokens\n1,1,999999999999\n", "at most 100,000,000"),
        ("seconds,prompt_tokens,generated_tokens\n1,1,\"3\0\"\n", "line 2: must have"),
        (b"\xff\xfe\x00", "is no CSV file in UTF-8"),
    ],
)  # fmt: skip
def test_a_trace_that_is_none(text: str | bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(weigh.WeighError, match=said) as caught:
        weigh.read_arrivals(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_simulated() -> None:
    one = [weigh.Request(0, 10, 10)]
    for wrong, said in (
        ({"batch": 0}, "batch"),
        ({"batch": 2, "batching": "dynamic"}, "continuous or static"),
        ({"batch": 2, "step_tokens": 2}, "more than the batch"),
        ({"batch": 2, "cache_limit": 19}, "one request needs 20"),
    ):
        with pytest.raises(weigh.WeighError, match=said):
            weigh.simulate_serving(one, STEP, **wrong)  # type: ignore[arg-type]
    with pytest.raises(weigh.WeighError, match="there are none"):
        weigh.simulate_serving([], STEP, batch=1)
    with pytest.raises(weigh.WeighError, match="seconds from 0"):
        weigh.LinearCost(-1)
    with pytest.raises(weigh.WeighError, match="efficiency"):
        weigh.RooflineCost(weigh.params("models/gpt2"), **H100, efficiency=1.5)
    with pytest.raises(weigh.WeighError, match="is no decoder"):
        weigh.RooflineCost(weigh.params("models/bert-base"), **H100)
    with pytest.raises(weigh.WeighError, match="one of waiting"):
        weigh.simulate_serving(one, STEP, batch=1).times("speed")
