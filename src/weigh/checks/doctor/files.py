"""Whether the files are there, all of each, and what their names say."""

import re

from weigh.artifacts.digests import list_files
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.errors import HeaderTooLarge, InvalidConfig, InvalidShards, NotFound, TruncatedFile, WeighError

_UNFINISHED = re.compile(r".*\.(incomplete|part|partial|aria2|crdownload|download|tmp)")
_PARTIAL = (TruncatedFile, HeaderTooLarge, InvalidShards, NotFound)


def pointers(home: ModelDirectory) -> CheckResult:
    """Pointers: files of which Git LFS left three lines of text, since they were never fetched."""
    faults = [
        Fault(name, "the whole file", "a Git LFS pointer", f"{size:,} bytes") for name, size in home.pointers.items()
    ]
    return counted(
        "files that are Git LFS pointers",
        faults,
        "a pointer has the name of the file and nothing of it; run git lfs pull, or download the file",
        cost={"files": len(home.files)},
    )


def partial_download(home: ModelDirectory) -> CheckResult:
    """Partial download: files that end early, are empty, are missing, or whose download left a part of itself."""
    names = sorted({*home.files, *list_files(home.path)[0]})
    faults = [
        Fault(name, "the whole file", "a link to nothing", "a file")
        for name in names
        if not (home.path / name).exists()
    ]
    cache = home.path / ".cache" / "huggingface" / "download"
    left = [name for name in names if _UNFINISHED.fullmatch(name)]
    left += sorted(path.relative_to(home.path).as_posix() for path in cache.rglob("*.incomplete"))
    faults += [Fault(name, "the whole file", "a download that did not finish", "nothing") for name in left]
    faults += [
        Fault(name, _place(error), error.problem, "whole")
        for name, error in home.damage.items()
        if isinstance(error, _PARTIAL) or _is_empty(home, name)
    ]
    indices = [name for name in home.artifacts["weights"] if name.endswith(".index.json")]
    for name in indices:
        faults += _total(home, name)
    return counted(
        "files that are missing, or end early",
        faults,
        "what is missing is filled with random numbers, or stops the loader; fetch the file again",
        cost={"files": len(names)},
    )


def damaged_files(home: ModelDirectory) -> CheckResult:
    """Damaged files: JSON that does not parse, headers and tokenizers that their readers refuse, impossible sizes."""
    faults = [
        Fault(name, _place(error), error.problem, "readable")
        for name, error in home.damage.items()
        if not isinstance(error, _PARTIAL) and not _is_empty(home, name)
    ]
    faults += _impossible_sizes(home)
    return counted(
        "files that cannot be read",
        faults,
        "a loader stops there, or falls back on its defaults; take the file from where the model was published",
        cost={"files": sum(map(len, home.artifacts.values()))},
    )


def _impossible_sizes(home: ModelDirectory) -> list[Fault]:
    """A field of the config from which no size of a tensor can follow."""
    try:
        home.model  # noqa: B018 (it is read for what it refuses)
    except InvalidConfig as error:
        return [Fault("config.json", _place(error), error.problem, "a config of this model")]
    except NotExamined:
        pass
    return []


def _is_empty(home: ModelDirectory, name: str) -> bool:
    return (home.path / name).is_file() and not (home.path / name).stat().st_size


def _place(error: WeighError) -> str:
    """What stands behind the path in the first part of an error: `line 3`."""
    return error.where.rpartition("/")[2].partition(", ")[2] or "the whole file"


def _total(home: ModelDirectory, name: str) -> list[Fault]:
    """What an index says that its shards hold, against what they do."""
    if name in home.damage or name in home.pointers:
        return []
    metadata = home.object(name).get("metadata")
    said = metadata.get("total_size") if isinstance(metadata, dict) else None
    try:
        sizes = {(tensor.storage, tensor.begin, tensor.end): tensor.nbytes for tensor in home.contents.named}
    except NotExamined:
        return []
    held = sum(sizes.values())
    if type(said) is not int or said == held:
        return []
    return [Fault(name, "metadata.total_size", f"{said:,} bytes", f"{held:,} bytes")]
