"""The constructors that weigh keeps, against their register and against transformers on the meta device."""

import logging
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from zipfile import ZipFile

import pytest

from handbook.families import cases, comparing, reference, register, starts
from weigh.errors import WeighError
from weigh.models import constructors
from weigh.models.constructors import archive

ROOT = Path(__file__).parents[2]
VERSION, TYPES = register.read(ROOT)
EXACT = sorted(name for name, entry in TYPES.items() if entry.status.startswith(register.EXACT))


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Changed configs are odd on purpose, and transformers says so at length."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(action="ignore"):
        yield
    logging.disable(logging.NOTSET)


def said(model_type: str) -> tuple[int, int] | None:
    """Parameters and tensors of the least config of a type, as the constructors have them."""
    entry = TYPES[model_type]
    try:
        found = constructors.construct(starts.start(model_type), entry.architecture).parameters
    except WeighError:
        return None
    alone = [parameter.shape for parameter in found if not parameter.tied_to]
    return sum(map(prod, alone)), len(alone)


def test_the_register_has_every_model_type_of_transformers() -> None:
    assert reference.VERSION == VERSION == constructors.version()
    assert sorted(TYPES) == reference.types()


def test_the_index_says_where_each_module_of_the_archive_lies() -> None:
    with ZipFile(archive.PATH) as whole:
        modules = {path: whole.read(f"{path}.py") for path in archive.index().head["modules"]}
        assert {*whole.namelist()} == {*(f"{path}.py" for path in modules), "index.jsonl", "LICENSE"}
    assert all(archive.index().module(path) == text for path, text in modules.items())


def test_the_register_is_what_the_constructors_say() -> None:
    wrong = {name for name in EXACT if said(name) != (TYPES[name].parameters, TYPES[name].tensors)}
    assert not wrong
    refused = [name for name, entry in TYPES.items() if entry.status.startswith(register.REFUSED)]
    assert not {name for name in refused if said(name) is not None}


def test_nineteen_of_twenty_types_that_can_be_built_are_exact() -> None:
    built = [entry for entry in TYPES.values() if entry.parameters]
    assert len(EXACT) >= 0.95 * len(built)


@pytest.mark.parametrize("model_type", random.Random(17).sample(EXACT, 8))
def test_changed_configs_have_the_parameters_that_transformers_builds(model_type: str) -> None:
    recorded = cases.record(model_type, wanted=8, seed=1)
    ends: Counter[str] = Counter()
    for case in recorded["cases"]:
        end, why = comparing.compare(case)
        ends[end] += 1
        assert end != comparing.WRONG, (why, case["architecture"], case["fields"])
    assert ends[comparing.EXACT] >= 5
