"""`weigh budget`: bounds that agree with the estimates they are made of, and move as bounds must."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh.cli import weigh as command
from weigh.memory.budget import RESOURCES
from weigh.memory.planner import parse_seconds

EIGHT = weigh.params("models/llama-3-8b")
H100 = weigh.find_device("h100")
USUAL = weigh.Demand(rate=20, prompt=1173, generated=254, per_token=0.03, first_token=1.0)


def run(*args: object) -> Result:
    return CliRunner().invoke(command, ["budget", *map(str, args)])


def asked(*more: object) -> Result:
    return run("models/llama-3-8b", "--latency", "30ms", "--rate", 20, "--prompt", 1173, "--generated", 254, *more)


def test_totals_are_those_of_the_estimates() -> None:
    found = weigh.budget(EIGHT, H100, USUAL)
    memory = weigh.inference(EIGHT, context=1173 + 254, batch=found.batch, prefill=1)
    assert found.memory == memory
    assert found.limits["memory capacity"] == weigh.largest_batch(EIGHT, 80 * weigh.GB, context=1427, bound=True)
    rates = {"bandwidth": H100.bandwidth, "flops": H100.flops}
    prefill = weigh.prefill_bound(EIGHT, context=1173, **rates)
    assert found.first_token_seconds == pytest.approx(prefill.seconds)
    decode = weigh.decode_bound(EIGHT, context=1173 + 126, batch=found.batch_in_use, **rates)
    assert found.step_seconds is not None
    assert decode.seconds < found.step_seconds < 1.2 * decode.seconds, "beside what the step does for prompts"
    assert (found.replicas, found.kind, found.binding) == (1, "bound", "compute")


def test_a_simulated_engine_serves_no_more_than_the_bound() -> None:
    demand = replace(USUAL, rate=1000.0)
    found = weigh.budget(EIGHT, H100, demand)
    crowd = [weigh.Request(number / 60, 1173, 254) for number in range(3000)]
    served = weigh.simulate_replicas(found, crowd, 1, step_tokens=found.batch + 2000)
    assert 0.85 * found.capacity < served.requests_per_second < found.capacity
    assert served.largest_batch == found.batch


ask = st.builds(
    weigh.Demand,
    rate=st.floats(0.1, 500),
    prompt=st.integers(1, 3000),
    generated=st.integers(2, 2000),
    per_token=st.floats(0.004, 0.2),
    template=st.integers(0, 50),
    sequences=st.integers(1, 4),
    retries=st.floats(0, 0.9),
)
devices = st.sampled_from(list(weigh.DEVICES.values()))
models = st.sampled_from([weigh.params(f"models/{name}") for name in ("llama-3-8b", "gemma-2-2b", "tinyllama-1.1b")])


@settings(max_examples=6, deadline=None)
@given(models, devices, ask)
def test_bounds_move_as_they_must(model: weigh.Model, device: weigh.Device, demand: weigh.Demand) -> None:
    found = weigh.budget(model, device, demand)
    more = weigh.budget(model, device, replace(demand, rate=1.5 * demand.rate))
    assert (more.replicas is None) == (found.replicas is None)
    assert (more.replicas or 0) >= (found.replicas or 0), "more rate never needs fewer replicas"
    stricter = weigh.budget(model, device, replace(demand, per_token=0.7 * demand.per_token))
    assert stricter.batch <= found.batch, "a stricter latency never allows a larger batch"
    assert stricter.capacity <= found.capacity * (1 + 1e-9)
    better = weigh.budget(model, replace(device, memory=2 * device.memory, bandwidth=2 * device.bandwidth), demand)
    assert better.capacity >= found.capacity * (1 - 1e-9)
    worse = weigh.budget(model, device, demand, efficiency=0.5)
    assert worse.capacity <= found.capacity and worse.kind == "estimate"
    assert all(capacity >= found.capacity * (1 - 1e-9) for capacity in found.doubled.values())
    assert tuple(found.doubled) == RESOURCES
    if found.replicas:
        assert found.batch % demand.sequences == found.batch_in_use % demand.sequences == 0
        assert found.step_seconds is not None and found.step_seconds <= demand.per_token * (1 + 1e-9)
        assert found.batch_in_use <= found.batch
        assert found.replicas * found.capacity >= demand.asked * (1 - 1e-6)
        assert (found.replicas - 1) * found.capacity < demand.asked
        assert found.memory.low_bytes <= device.memory


def test_what_cannot_be_met_says_what_binds() -> None:
    too_slow = weigh.budget(EIGHT, weigh.find_device("l4"), USUAL)
    assert (too_slow.replicas, too_slow.batch, too_slow.capacity) == (None, 0, 0)
    assert too_slow.binding == "memory bandwidth", "the weights alone take longer to read"
    too_large = weigh.budget(weigh.params("models/llama-3-70b"), H100, USUAL)
    assert (too_large.binding, too_large.replicas) == ("memory capacity", None)
    assert weigh.budget(weigh.params("models/llama-3-70b"), H100, USUAL, devices=4).replicas
    too_long = weigh.budget(EIGHT, H100, replace(USUAL, prompt=8000))
    assert (too_long.binding, too_long.replicas) == ("context length", None)
    too_late = weigh.budget(EIGHT, H100, replace(USUAL, first_token=0.001))
    assert (too_late.binding, too_late.replicas) == ("time to first token", None)
    with pytest.raises(weigh.WeighError, match="no replica meets it; time to first token binds"):
        weigh.simulate_replicas(too_late, [weigh.Request(0, 1, 1)], 1)


def test_the_sheet_has_seven_boundaries_and_names_what_is_missing(tmp_path: Path) -> None:
    found = weigh.budget(
        weigh.params("models/quill"), H100, weigh.Demand(rate=1.0, prompt=100, generated=50, per_token=0.03)
    )
    boundaries = list(dict.fromkeys(line.boundary for line in found.lines))
    assert len(boundaries) == 7
    assert all(line.holds for line in found.lines)
    assert "tokenizer.json" in found.lines[-2].found
    (tmp_path / "config.json").write_bytes(Path("models/quill/config.json").read_bytes())
    bare = weigh.budget(weigh.params(tmp_path), H100, weigh.Demand(rate=1.0, prompt=100, generated=50, per_token=0.03))
    assert [line.boundary for line in bare.lines if not line.holds] == boundaries[-2:]
    assert "missing" in bare.lines[-1].found


def test_replicas_that_keep_a_promise() -> None:
    requests = weigh.read_arrivals("snippets/inference/arrivals.csv")[:600]
    found = weigh.budget(EIGHT, H100, replace(USUAL, rate=60.0, per_token=0.02, first_token=0.5))
    arriving = weigh.scaled_arrivals(requests, 60 / weigh.arrival_rate(requests))
    replicas, served = weigh.replicas_for(found, arriving, share=0.95)
    assert found.replicas is not None and replicas >= found.replicas
    assert served.percentile("per_token", 0.95).value <= 0.02
    assert served.percentile("first_token", 0.95).value <= 0.5
    with pytest.raises(weigh.WeighError, match="a replica for each request"):
        weigh.replicas_for(replace(found, demand=replace(found.demand, per_token=1e-4)), arriving[:3])


def test_json_has_what_the_library_says() -> None:
    done = asked("--first-token", "1s", "--device", "h100", "--json")
    assert done.exit_code == 0
    facts = json.loads(done.output)
    assert facts == json.loads(json.dumps(weigh.budget(EIGHT, H100, USUAL).as_dict() | EIGHT.provenance))
    assert facts["total_bytes"] > facts["weight_bytes"] + facts["kv_cache_bytes"]
    given_numbers = asked("--first-token", "1s", "--device", "80GB", "--bandwidth", "3.35TB/s", "--flops", "989e12",
                          "--json")  # fmt: skip
    assert json.loads(given_numbers.output)["capacity"] == facts["capacity"]


def test_the_table_and_the_work() -> None:
    done = asked("--device", "h100", "--show-work")
    assert done.exit_code == 0
    for text in ("context and shape", "replicas: 1 at least", "binding: compute; then memory", "bound",
                 "assumed: ", "keys and values, 32 layers = "):  # fmt: skip
        assert text in done.output
    estimate = asked("--device", "h100", "--efficiency", 0.5)
    assert "estimate" in estimate.output


def test_every_device_and_a_trace(tmp_path: Path) -> None:
    lines = Path("snippets/inference/arrivals.csv").read_text().splitlines()[:301]
    trace = tmp_path / "trace.csv"
    trace.write_text("\n".join(lines))
    done = run("models/llama-3-8b", "--latency", "30ms", "--trace", trace, "--json")
    sheets = json.loads(done.output)["devices"]
    assert [sheet["device"]["name"] for sheet in sheets] == list(weigh.DEVICES)
    (h100,) = (sheet for sheet in sheets if sheet["device"]["name"] == "h100")
    assert h100["simulated"]["replicas"] >= h100["replicas"] == 1
    assert h100["simulated"]["requests"] == 300
    shown = run("models/llama-3-8b", "--latency", "30ms", "--trace", trace)
    assert shown.exit_code == 0 and "h200" in shown.output
    one = run("models/llama-3-8b", "--latency", "30ms", "--trace", trace, "--device", "h100")
    assert "replicas for p95 of the trace, simulated: 1" in one.output
    assert "the longest request of the trace" not in one.output
    trace.write_text("\n".join(lines) + "\n99,9000,9\n")
    long = run("models/llama-3-8b", "--latency", "30ms", "--trace", trace, "--device", "h100")
    assert "the longest request of the trace has 9,009 tokens, and the model is made for 8,192" in long.output


def test_a_trace_that_no_replica_keeps_up_with(tmp_path: Path) -> None:
    """Its requests are of a mean length that fits, and one is too long for the memory or the time."""
    trace = tmp_path / "trace.csv"
    rows = [f"{number},100,50" for number in range(60)]
    trace.write_text("\n".join(["seconds,prompt_tokens,generated_tokens", *rows, "60,400000,50"]))
    args = ("models/llama-3-8b", "--latency", "30ms", "--trace", trace, "--prompt", 100, "--device", "l40s")
    facts = json.loads(run(*args, "--json").output)
    assert (facts["simulated"]["replicas"], facts["replicas"]) == (None, 1)
    assert "one request needs" in facts["simulated"]["problem"]
    assert "simulated: none are enough" in run(*args).output
    trace.write_text("\n".join(["seconds,prompt_tokens,generated_tokens", *rows]))
    late = json.loads(run(*args, "--first-token", "25ms", "--json", "--step-tokens", 20).output)
    assert late["simulated"]["problem"] == "p95 misses it with a replica for each request"


def test_what_cannot_be_met_exits_with_one() -> None:
    from weigh.cli import main

    args = {"--latency": "1ms", "--rate": "1", "--prompt": "9", "--generated": "9", "--device": "l4"}
    with pytest.raises(SystemExit) as ended:
        main(["budget", "models/llama-3-8b", *(part for pair in args.items() for part in pair)])
    assert ended.value.code == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("absent",), "absent: no such file"),
        (("models/llama-3-8b", "--latency", "fast"), "time 'fast'"),
        (("models/llama-3-8b", "--latency", "0ms"), "time per token: must be above 0"),
        (("models/llama-3-8b", "--rate", "nan"), "rate: must be above 0"),
        (("models/llama-3-8b", "--rate", "-1"), "rate: must be above 0"),
        (("models/llama-3-8b", "--generated", "1"), "generated tokens: must be 2 at least"),
        (("models/llama-3-8b", "--retries", "1"), "retries: must be a share"),
        (("models/llama-3-8b", "--efficiency", "0"), "efficiency: must be above 0"),
        (("models/llama-3-8b", "--first-token", "0s"), "time to first token"),
        (("models/llama-3-8b", "--device", "h900"), "device 'h900': not known to weigh"),
        (("models/llama-3-8b", "--device", "24G", "--bandwidth", "1TB", "--flops", "1e12"), "size '24G': needs a unit"),
        (("models/llama-3-8b", "--device", "24GB", "--bandwidth", "1TB", "--flops", "nan"), "FLOP/s above 0"),
        (("models/llama-3-8b", "--bandwidth", "1TB"), "--bandwidth and --flops are given together"),
        (("models/llama-3-8b", "--dtype", "int3"), "format 'int3'"),
        (("models/gpt2", "--prompt", "2000"), "gpt2 has learned 1,024 positions"),
        (("models/bert-base", "--prompt", "100"), "is no decoder"),
        (("models/llama-3-8b", "--trace", "absent.csv"), "absent.csv: no such file"),
    ],
)
def test_bad_input_is_one_line(args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from weigh.cli import main

    defaults = {"--latency": "30ms", "--rate": "20", "--prompt": "1173", "--generated": "254"}
    filled = [part for name, value in defaults.items() if name not in args for part in (name, value)]
    with pytest.raises(SystemExit) as ended:
        main(["budget", *args, *filled])
    shown: Any = capsys.readouterr()
    assert (ended.value.code, shown.out) == (2, "")
    assert shown.err.count("\n") == 1 and said in shown.err


def test_what_is_not_said_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    from weigh.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["budget", "models/quill", "--latency", "30ms"])
    assert ended.value.code == 2
    assert "give --rate, or a --trace" in capsys.readouterr().err


def test_times_are_read_in_milliseconds_too() -> None:
    assert parse_seconds("30ms") == pytest.approx(0.03)


def test_the_least_demand_takes_a_replica_too() -> None:
    assert weigh.budget(EIGHT, H100, replace(USUAL, rate=1e-300)).replicas == 1


@pytest.mark.parametrize("efficiency, flops", [(1e-320, 1e14), (1.0, 1e-320)])
def test_a_rate_whose_inverse_is_no_number_is_refused(efficiency: float, flops: float) -> None:
    with pytest.raises(weigh.WeighError, match="1 in a second"):
        weigh.budget(EIGHT, replace(H100, flops=flops), USUAL, efficiency=efficiency)
