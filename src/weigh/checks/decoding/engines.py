"""What engines decode with where nobody says otherwise: their defaults, the names they read, the order they filter in.

One generation config means as many things as there are engines, and an engine may mean another one after an update.
Each entry says where it was read, and whether it was also run.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from weigh.decoding.chain import SAMPLER_ORDERS
from weigh.errors import InvalidSetting

NEUTRAL: Mapping[str, Any] = {
    "do_sample": True, "num_beams": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0,
    "repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "no_repeat_ngram_size": 0,
    "repeat_last_n": -1, "length_penalty": 1.0, "early_stopping": False, "max_new_tokens": -1, "max_length": None,
    "stop": (), "stop_token_ids": (), "eos_token_id": (), "bos_token_id": None, "pad_token_id": None, "seed": None,
}  # fmt: skip
"""Each setting that `weigh` knows, by one name, with the value that changes nothing."""

HARMLESS = frozenset({
    "_from_model_config", "_name_or_path", "cache_config", "cache_implementation", "compile_config", "disable_compile",
    "logprobs", "max_cache_len", "model", "output_attentions", "output_hidden_states", "output_logits",
    "output_scores", "return_dict_in_generate", "stream", "top_logprobs", "transformers_version", "use_cache", "user",
})  # fmt: skip
"""Fields of configs and requests that say where a file comes from or what is returned, and change no token."""


@dataclass(frozen=True)
class Engine:
    """An inference engine as far as decoding goes.

    Attributes:
        name: What `--engine-a` calls it.
        version: The release or commit that the entry is of.
        source: Where its defaults were read.
        was_run: Whether they were also run, and not read alone.
        reads: The names that it reads, with the setting that each is. Of two that are there, the first counts.
        defaults: Where they are not those of `NEUTRAL`.
        order: The order in which it filters the logits; `None` if it does not say.
        zero_is_greedy: Whether temperature 0 is greedy decoding. Where it is not, `do_sample` says so.
        counts_prompt: Whether frequency and presence penalties count the prompt too.
    """

    name: str
    version: str
    source: str
    reads: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] | None = None
    was_run: bool = False
    zero_is_greedy: bool = True
    counts_prompt: bool = False

    def default(self, setting: str) -> Any:
        """What it takes for a setting that nobody gives."""
        return self.defaults.get(setting, NEUTRAL[setting])


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_TRANSFORMERS = Engine(
    "transformers",
    "5.23.0",
    "GenerationConfig._get_default_generation_params in transformers/generation/configuration_utils.py",
    reads={
        **_same("do_sample", "num_beams", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty"),
        **_same("no_repeat_ngram_size", "length_penalty", "early_stopping", "max_new_tokens", "max_length"),
        **_same("eos_token_id", "bos_token_id", "pad_token_id"),
        "stop_strings": "stop",
    },
    defaults={"do_sample": False, "top_k": 50, "max_new_tokens": 20},
    order=SAMPLER_ORDERS["transformers"],
    was_run=True,
    zero_is_greedy=False,
)
_VLLM = Engine(
    "vllm",
    "main of 2026 (00388f6)",
    "https://github.com/vllm-project/vllm/blob/00388f6573ccfcffad607b8c9ecdf341a4669ceb/vllm/sampling_params.py",
    # The last two are of the model's file, where vLLM reads six settings and the end tokens, but no do_sample.
    reads={
        **_same("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty"),
        **_same("presence_penalty", "stop", "stop_token_ids", "seed"),
        "max_tokens": "max_new_tokens",
        **_same("max_new_tokens", "eos_token_id"),
    },
    defaults={"max_new_tokens": 16},
    order=SAMPLER_ORDERS["vllm"],
)
_LLAMA_CPP = Engine(
    "llama.cpp",
    "master of 2026 (001d906), llama-server",
    "https://github.com/ggml-org/llama.cpp/blob/001d906a6d86e2490e394361e7cc6f478b100088/common/common.h",
    # The last two are of the model's file, from which a GGUF file takes temperature, top_k, top_p and min_p besides.
    reads={
        **_same("temperature", "top_k", "top_p", "min_p", "typical_p", "frequency_penalty", "presence_penalty"),
        **_same("repeat_last_n", "stop", "seed"),
        "repeat_penalty": "repetition_penalty",
        "n_predict": "max_new_tokens",
        "max_completion_tokens": "max_new_tokens",
        "max_tokens": "max_new_tokens",
        "penalty_repeat": "repetition_penalty",
        "penalty_last_n": "repeat_last_n",
    },
    defaults={"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_last_n": 64},
    order=SAMPLER_ORDERS["llama.cpp"],
    counts_prompt=True,
)
_OLLAMA = Engine(
    "ollama",
    "0.33.0-rc2; these defaults since 0.32.10",
    "https://github.com/ollama/ollama/blob/v0.33.0-rc2/api/types.go",
    reads={
        **_same("temperature", "top_k", "top_p", "min_p", "typical_p", "frequency_penalty", "presence_penalty"),
        **_same("repeat_last_n", "stop", "seed"),
        "repeat_penalty": "repetition_penalty",
        "num_predict": "max_new_tokens",
    },
    defaults={"temperature": 0.8, "top_k": 40, "top_p": 0.9, "repeat_last_n": 64},
    order=SAMPLER_ORDERS["llama.cpp"],  # whose server it sends each of these to
    counts_prompt=True,
)
_OPENAI = Engine(
    "openai",
    "chat completions, specification of 2026-08-21",
    "https://github.com/openai/openai-openapi/blob/f85dbe223d40e1a31cba812ab2d755c7e98a92a3/openapi.yaml",
    reads={
        **_same("temperature", "top_p", "frequency_penalty", "presence_penalty", "stop", "seed"),
        "max_completion_tokens": "max_new_tokens",
        "max_tokens": "max_new_tokens",
    },
)

ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        _TRANSFORMERS,
        replace(
            _TRANSFORMERS,
            name="transformers-pipeline",
            source="TextGenerationPipeline._default_generation_config in transformers/pipelines/text_generation.py",
            defaults={**_TRANSFORMERS.defaults, "do_sample": True, "temperature": 0.7, "max_new_tokens": 256},
        ),
        _VLLM,
        _LLAMA_CPP,
        _OLLAMA,
        replace(
            _OLLAMA,
            name="ollama-0.32.8",
            version="0.32.8",
            source="https://github.com/ollama/ollama/blob/v0.32.8/api/types.go",
            defaults={**_OLLAMA.defaults, "repetition_penalty": 1.1},
        ),
        _OPENAI,
    )
}
"""Engines by name. That of transformers is of the release named; `engine` asks the installed one."""

KNOWN: frozenset[str] = frozenset(NEUTRAL).union(*(engine.reads for engine in ENGINES.values()))
"""Every name that a setting has in one of the engines."""


def engine(name: str) -> Engine:
    """The engine of a name. For transformers, with the defaults of the installed release if there is one.

    Raises:
        InvalidSetting: If there is none of that name.
    """
    if name not in ENGINES:
        near = get_close_matches(str(name).lower(), ENGINES, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(ENGINES)}"
        raise InvalidSetting("engine", f"{str(name)[:60]!r} is not known{hint}")
    if name == "transformers" and (installed := _installed()):
        release, said = installed
        defaults = {setting: said[setting] for setting in NEUTRAL if setting in said and setting != "max_length"}
        return replace(_TRANSFORMERS, version=release, defaults={**defaults, "max_new_tokens": said["max_length"]})
    return ENGINES[name]


@cache
def _installed() -> tuple[str, dict[str, Any]] | None:
    """Release and defaults of the transformers that is installed, from its source: importing it would take seconds.

    Its default `max_length` of 20 is a number of new tokens: `generate` adds the length of the prompt to it.
    """
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return None
    try:
        tree = ast.parse((Path(spec.origin).parent / "generation" / "configuration_utils.py").read_text("utf-8"))
        said = next(
            ast.literal_eval(step.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == "_get_default_generation_params"
            for step in node.body
            if isinstance(step, ast.Return) and step.value
        )
        return version("transformers"), {"max_length": 20, **said}
    except (OSError, SyntaxError, ValueError, StopIteration, PackageNotFoundError):
        return None  # another release than those that have it: the table is what is known
