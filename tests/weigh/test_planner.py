"""The planner against the published figures, the exact optimum of Daly's model, and simulated runs."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import lambertw

import weigh
from weigh.memory.planner import daly, parse_seconds, plan, wall_time, young

HOUR, DAY = 3600.0, 86400.0


def best(write_time: float, mtbf: float) -> float:
    """Where the derivative of the complete model is zero: (1 − t/M) · e^((t+d)/M) = 1."""
    return mtbf * (1 + lambertw(-math.exp(-write_time / mtbf - 1)).real)


@pytest.mark.parametrize(("mtbf", "published"), [(24 * 60, 117), (6 * 60, 57), (15, 9.1)])
def test_the_intervals_that_daly_published(mtbf: float, published: float) -> None:
    """His figures 3, 4 and 5: five minutes to write, in minutes."""
    assert float(f"{daly(5, mtbf):.3g}" if mtbf > 60 else f"{daly(5, mtbf):.2g}") == pytest.approx(published, abs=0.5)


@given(write_time=st.floats(1e-3, 1e5), ratio=st.floats(1e-6, 3))
def test_dalys_interval_costs_next_to_nothing_more_than_the_best(write_time: float, ratio: float) -> None:
    """For any machine the run is within half a percent of the best; where saving is quick, the interval is exact."""
    mtbf = write_time / ratio
    exact, close = best(write_time, mtbf), daly(write_time, mtbf)
    assert wall_time(1, close, write_time, mtbf) <= 1.005 * wall_time(1, exact, write_time, mtbf)
    if ratio < 0.01:
        assert close == pytest.approx(exact, rel=1e-3)


@given(write_time=st.floats(1, 1e3), ratio=st.floats(1e-3, 1), factor=st.floats(0.2, 5))
def test_no_other_interval_is_better_than_the_best(write_time: float, ratio: float, factor: float) -> None:
    exact, mtbf = best(write_time, write_time / ratio), write_time / ratio
    shortest = wall_time(1, exact, write_time, mtbf)
    assert wall_time(1, factor * exact, write_time, mtbf) >= shortest * (1 - 1e-9)


def simulated(work: float, interval: float, write_time: float, mtbf: float, restart: float, seed: int) -> float:
    """A run of whole intervals, failure by failure. A restart can fail too, and begins anew."""
    random = numpy.random.default_rng(seed)
    clock, failure = 0.0, random.exponential(mtbf)
    for _ in range(round(work / interval)):
        needed = interval + write_time
        while clock + needed > failure:
            clock, failure = failure, failure + random.exponential(mtbf)
            needed = restart + interval + write_time
        clock += needed
    return clock


@pytest.mark.parametrize(("interval", "mtbf"), [(1800.0, 4 * HOUR), (2 * HOUR, 4 * HOUR), (600.0, HOUR)])
def test_simulated_runs_take_the_expected_time(interval: float, mtbf: float) -> None:
    """To the error of the mean of 2,000 runs."""
    work, write_time, restart = 40 * interval, 120.0, 300.0
    runs = [simulated(work, interval, write_time, mtbf, restart, seed) for seed in range(2000)]
    mean, error = numpy.mean(runs), numpy.std(runs) / math.sqrt(len(runs))
    assert abs(mean - wall_time(work, interval, write_time, mtbf, restart)) < 4 * error


def test_the_planned_interval_wins_in_simulation() -> None:
    planned = plan(600 * 10**9, 5e9, 4 * HOUR, 20 * DAY)

    def cost(factor: float) -> float:
        options = (planned.run_time, factor * planned.interval, 120.0, planned.mtbf, planned.restart)
        return float(numpy.mean([simulated(*options, seed) for seed in range(60)]))

    assert cost(1) < min(cost(0.2), cost(5))


def test_a_plan_adds_up() -> None:
    size = weigh.training(weigh.params("models/llama-3-8b"), batch=1, sequence=2048).checkpoint_bytes
    planned = plan(size, 5e9, 8 * HOUR, 30 * DAY, keep=3)
    assert planned.write_time == size / 5e9 == planned.restart
    assert planned.interval == planned.daly == daly(planned.write_time, planned.mtbf)
    assert planned.young == young(planned.write_time, planned.mtbf) > planned.daly
    assert planned.kept_bytes == 4 * size
    assert planned.written_bytes == planned.checkpoints * size
    assert planned.checkpoints == math.ceil(30 * DAY / planned.interval)
    assert 0 < planned.saving_fraction < planned.lost_fraction < 0.05
    # To first order a failure costs half an interval and the restart.
    assert planned.lost_per_failure == pytest.approx(planned.interval / 2 + planned.restart, rel=0.05)
    lost = planned.lost_fraction * planned.wall_time
    saved = planned.saving_fraction * planned.wall_time
    assert lost == pytest.approx(saved + planned.failures * planned.lost_per_failure)


def test_a_machine_that_seldom_fails_saves_once_at_the_end() -> None:
    planned = plan(10**9, 1e9, 10_000 * DAY, DAY / 24, keep=5)
    assert (planned.interval, planned.checkpoints, planned.kept_bytes) == (HOUR, 1, 10**9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"checkpoint_bytes": 0}, {"checkpoint_bytes": 1.5}, {"bandwidth": 0}, {"bandwidth": -1}, {"mtbf": 0},
        {"mtbf": math.nan}, {"mtbf": math.inf}, {"run_time": 0}, {"keep": 0}, {"restart": -1}, {"interval": 0},
        {"interval": 2 * DAY}, {"mtbf": 1e-3},
    ],
)  # fmt: skip
def test_impossible_input_is_refused(wrong: dict[str, float]) -> None:
    right = {"checkpoint_bytes": 10**10, "bandwidth": 1e9, "mtbf": HOUR, "run_time": DAY}
    with pytest.raises(weigh.WeighError):
        plan(**{**right, **wrong})  # type: ignore[arg-type]


def test_times_are_read_with_their_units() -> None:
    assert [parse_seconds(text) for text in ("90", "90s", "15min", "1.5h", "30 d", "2w")] == [
        90, 90, 900, 5400, 30 * DAY, 14 * DAY,
    ]  # fmt: skip
    for text in ("", "h", "3 months", "-1h", "8H"):
        with pytest.raises(weigh.WeighError):
            parse_seconds(text)
