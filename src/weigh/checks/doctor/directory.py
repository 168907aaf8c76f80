"""A model directory as the examinations see it: tokenizers and headers read once, damage remembered, not raised."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from weigh.artifacts.reading import LARGEST
from weigh.checks.cards.weights import ADAPTER
from weigh.checks.doctor.examination import NotExamined
from weigh.checks.doctor.numbers import Numbers, numbers
from weigh.checks.tokenizer.boundary import ModelFacts, model_facts
from weigh.dtypes import DTYPES
from weigh.errors import InvalidArtifact, InvalidConfig, NotFound, UnknownDtype, WeighError
from weigh.files.directories import find_artifacts, read_file
from weigh.files.inspecting import inspect
from weigh.formats.pointers import pointer
from weigh.models.config import load
from weigh.models.parameters import Model, params
from weigh.sources import File, is_directory, is_remote, locate, opening
from weigh.tensors import Contents, Tensor
from weigh.tokenizers.reading import FILES, Tokenizer, tokenizer

_NO_OBJECT = ("trainer_state.json",)
_GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq")


class ModelDirectory:
    """A directory that holds a model or an adapter, or what is left of one.

    What is absent or damaged raises `NotExamined` with the reason, in whatever examination asks for it.

    Args:
        path: The directory.

    Raises:
        NotFound: If it is no directory of this machine, or no file in it belongs to a model.
    """

    def __init__(self, path: str | Path) -> None:
        where = locate(path)
        if is_remote(where) or not is_directory(where):
            raise NotFound(path, "is no directory of this machine; give that of a model")
        self.path = where
        with opening(where):
            self.files = sorted(each.name for each in where.iterdir() if each.is_file() or each.is_symlink())
            self.artifacts = find_artifacts(where)
        self._tokenizers: dict[str, Tokenizer] = {}
        if not any(self.artifacts.values()) and ADAPTER not in self.files:
            raise NotFound(path, "holds no file of a model; give the directory of its config.json or weights")

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return name in self.files

    @cached_property
    def pointers(self) -> dict[str, int]:
        """Git LFS pointers by file, each with the bytes of the file that it stands for."""
        found = {}
        for name in self.files:
            with suppress(NotFound):  # a link to nothing, or no permission: what is needed of it is damage
                if there := pointer(self.path / name):
                    found[name] = there.size
        return found

    @cached_property
    def damage(self) -> dict[str, WeighError]:
        """Files of the model that cannot be read, each with the reason; pointers are not among them."""
        found: dict[str, WeighError] = {}
        known = dict.fromkeys([*(name for names in self.artifacts.values() for name in names), ADAPTER])
        for name in known:
            if name not in self.files or name in self.pointers or name in _NO_OBJECT:
                continue
            try:
                self._read(name)
            except WeighError as error:
                found[name] = error
        if not found and not self.pointers:
            try:
                self._inspected  # noqa: B018 (it is read for what it refuses)
            except NotFound:
                pass
            except WeighError as error:
                found["weights"] = error
        return found

    @cached_property
    def _inspected(self) -> Contents:
        return inspect(self.path)

    def _read(self, name: str) -> None:
        weights = name in self.artifacts["weights"] + self.artifacts["checkpoint"] + self.artifacts["optimizer state"]
        if name in FILES:
            self._tokenizers[name] = tokenizer(self.path / name)
        elif weights and not name.endswith("training_args.bin"):
            read_file(File(self.path / name))
        elif name.endswith(".json"):
            load(self.path / name)
        elif name.endswith((".jinja", ".txt")):
            self._decoded(name)

    def _sound(self, name: str) -> None:
        if not self.holds(name):
            raise NotExamined(f"there is no {name}")
        if name in self.pointers:
            raise NotExamined(f"{name} is a Git LFS pointer")
        if name in self.damage:
            raise NotExamined(f"{name} is damaged")

    def object(self, name: str) -> dict[str, Any]:
        """The fields of a JSON file that are not null."""
        self._sound(name)
        return dict(load(self.path / name).fields)

    def fields(self, name: str) -> dict[str, Any]:
        """The same, and no fields where there is no such file."""
        return self.object(name) if self.holds(name) else {}

    def text(self, name: str) -> str:
        """The text of a file in UTF-8."""
        self._sound(name)
        return self._decoded(name)

    def _decoded(self, name: str) -> str:
        if File(self.path / name).size > LARGEST:
            raise InvalidArtifact(self.path / name, f"is no text: it has more than {LARGEST:,} bytes; fetch it again")
        try:
            return File(self.path / name).first(LARGEST).decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidArtifact(self.path / name, "is no text in UTF-8; fetch it again") from None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The fields of `config.json`."""
        return self.object("config.json")

    @cached_property
    def model(self) -> Model:
        """The tensors that the config describes."""
        self._sound("config.json")
        if self.config.get("quantization_config"):
            raise NotExamined("quantized weights are stored as their packages please")
        try:
            return params(self.path, fallback=False)
        except InvalidConfig:
            raise
        except WeighError as error:
            raise NotExamined(error.problem.partition(", which knows")[0]) from None

    @cached_property
    def contents(self) -> Contents:
        """The tensors of the weights."""
        unread = [name for name in self.artifacts["weights"] if name in self.pointers or name in self.damage]
        if unread or "weights" in self.damage:
            raise NotExamined(f"{(unread or ['the weights'])[0]} cannot be read")
        try:
            found = self._inspected
        except WeighError as error:
            raise NotExamined(error.problem) from None
        if not found.named:
            raise NotExamined("there are no weights")
        return found

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """Tensors by name, those of an optimizer apart."""
        return {tensor.name: tensor for tensor in self.contents.named if tensor.component == "weights"}

    @cached_property
    def numbers(self) -> dict[str, Numbers]:
        """The numbers of each floating-point tensor of the weights, read in stretches.

        Codes of a few bits that a quantizer keeps as numbers of 16 and more are none.
        """
        found = {}
        codes = {name for group in self.contents.groups for name in group.data}
        for name, tensor in self.weights.items():
            if name in codes and DTYPES[tensor.dtype].bits >= 16:
                continue
            if DTYPES[tensor.dtype].kind == "float" and tensor.numel:
                try:
                    found[name] = numbers(self.contents, tensor)
                except UnknownDtype:  # blocks of a few bits each
                    continue
        if not found:
            raise NotExamined("they have no number format that can be read")
        return found

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, run by its own library."""
        name = next((name for name in FILES if self.holds(name)), None)
        if name is None:
            raise NotExamined("there is no tokenizer file")
        return self.tokenizer_in(name)

    def tokenizer_in(self, name: str) -> Tokenizer:
        """The tokenizer in a file, one of `FILES`."""
        self._sound(name)
        if name not in self._tokenizers:
            raise NotExamined(f"{name} is a link to nothing")
        return self._tokenizers[name]

    @cached_property
    def facts(self) -> ModelFacts:
        """What the files say of the model that the tokenizer belongs to."""
        for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
            if self.holds(name):
                self._sound(name)
        return model_facts(self.path)

    @property
    def generates(self) -> bool:
        """Whether the config is that of a model which writes text."""
        kinds = self.config.get("architectures")
        return any(str(kind).endswith(_GENERATES) for kind in (kinds if isinstance(kinds, list) else [kinds]))

    @property
    def adapter(self) -> Mapping[str, Any]:
        """The fields of `adapter_config.json`."""
        return self.object(ADAPTER)

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter lies here."""
        return self.holds(ADAPTER)
