"""Decoding settings on the logits of one position, against those of transformers."""

import math
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import LogitsProcessor
from transformers.generation import logits_process as reference

import weigh
from weigh.errors import InvalidLogits, InvalidSetting

VOCABULARY = (2, 3, 17, 100, 1000)


def vectors(count: int = 1000) -> Iterator[tuple[Tensor, list[int]]]:
    """Logits as models and hostile hands make them, each with ids of a text."""
    generator = torch.Generator().manual_seed(0)

    def normal(size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    for number in range(count):
        size = VOCABULARY[number % len(VOCABULARY)]
        logits = normal(size) * 10 ** float(torch.empty(()).uniform_(-2, 2, generator=generator))
        match number // len(VOCABULARY) % 6:
            case 1:
                logits = logits.round()  # ties
            case 2:
                logits = torch.full((size,), 0.25)  # nothing but ties
            case 3:
                logits[normal(size) > 0] = -math.inf  # tokens that are out already
                logits[number % size] = 1.5
            case 4:
                logits = logits.sign() * 1e4  # float16's range
            case 5:
                logits = logits + 1000  # no probability changes
        ids = torch.randint(size, (number % 40 + 1,), generator=generator).tolist()
        yield logits, ids


CASES: list[tuple[str, Callable[[Tensor, list[int]], weigh.Choice], LogitsProcessor]] = [
    *(
        (
            f"temperature {value}",
            lambda logits, _, v=value: weigh.temperature(logits, v),
            reference.TemperatureLogitsWarper(value),
        )
        for value in (0.1, 0.7, 1.0, 5.0)
    ),
    *(
        (f"top_k {k}", lambda logits, _, k=k: weigh.top_k(logits, k), reference.TopKLogitsWarper(k))
        for k in (1, 2, 50, 10**6)
    ),
    *(
        (f"top_p {p}", lambda logits, _, p=p: weigh.top_p(logits, p), reference.TopPLogitsWarper(p))
        for p in (1e-6, 0.1, 0.5, 0.9, 0.999, 1.0)
    ),
    *(
        (f"min_p {p}", lambda logits, _, p=p: weigh.min_p(logits, p), reference.MinPLogitsWarper(p))
        for p in (0.0, 0.01, 0.1, 0.5, 1.0)
    ),
    *(
        (f"typical_p {p}", lambda logits, _, p=p: weigh.typical_p(logits, p), reference.TypicalLogitsWarper(p))
        for p in (0.01, 0.2, 0.5, 0.9, 0.999)
    ),
    *(
        (
            f"repetition_penalty {penalty}",
            lambda logits, ids, penalty=penalty: weigh.repetition_penalty(logits, ids, penalty),
            reference.RepetitionPenaltyLogitsProcessor(penalty),
        )
        for penalty in (0.5, 1.0, 1.3, 10.0)
    ),
]


@pytest.mark.parametrize("ours, theirs", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_logits_are_those_of_transformers(
    ours: Callable[[Tensor, list[int]], weigh.Choice], theirs: LogitsProcessor
) -> None:
    for logits, ids in vectors():
        given = logits.clone()
        expected = theirs(torch.tensor([ids]), logits[None])[0]
        assert torch.equal(ours(logits, ids).logits, expected)
        assert torch.equal(logits, given), "a pure function"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_banned_ngrams_are_those_of_transformers(size: int) -> None:
    theirs, refused = reference.NoRepeatNGramLogitsProcessor(size), 0
    for logits, ids in vectors():
        expected = theirs(torch.tensor([ids]), logits[None])[0]
        if expected.max() == -math.inf:
            refused += 1
            with pytest.raises(InvalidLogits, match="every logit is −∞"):
                weigh.no_repeat_ngram(logits, ids, size)
        else:
            assert torch.equal(weigh.no_repeat_ngram(logits, ids, size).logits, expected)
    assert refused < 700


@pytest.mark.parametrize("alpha", [-2.0, 0.1, 0.5, 2.0])
def test_frequency_and_presence_penalties_are_openais_formula(alpha: float) -> None:
    for logits, ids in vectors():
        counts = Counter(ids)
        frequency = [mu - counts[j] * alpha for j, mu in enumerate(logits.tolist())]
        presence = [mu - float(counts[j] > 0) * alpha for j, mu in enumerate(logits.tolist())]
        torch.testing.assert_close(weigh.frequency_penalty(logits, ids, alpha).logits, torch.tensor(frequency))
        torch.testing.assert_close(weigh.presence_penalty(logits, ids, alpha).logits, torch.tensor(presence))


def test_a_chain_is_that_of_transformers() -> None:
    settings = {"repetition_penalty": 1.3, "temperature": 0.7, "top_k": 50, "top_p": 0.9, "min_p": 0.02}
    assert list(settings) == [name for name in weigh.SAMPLER_ORDERS["transformers"] if name in settings]
    theirs = reference.LogitsProcessorList(
        [
            reference.RepetitionPenaltyLogitsProcessor(1.3),
            reference.TemperatureLogitsWarper(0.7),
            reference.TopKLogitsWarper(50),
            reference.TopPLogitsWarper(0.9),
            reference.MinPLogitsWarper(0.02),
        ]
    )
    for logits, ids in vectors():
        choice = weigh.filter_logits(logits, settings, ids)
        assert torch.equal(choice.logits, theirs(torch.tensor([ids]), logits[None])[0])
        assert [step.name for step in choice.steps] == list(settings)
        assert choice.name == "repetition_penalty → temperature → top_k → top_p → min_p"
        assert torch.equal(choice.before, logits)
        for step, following in zip(choice.steps, choice.steps[1:], strict=False):
            assert torch.equal(step.logits, following.before)


def test_the_order_matters() -> None:
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    sharp_first = weigh.filter_logits(logits, {"temperature": 0.5, "top_p": 0.7})
    sharp_last = weigh.filter_logits(logits, {"top_p": 0.7, "temperature": 0.5})
    assert sharp_first.kept.tolist() == [0]
    assert sharp_last.kept.tolist() == [0, 1]
    # What looks at ranks alone commutes with a temperature, and so does what multiplies; what subtracts does not.
    penalties = {"presence_penalty": 1.0, "repetition_penalty": 1.3}
    commutes = {}
    for name, value in {"top_k": 2, **penalties}.items():
        one = weigh.filter_logits(logits, {name: value, "temperature": 0.5}, [0])
        other = weigh.filter_logits(logits, {"temperature": 0.5, name: value}, [0])
        commutes[name] = torch.allclose(one.logits, other.logits)
    assert commutes == {"top_k": True, "presence_penalty": False, "repetition_penalty": True}


def test_engines_keep_different_tokens_under_the_same_settings() -> None:
    settings = {"temperature": 1.5, "top_k": 3, "top_p": 0.8, "min_p": 0.3}
    logits = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log()
    kept = {}
    for engine, order in weigh.SAMPLER_ORDERS.items():
        choice = weigh.filter_logits(logits, {name: settings[name] for name in order if name in settings})
        kept[engine] = choice.kept.tolist()
    assert kept["transformers"] == kept["vllm"] == [0, 1, 2]
    assert kept["llama.cpp"] == [0, 1]


def test_penalties_count_the_prompt_or_not() -> None:
    logits = torch.ones(4)
    settings = {"repetition_penalty": 2.0, "frequency_penalty": 0.25, "presence_penalty": 1.0}
    choice = weigh.filter_logits(logits, settings, ids=[0, 0, 1, 1, 2], prompt=3)
    assert choice.logits.tolist() == [0.5, 0.5 - 0.25 - 1, 0.5 - 0.25 - 1, 1]


def test_a_repetition_penalty_is_not_blind_to_a_shift() -> None:
    logits = torch.tensor([1.0, -1.0, 0.0])
    plain, shifted = (weigh.repetition_penalty(logits + shift, [0, 1], 1.3) for shift in (0, 10))
    torch.testing.assert_close(plain.probabilities_before, shifted.probabilities_before)
    assert (plain.probabilities - shifted.probabilities).abs().max() > 0.4
    subtracted, both = (weigh.presence_penalty(logits + shift, [0, 1], 1.3) for shift in (0, 10))
    torch.testing.assert_close(subtracted.probabilities, both.probabilities)


def test_a_choice_shows_its_work() -> None:
    choice = weigh.top_p(torch.tensor([0.1, 0.6, 0.3]).log(), 0.8)
    assert (choice.name, choice.parameter) == ("top_p", 0.8)
    assert choice.kept.tolist() == [1, 2]
    assert choice.removed.tolist() == [0]
    torch.testing.assert_close(choice.probabilities_before, torch.tensor([0.1, 0.6, 0.3]))
    torch.testing.assert_close(choice.probabilities, torch.tensor([0, 2 / 3, 1 / 3]))


def test_typical_sampling_can_leave_out_the_best_token() -> None:
    logits = torch.tensor([0.4, *[0.6 / 20] * 20]).log()
    assert 0 not in weigh.typical_p(logits, 0.5).kept


def test_typical_sampling_stops_where_the_mass_is_reached_exactly() -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    kept = weigh.typical_p(logits, 0.25)
    assert kept.kept.tolist() == [1]
    assert torch.equal(kept.logits, reference.TypicalLogitsWarper(0.25)(None, logits[None])[0])


def test_half_precision_is_taken_to_float32_and_gradients_are_left_behind() -> None:
    logits = torch.randn(1000, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
    choice = weigh.top_p(logits, 0.9)
    assert choice.logits.dtype == torch.float32 and not choice.logits.requires_grad
    assert torch.equal(choice.logits, weigh.top_p(logits.float(), 0.9).logits)
    assert weigh.temperature(logits.double(), 0.5).logits.dtype == torch.float64


LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30).map(torch.tensor)
MASSES = st.floats(0.01, 0.99)


@given(LOGITS, st.integers(1, 30), st.integers(1, 30), MASSES, MASSES)
def test_kept_sets_are_nested(logits: Tensor, k: int, other_k: int, p: float, other_p: float) -> None:
    for kept, low, high in (
        (weigh.top_k, *sorted((k, other_k))),
        (weigh.top_p, *sorted((p, other_p))),
        (weigh.typical_p, *sorted((p, other_p))),
        (weigh.min_p, *sorted((p, other_p), reverse=True)),
    ):
        fewer, more = (set(kept(logits, value).kept.tolist()) for value in (low, high))
        assert fewer <= more


@given(LOGITS, st.data())
def test_what_every_filter_leaves_is_a_distribution(logits: Tensor, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, len(logits) - 1), max_size=10))
    settings: dict[str, st.SearchStrategy[float]] = {
        "temperature": st.floats(0.01, 100),
        "top_k": st.integers(1, 40),
        "top_p": MASSES,
        "min_p": MASSES,
        "typical_p": MASSES,
        "repetition_penalty": st.floats(0.1, 10),
        "frequency_penalty": st.floats(-2, 2),
        "presence_penalty": st.floats(-2, 2),
    }
    names = data.draw(st.permutations(list(settings)))
    choice = weigh.filter_logits(logits, {name: data.draw(settings[name]) for name in names}, ids)
    for step in (*choice.steps, choice):
        assert float(step.probabilities.sum()) == pytest.approx(1, abs=1e-5)
        assert len(step.kept) + len(step.removed) == int(step.before.isfinite().sum())
        assert step.probabilities[step.removed].sum() == 0
        assert step.probabilities[step.kept].tolist() == sorted(step.probabilities[step.kept].tolist(), reverse=True)


