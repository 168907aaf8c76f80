"""A Hugging Face `config.json`, read field by field, with an error that names the field."""

import json
import os
from typing import Any

from weigh.dtypes import DType, dtype
from weigh.errors import InvalidConfig, UnknownDtype, UnsupportedField
from weigh.sources import File, is_directory, locate

HARMLESS = {
    "activation_function", "architectures", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation",
    "attn_logit_softcapping", "attn_pdrop", "auto_map", "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
    "chunk_size_feed_forward", "classifier_dropout", "cls_token_id", "compression_config",
    "decoder_start_token_id", "diversity_penalty", "do_sample", "dropout", "dtype", "early_stopping", "embd_pdrop",
    "encoder_no_repeat_ngram_size", "eos_token_id",
    "exponential_decay_length_penalty", "final_logit_softcapping", "finetuning_task", "forced_bos_token_id",
    "forced_decoder_ids", "forced_eos_token_id", "gradient_checkpointing", "hidden_act", "hidden_activation",
    "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_factor", "initializer_range", "label2id",
    "layer_norm_eps", "layer_norm_epsilon", "length_penalty", "mask_token_id", "max_length", "max_new_tokens",
    "min_length", "model_type", "n_ctx", "name_or_path", "no_repeat_ngram_size", "norm_topk_prob", "num_beam_groups",
    "num_beams", "num_labels", "num_return_sequences", "original_max_position_embeddings", "output_attentions",
    "output_hidden_states", "output_past", "output_router_logits", "output_scores", "pad_token_id",
    "partial_rotary_factor", "prefix", "pretraining_tp", "problem_type", "quantization", "quantization_config",
    "query_pre_attn_scalar",
    "remove_invalid_values", "reorder_and_upcast_attn", "repetition_penalty", "resid_pdrop", "return_dict",
    "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta", "routed_scaling_factor", "router_aux_loss_coef",
    "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "sep_token_id", "summary_activation",
    "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "suppress_tokens",
    "task_specific_params", "temperature", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
    "transformers_version", "typical_p", "unk_token_id", "use_bfloat16", "use_cache",
}  # fmt: skip
"""Fields that no answer depends on in a family that does not read them: identity, token ids, dropout, epsilons,
activations, rotary angles, the weighing of experts, settings of generation, and how the file is quantized: a model is
counted as it was before. A family names the others that it need not read with `Config.ignore`."""


CACHED = {"attention_chunk_size", "is_decoder", "layer_types", "num_kv_shared_layers", "sliding_window"}
"""Fields by which caches differ, of families too that do not read them."""

_SAID = {
    "architectures",
    "dtype",
}  # harmless, for every specification reads them, and worth a word where they are absent

MAX_LAYERS = 10_000
"""The most layers of a model, ten times as many as any has: to list more would take longer than anybody waits."""


MAX_BYTES = 8_000_000
"""The most bytes of a config: some name thousands of labels, and none comes near."""


def _holds_weights(first: bytes) -> bool:
    """Whether a file that begins so is one of weights, and no text: all of these have a number among their first bytes,
    or begin with a byte that no text in UTF-8 begins with."""
    return (first[:1] > b"\x7f" and first[:1] < b"\xc0") or any(byte < 9 for byte in first) or first[:4] == b"GGUF"


