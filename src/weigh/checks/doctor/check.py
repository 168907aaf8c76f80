"""The diagnosis of a model directory: every examination that its files allow, and why the others could not be made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from weigh.artifacts.manifests import ModelManifest
from weigh.checks.doctor import (
    adapters,
    changes,
    chat,
    files,
    formats,
    generation,
    spelling,
    tokenizer,
    values,
    weights,
)
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Diagnosis, NotExamined
from weigh.checks.results import CheckResult
from weigh.errors import MissingPackage, WeighError

Examination = Callable[[ModelDirectory], CheckResult]

EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("pointers in place of files", files.pointers),
    ("partial download", files.partial_download),
    ("damaged files", files.damaged_files),
    ("tensors against the config", weights.tensors_against_config),
    ("number formats", weights.number_formats),
    ("tied weights", weights.tied_weights),
    ("NaN and infinite numbers", values.not_a_number),
    ("constant tensors", values.constant_tensors),
    ("outliers", values.outliers),
    ("two formats", formats.two_formats),
    ("vocabulary", tokenizer.vocabulary),
    ("special tokens", tokenizer.special_tokens),
    ("two spellings of the vocabulary", tokenizer.spellings),
    ("tokens against the embedding", spelling.known_spelling),
    ("end tokens", generation.end_tokens),
    ("generation config", generation.generation_config),
    ("chat template", chat.template),
    ("marks of the template", chat.template_marks),
    ("adapter", adapters.adapter),
)
"""Every examination of a directory alone, by its name, in the order in which one would ask. To add one, write a
function that returns a result, or raises `NotExamined`, and name it here."""


def diagnose(
    directory: str | Path, against: str | Path | None = None, manifest: str | Path | ModelManifest | None = None
) -> Diagnosis:
    """The diagnosis of a model directory: faults of its six artifacts, found without running the model.

    Damage of a file is a finding. The numbers of tensors are read in stretches, and nothing is unpickled,
    imported or rendered.

    Args:
        directory: The directory of a model or an adapter.
        against: Another one: an earlier state of it, to which changes are attributed, or the base model of an adapter.
        manifest: What `weigh manifest` wrote of it, or the path of that.

    Raises:
        NotFound: If it, or the other one, is no directory, or no file in it belongs to a model.
        WeighError: If the manifest cannot be read.
    """
    home = ModelDirectory(directory)
    other = ModelDirectory(against) if against is not None else None
    expected = Path(manifest) if isinstance(manifest, str) else manifest
    results: list[CheckResult] = []
    missed: dict[str, str] = {}

    def examine(name: str, examination: Examination) -> None:
        try:
            results.append(replace(examination(home), check=name))
        except NotExamined as reason:
            missed[name] = str(reason)
        except MissingPackage as error:
            missed[name] = error.problem
        except WeighError as error:
            missed[name] = str(error)

    for name, examination in EXAMINATIONS:
        examine(name, examination)
    is_base = other is not None and home.is_adapter and not other.is_adapter
    examine("base of the adapter", lambda home: adapters.adapter_base(home, other.path if other and is_base else None))
    if expected is not None:
        results.append(replace(changes.since_manifest(home, expected), check="changes since the manifest"))
    else:
        missed["changes since the manifest"] = "no manifest is given"
    for name, found in changes.attributed(home, other) if other and not is_base else ():
        if isinstance(found, NotExamined):
            missed[name] = str(found)
        else:
            results.append(replace(found, check=name))
    subject = str(directory) if against is None else f"{against} → {directory}"
    return Diagnosis("doctor", subject, tuple(results), missed)