@given(LOGITS)
def test_towards_zero_a_temperature_is_greedy(logits: Tensor) -> None:
    best = int(logits.argmax())
    assert weigh.greedy(logits).kept.tolist() == [best]
    assert weigh.greedy(logits).probabilities[best] == 1
    others = torch.cat([logits[:best], logits[best + 1 :]])
    gap = float(logits[best] - others.max()) if len(others) else 1.0
    if gap > 1e-3:
        assert weigh.temperature(logits, gap / 200).probabilities[best] == 1
        assert weigh.top_k(logits, 1).kept.tolist() == [best]


@given(LOGITS, MASSES)
def test_a_nucleus_is_the_fewest_tokens_that_reach_p(logits: Tensor, p: float) -> None:
    choice = weigh.top_p(logits, p)
    mass = choice.probabilities_before[choice.kept]
    assert float(mass.sum()) >= p - 1e-5
    assert float(mass[:-1].sum()) <= p + 1e-5


@pytest.mark.parametrize(
    "call",
    [
        lambda logits: weigh.temperature(logits, 0),
        lambda logits: weigh.temperature(logits, -1.0),
        lambda logits: weigh.temperature(logits, math.nan),
        lambda logits: weigh.temperature(logits, math.inf),
        lambda logits: weigh.top_k(logits, 0),
        lambda logits: weigh.top_k(logits, 2.5),
        lambda logits: weigh.top_p(logits, 0),
        lambda logits: weigh.top_p(logits, 1.1),
        lambda logits: weigh.top_p(logits, math.nan),
        lambda logits: weigh.min_p(logits, -0.1),
        lambda logits: weigh.min_p(logits, 1.1),
        lambda logits: weigh.typical_p(logits, 1.0),
        lambda logits: weigh.repetition_penalty(logits, [0], 0.0),
        lambda logits: weigh.repetition_penalty(logits, [3], 1.2),
        lambda logits: weigh.frequency_penalty(logits, [-1], 1.0),
        lambda logits: weigh.frequency_penalty(logits, [0], math.inf),
        lambda logits: weigh.presence_penalty(logits, [0], math.nan),
        lambda logits: weigh.no_repeat_ngram(logits, [0], 0),
        lambda logits: weigh.filter_logits(logits, {"top_q": 0.5}),
        lambda logits: weigh.filter_logits(logits, {"top_p": None}),
    ],
)
def test_a_setting_outside_its_range_is_one_clear_error(call: Callable[[Tensor], object]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        call(torch.zeros(3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "logits, problem",
    [
        (torch.tensor([0.0, math.nan]), "NaN"),
        (torch.tensor([-math.inf, math.nan]), "NaN"),
        (torch.tensor([0.0, math.inf]), r"\+∞"),
        (torch.full((3,), -math.inf), "every logit is −∞"),
        (torch.zeros(1, 3), r"shape \(V,\), not \(1, 3\)"),
        (torch.zeros(0), r"shape \(V,\)"),
    ],
)
def test_logits_that_allow_no_token_are_refused(logits: Tensor, problem: str) -> None:
    for call in (
        weigh.greedy,
        weigh.sample,
        lambda logits: weigh.temperature(logits, 0.5),
        lambda logits: weigh.top_p(logits, 0.5),
        lambda logits: weigh.presence_penalty(logits, [0], 0.5),
        lambda logits: weigh.filter_logits(logits, {}),
    ):
        with pytest.raises(InvalidLogits, match=problem):
            call(logits)


def test_a_temperature_too_close_to_zero_is_refused_rather_than_nan() -> None:
    with pytest.raises(InvalidLogits, match="too close to 0"):
        weigh.temperature(torch.tensor([1.0, 2.0]), 1e-45)