def load(path: str | os.PathLike[str], most: int | None = None) -> "Config":
    """Read a `config.json`, or the one that a directory holds.

    Args:
        path: The file, or the directory.
        most: The most bytes that it may have.

    Raises:
        NotFound: If there is no such file.
        InvalidConfig: If it is not a JSON object, or larger or deeper than any config.
    """
    where = locate(path)
    if is_directory(where):
        where /= "config.json"
    file = File(where)
    first = file.first(16)
    if _holds_weights(first):
        raise InvalidConfig(where, "holds weights, and this wants a config.json; for the file itself: weigh inspect")
    if first.startswith(b"version https://"):
        raise InvalidConfig(where, "is a Git LFS pointer and no config; fetch the file: git lfs pull")
    if most is not None and file.size > most:
        raise InvalidConfig(where, f"has {file.size:,} bytes, and no config more than {most:,}; give a config.json")
    with file.open() as reader:
        raw = reader.read()
    try:
        fields = json.loads(raw.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise InvalidConfig(f"{where}, line {error.lineno}", f"is not JSON ({error.msg}); mend it") from None
    except (ValueError, RecursionError):
        raise InvalidConfig(where, "is not JSON in UTF-8; mend it") from None
    if not isinstance(fields, dict):
        raise InvalidConfig(where, "is not a JSON object; give the config of one model")
    return Config(str(where), fields)


class Config:
    """The fields of a config, or of an object in one, which a family's specification asks for by name.

    An absent field and `null` are the same, except where a specification asks with `optional`. What a specification
    does not ask for and what is not known to be harmless is `unread`, and what it fills in is `assumed`.

    Args:
        where: What to call it in an error.
        fields: The JSON object.
        inside: The dotted name of the object in its config, with a dot behind it.
    """

    def __init__(self, where: str, fields: dict[str, Any], inside: str = "") -> None:
        self.where = where
        self.raw = fields
        self.fields = {name: value for name, value in fields.items() if value is not None}
        self.nulls = fields.keys() - self.fields.keys()
        self._inside = inside
        self._read: set[str] = set()
        self._assumed: dict[str, Any] = {}
        self._nested: list[Config] = []

    def get(self, field: str, default: Any = None) -> Any:
        """A field as it stands."""
        self._read.add(field)
        if default not in (None, {}) and field not in self.fields:
            self._assumed[f"{self._inside}{field}"] = default
        return self.fields.get(field, default)

    def size(self, field: str, default: int | None = None, *, least: int = 1, word: str | None = None) -> int:
        """A field that is a whole number from `least`, or a word for the default; required if there is none."""
        value = self.get(field, default)
        if word is not None and value == word:
            value = default
        if value is None:
            raise InvalidConfig(f"{self.where}, field {field}", "is missing, and no size follows without it")
        if type(value) is not int or not least <= value < 2**63:
            raise InvalidConfig(
                f"{self.where}, field {field}", f"must be a whole number from {least}, and below 2⁶³, not {value!r:.40}"
            )
        return value

    def layers(self, field: str, default: int) -> int:
        """A number of layers, from 1 to `MAX_LAYERS`: each is listed, tensor by tensor."""
        count = self.size(field, default)
        if count > MAX_LAYERS:
            raise InvalidConfig(f"{self.where}, field {field}", f"{count:,} layers, and weigh counts {MAX_LAYERS:,}")
        return count

    def optional(self, field: str, default: int | None = None) -> int | None:
        """A field that is a whole number from 1, and which `null` takes away where leaving it out means `default`."""
        absent = field in self.nulls or (default is None and field not in self.fields)
        return None if absent else self.size(field, default)

    def sizes(self, field: str, default: list[int]) -> list[int]:
        """A field that is a list of positive whole numbers."""
        value = self.get(field, default)
        if not isinstance(value, list) or not all(type(size) is int and 0 < size < 2**63 for size in value):
            raise InvalidConfig(
                f"{self.where}, field {field}", f"must be a list of positive numbers, not {value!r:.40}"
            )
        return value

    def flag(self, field: str, default: bool) -> bool:
        """A field that is true or false."""
        value = self.get(field, default)
        if not isinstance(value, bool):
            raise InvalidConfig(f"{self.where}, field {field}", f"must be true or false, not {value!r:.40}")
        return value

    def pair(self, field: str, default: int) -> tuple[int, int]:
        """A height and a width, which a field that is one number has in common."""
        value = self.get(field, default)
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) != 2 or not all(type(side) is int and 0 < side < 2**63 for side in sides):
            raise InvalidConfig(
                f"{self.where}, field {field}", f"must be a positive number, or a height and a width, not {value!r:.40}"
            )
        return sides[0], sides[1]

    def rate(self, field: str, default: float) -> float:
        """A field that is a share from 0 to 1, such as that of the numbers that a dropout drops."""
        value = self.get(field, default)
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise InvalidConfig(f"{self.where}, field {field}", f"must be a number from 0 to 1, not {value!r:.40}")
        return float(value)

    def text(self, field: str, default: str) -> str:
        """A field that is text."""
        value = self.get(field, default)
        if not isinstance(value, str):
            raise InvalidConfig(f"{self.where}, field {field}", f"must be text, not {value!r:.40}")
        return value

    def nested(self, field: str) -> "Config":
        """A field that is an object with fields of its own; without it, an object without any."""
        value = self.get(field, {})
        if not isinstance(value, dict):
            raise InvalidConfig(f"{self.where}, field {field}", f"must be an object, not {value!r:.40}")
        self._nested.append(Config(f"{self.where}, {field}", value, f"{self._inside}{field}."))
        return self._nested[-1]

    def dtype(self) -> DType:
        """The number format that the weights are saved in: `dtype`, or `torch_dtype` as it was called before.

        A config of several parts may say so in one of them alone, such as that of the text.
        """
        said = self._stated_dtype()
        if said is None:
            self._assumed[f"{self._inside}dtype"] = "float32"
        return said or dtype("float32")

    def _stated_dtype(self) -> DType | None:
        for field in ("dtype", "torch_dtype"):
            if field in self.fields:
                try:
                    return dtype(self.text(field, ""))
                except UnknownDtype as error:
                    where = f"{self.where}, field {field}"
                    raise UnknownDtype(where, f"{error.where!r:.40} is {error.problem}") from None
        parts = [name for name in self.fields if name.endswith("_config") and name not in HARMLESS]
        for part in sorted(parts, key=lambda name: name != "text_config"):
            if isinstance(self.fields[part], dict):
                said = Config(f"{self.where}, {part}", self.fields[part])._stated_dtype()
                if said is not None:
                    return said
        return None

    def split(self, field: str, by: str, size: int, count: int) -> int:
        """`size / count`, the values of `field` and of the field `by`, which must divide it."""
        if size % count:
            raise InvalidConfig(f"{self.where}, field {field}", f"{size} is not a multiple of {by}, {count}")
        return size // count

    def ignore(self, *fields: str) -> None:
        """Name fields that no answer about this family depends on."""
        self._read.update(fields)

    def only(self, field: str, *allowed: Any) -> Any:
        """A field of which a specification knows some values; the first of them is the default.

        Raises:
            UnsupportedField: If it has another value, which would change the answer in a way that nobody here knows.
        """
        value = self.get(field, allowed[0])
        if value not in allowed:
            raise UnsupportedField(
                f"{self.where}, field {field}", f"{value!r:.40} changes the answer, and weigh only knows {allowed[0]!r}"
            )
        return value

    @property
    def has_nested(self) -> bool:
        """Whether a specification asked for an object with fields of its own."""
        return bool(self._nested)

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields that nothing asked for and that are not known to be harmless, those of nested objects dotted.

        Private fields, and those that are false, zero or empty, change nothing.
        """
        own = [
            f"{self._inside}{field}"
            for field, value in self.fields.items()
            if value and not field.startswith("_") and field not in self._read | HARMLESS
        ]
        return (*own, *(field for config in self._nested for field in config.unread))

    @property
    def assumed(self) -> dict[str, Any]:
        """The values that were taken for absent fields that may change an answer, those of nested objects dotted."""
        own = {name: value for name, value in self._assumed.items() if name.rpartition(".")[2] not in HARMLESS - _SAID}
        return own | {name: value for config in self._nested for name, value in config.assumed.items()}
