"""The loops around a model: greedy, sampling, beams and speculation, against transformers and against probability."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import torch
import transformers
from scipy.stats import chisquare
from torch import Tensor

import weigh
from weigh.decoding.generation import NextLogits
from weigh.errors import InvalidLogits, InvalidSetting

VOCABULARY = 37
PAD = VOCABULARY - 1


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": VOCABULARY}
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": PAD}
    if request.param == "llama":
        config = transformers.LlamaConfig(**sizes, **special, intermediate_size=64, max_position_embeddings=64)
    else:
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=VOCABULARY, **special)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)  # a model that has preferences
    return model


def last(model: transformers.PreTrainedModel) -> NextLogits:
    return lambda ids: model(ids[None]).logits[0, -1]


def theirs(model: transformers.PreTrainedModel, prompt: list[int], **settings: object) -> list[int]:
    """What transformers adds to a prompt."""
    config = transformers.GenerationConfig(pad_token_id=PAD, **settings)
    return model.generate(torch.tensor([prompt]), generation_config=config)[0, len(prompt) :].tolist()


def prompts(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(PAD, (number % 5 + 1,), generator=generator).tolist() for number in range(count)]


def test_greedy_is_that_of_transformers(model: transformers.PreTrainedModel) -> None:
    for prompt in prompts(8):
        expected = theirs(model, prompt, max_new_tokens=12, do_sample=False)
        found = weigh.generate(last(model), prompt, max_tokens=12)
        assert list(found.tokens) == expected
        assert found.reason == "length" and found.ids == (*prompt, *expected)
        eos = expected[5]
        stopped = weigh.generate(last(model), prompt, max_tokens=12, eos={eos})
        assert list(stopped.tokens) == expected[: expected.index(eos) + 1]
        assert stopped.reason == "eos"


def test_the_same_seed_draws_what_transformers_draws(model: transformers.PreTrainedModel) -> None:
    settings = {"repetition_penalty": 1.2, "temperature": 0.8, "top_k": 20, "top_p": 0.95}
    for seed, prompt in enumerate(prompts(8)):
        torch.manual_seed(seed)
        expected = theirs(model, prompt, max_new_tokens=12, do_sample=True, **settings)
        found = weigh.generate(last(model), prompt, settings, max_tokens=12, seed=seed)
        assert list(found.tokens) == expected
        assert weigh.generate(last(model), prompt, settings, max_tokens=12, seed=seed) == found
        generator = torch.Generator().manual_seed(seed)
        assert weigh.generate(last(model), prompt, settings, max_tokens=12, seed=generator) == found


def test_seeds_differ(model: transformers.PreTrainedModel) -> None:
    texts = {weigh.generate(last(model), [1], max_tokens=12, seed=seed).tokens for seed in range(5)}
    assert len(texts) > 1


def test_a_trace_has_every_step(model: transformers.PreTrainedModel) -> None:
    settings = {"temperature": 0.8, "top_k": 5}
    found = weigh.generate(last(model), [1, 2], settings, max_tokens=4, seed=0, trace=True)
    assert len(found.steps) == 4
    for place, (step, token) in enumerate(zip(found.steps, found.tokens, strict=True)):
        ids = torch.tensor(found.ids[: 2 + place])
        torch.testing.assert_close(step.before, last(model)(ids))
        assert len(step.kept) == 5 and token in step.kept
        assert step.before.untyped_storage().nbytes() == 4 * VOCABULARY


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def alphabet(ids: Tensor) -> Tensor:
    """A model that says the alphabet, one letter after the other."""
    return torch.nn.functional.one_hot((ids[-1] + 1) % 26, 26).float()


def spell(ids: Sequence[int]) -> str:
    return "".join(LETTERS[token] * 2 for token in ids)  # each token is two characters


def test_stop_sequences_are_found_in_the_text() -> None:
    found = weigh.generate(alphabet, [0], max_tokens=20, stop=["ffg", "ef"], decode=spell)
    assert (found.reason, found.text, spell(found.tokens)) == ("stop", "bbccdde", "bbccddeeff")
    found = weigh.generate(alphabet, [0], max_tokens=20, stop=[[4], [9, 2, 3]])
    assert (found.reason, found.tokens, found.text) == ("stop", (1, 2, 3, 4), None)
    found = weigh.generate(alphabet, [0], max_tokens=20, stop="zzzz", decode=spell)
    assert found.reason == "length" and found.text == spell(range(1, 21))
    # The prompt does not stop what comes after it, and an end token comes before a stop sequence.
    found = weigh.generate(alphabet, [4, 5], max_tokens=3, stop=["ee", "h"], decode=spell, eos={7})
    assert (found.reason, found.tokens) == ("eos", (6, 7))


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_beam_search_is_that_of_transformers(
    model: transformers.PreTrainedModel, length_penalty: float, early_stopping: bool | str
) -> None:
    reasons = Counter()
    for number, prompt in enumerate(prompts(4)):
        greedy = weigh.generate(last(model), prompt, max_tokens=8).tokens
        beams = number % 3 + 2
        for eos in ([], [greedy[1]], [greedy[4], greedy[0], 3]):
            found = weigh.beam_search(
                last(model),
                prompt,
                beams=beams,
                max_tokens=8,
                eos=set(eos),
                length_penalty=length_penalty,
                early_stopping=early_stopping,
            )
            config = transformers.GenerationConfig(
                num_beams=beams,
                num_return_sequences=beams,
                max_new_tokens=8,
                do_sample=False,
                eos_token_id=sorted(set(eos)) or None,
                pad_token_id=PAD,
                length_penalty=length_penalty,
                early_stopping=early_stopping,
                return_dict_in_generate=True,
                output_scores=True,
            )
            expected = model.generate(torch.tensor([prompt]), generation_config=config)
            for ours, row, score in zip(found, expected.sequences, expected.sequences_scores, strict=True):
                added = row[len(prompt) :].tolist()
                assert list(ours.tokens) == added[: len(ours.tokens)]
                assert set(added[len(ours.tokens) :]) <= {PAD}
                assert ours.score == pytest.approx(float(score), rel=1e-4)
            reasons.update(hypothesis.reason for hypothesis in found)
    assert reasons["eos"] and reasons["length"]


def test_enough_beams_find_the_most_probable_text() -> None:
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(3)) * 2

    def probability(tokens: tuple[int, ...]) -> float:
        return sum(float(table[a].log_softmax(-1)[b]) for a, b in itertools.pairwise((0, *tokens)))

    best = max(itertools.product(range(5), repeat=3), key=probability)
    found = weigh.beam_search(lambda ids: table[ids[-1]], [0], beams=25, max_tokens=3, length_penalty=0.0)
    assert found[0].tokens == best
    assert found[0].log_probability == pytest.approx(probability(best), rel=1e-5)
    assert len(found) == 25


def bigrams(seed: int, size: int = 4) -> Tensor:
    return torch.randn(size, size, generator=torch.Generator().manual_seed(seed)) * 1.5


TARGET, DRAFT = bigrams(0), bigrams(1)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_p": 0.8}], ids=["plain", "filtered"])
def test_speculative_texts_are_distributed_as_the_targets(settings: dict[str, float]) -> None:
    generator, count, length = torch.Generator().manual_seed(0), 3000, 3
    seen = Counter(
        weigh.speculate(
            lambda ids: TARGET[ids],
            lambda ids: DRAFT[ids[-1]],
            [0],
            settings,
            drafted=2,
            max_tokens=length,
            seed=generator,
        ).tokens
        for _ in range(count)
    )
    p = torch.stack([weigh.filter_logits(row, settings).probabilities for row in TARGET])
    texts = list(itertools.product(range(4), repeat=length))
    expected = {text: torch.stack([p[a, b] for a, b in itertools.pairwise((0, *text))]).prod().item() for text in texts}
    assert all(expected[text] > 0 for text in seen), "no text that the target cannot write"
    assert sum(abs(seen[text] / count - expected[text]) for text in texts) / 2 < 0.06
    common = [text for text in texts if count * expected[text] >= 5]
    rest = count - sum(seen[text] for text in common)
    observed = [*(seen[text] for text in common), rest]
    wanted = [*(count * expected[text] for text in common), count * (1 - sum(expected[text] for text in common))]
    if wanted[-1] < 5:
        observed[-2:], wanted[-2:] = [sum(observed[-2:])], [sum(wanted[-2:])]
    assert chisquare(observed, [value * count / sum(wanted) for value in wanted]).pvalue > 0.01


def test_the_rule_of_acceptance_is_exact_and_its_rate_one_minus_total_variation() -> None:
    p, q = TARGET[0].softmax(-1), DRAFT[1].softmax(-1)
    rate = weigh.acceptance_probability(p, q)
    assert rate == pytest.approx(1 - float((p - q).abs().sum()) / 2, abs=1e-6)
    # The two ways to a token, accepted or drawn after a refusal, add up to the target's distribution.
    torch.testing.assert_close(p.minimum(q) + (1 - rate) * weigh.residual_distribution(p, q), p)
    generator, count = torch.Generator().manual_seed(0), 4000
    rows, accepted, drawn = torch.stack([p, p]), 0, Counter()
    for token in q.multinomial(count, replacement=True, generator=generator).tolist():
        taken, other = weigh.judge_draft(rows, q[None], [token], generator)
        accepted += taken
        drawn[token if taken else other] += 1
    assert accepted / count == pytest.approx(rate, abs=3 * (rate * (1 - rate) / count) ** 0.5)
    wanted = p.double() / p.double().sum() * count
    assert chisquare([drawn[token] for token in range(4)], wanted.tolist()).pvalue > 0.01


def test_the_acceptance_rate_and_tokens_per_pass_are_those_expected() -> None:
    # Rows that are all the same make acceptance independent of the place, as the equation assumes.
    p, q = TARGET[0], DRAFT[1]
    found = weigh.speculate(lambda ids: p.expand(len(ids), 4), lambda ids: q, [0], drafted=3, max_tokens=3000, seed=0)
    rate = weigh.acceptance_probability(p.softmax(-1), q.softmax(-1))
    assert len(found.tokens) == 3000 and found.reason == "length"
    assert found.acceptance_rate == pytest.approx(rate, abs=0.03)
    assert found.tokens_per_pass == pytest.approx(weigh.expected_tokens(rate, 3), rel=0.05)
    for one in found.passes:
        assert one.acceptance_probabilities == pytest.approx([rate] * 3)
        assert 0 <= one.accepted <= 3 and one.judged == min(one.accepted + 1, 3)


def test_expected_tokens_are_the_papers_equation() -> None:
    for rate, drafted in itertools.product((0.0, 0.3, 0.8), (1, 4, 7)):
        assert weigh.expected_tokens(rate, drafted) == pytest.approx((1 - rate ** (drafted + 1)) / (1 - rate))
    assert weigh.expected_tokens(1.0, 4) == 5


@pytest.mark.parametrize("drafted", [1, 3, 6])
def test_greedy_speculation_is_greedy_decoding(model: transformers.PreTrainedModel, drafted: int) -> None:
    settings = {"repetition_penalty": 1.3}
    target = last(model)
    for number, prompt in enumerate(prompts(4)):
        plain = weigh.generate(target, prompt, settings, max_tokens=10)
        for draft in (target, lambda ids: torch.eye(VOCABULARY)[(ids[-1] + 1) % VOCABULARY]):
            found = weigh.speculate(
                lambda ids: model(ids[None]).logits[0], draft, prompt, settings, drafted=drafted, max_tokens=10
            )
            assert (found.tokens, found.reason) == (plain.tokens, plain.reason)
            if draft is target:
                assert found.acceptance_rate == 1
                assert len(found.passes) == -(-10 // (drafted + 1))
        if number == 0:
            eos = {plain.tokens[3]}
            found = weigh.speculate(
                lambda ids: model(ids[None]).logits[0],
                target,
                prompt,
                settings,
                drafted=drafted,
                max_tokens=10,
                eos=eos,
            )
            assert found.tokens == weigh.generate(target, prompt, settings, max_tokens=10, eos=eos).tokens
            assert found.reason == "eos"


def test_speculation_is_reproducible() -> None:
    def run(seed: int) -> weigh.Speculation:
        return weigh.speculate(lambda ids: TARGET[ids], lambda ids: DRAFT[ids[-1]], [0], max_tokens=20, seed=seed)

    assert run(3) == run(3) != run(4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: weigh.generate(alphabet, [], max_tokens=1),
        lambda: weigh.generate(alphabet, [0], max_tokens=0),
        lambda: weigh.generate(alphabet, [0], max_tokens=1, stop=["a"]),
        lambda: weigh.generate(alphabet, [0], max_tokens=1, stop=[[]]),
        lambda: weigh.generate(alphabet, [0], {"top_p": 2.0}, max_tokens=1),
        lambda: weigh.beam_search(alphabet, [], beams=2, max_tokens=1),
        lambda: weigh.beam_search(alphabet, [0], beams=0, max_tokens=1),
        lambda: weigh.speculate(alphabet, alphabet, [0], max_tokens=1, drafted=0),
    ],
)
def test_arguments_outside_their_range_are_one_clear_error(call: Callable[[], object]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_logits_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(InvalidLogits, match=r"not \(1, 26\)"):
        weigh.generate(lambda ids: alphabet(ids)[None], [0], max_tokens=1)
    with pytest.raises(InvalidLogits, match="5 positions"):
        weigh.speculate(alphabet, alphabet, [0], max_tokens=1)
    with pytest.raises(InvalidLogits, match="26 tokens"):
        weigh.speculate(lambda ids: TARGET[ids % 4], alphabet, [0], max_tokens=1)
