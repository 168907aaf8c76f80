"""What changed: files since a manifest was written, and each artifact against an earlier directory."""

from collections.abc import Iterator
from pathlib import Path

from weigh.artifacts.comparing import Comparison, compare
from weigh.artifacts.manifests import ModelManifest, verify_manifest
from weigh.artifacts.reading import KINDS, artifact_of
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.errors import MissingPackage, WeighError
from weigh.files.comparing import diff
from weigh.files.directories import ARTIFACTS


def since_manifest(home: ModelDirectory, manifest: ModelManifest | Path) -> CheckResult:
    """Since the manifest: files with other bytes, files that are gone, and files that nobody listed."""
    found = verify_manifest(home.path, manifest)
    kinds = {
        "changed": (found.changed, "as in the manifest"),
        "missing": (found.missing, "there, as in the manifest"),
        "added": (found.added, "not there, by the manifest"),
        "a Git LFS pointer": (found.pointers, "the file that it stands for"),
    }
    faults = [
        Fault(name, "the whole file", kind, expected) for kind, (names, expected) in kinds.items() for name in names
    ]
    return counted(
        "files that are not as the manifest says",
        faults,
        "what is served is not what was tested; put the files back, or test again and write the manifest again",
        cost={"files": found.same + len(faults)},
        notes=[f"{name} is not looked at: {why}" for name, why in list(found.left_out.items())[:3]],
    )


def attributed(home: ModelDirectory, other: ModelDirectory) -> Iterator[tuple[str, CheckResult | NotExamined]]:
    """Changes against another directory, one result for each artifact of which either has a file.

    Args:
        home: The directory that is examined.
        other: The one that its changes are counted from.
    """
    found = compare(other.path, home.path)
    changed: dict[str, list[Fault]] = {artifact: [] for artifact in KINDS}
    for change in found.changes:
        place, before, after = change.place or "the whole file", change.before or "absent", change.after or "absent"
        changed[change.artifact].append(Fault(change.file, place, after, f"{before}, as it was"))
    tensors = _tensors(home, other, found)
    if isinstance(tensors, list):
        artifact = "adapter" if home.is_adapter and not home.holds("config.json") else "weights"
        changed[artifact] += tensors
    there = {*ARTIFACTS, *(artifact_of(name) for name in (*found.compared, *found.tensors))}
    for artifact in filter(there.__contains__, KINDS):
        name = f"changed {artifact}"
        if artifact == "weights" and isinstance(tensors, NotExamined):
            yield name, tensors
        elif artifact in found.not_compared:
            yield name, NotExamined(found.not_compared[artifact])
        else:
            yield (
                name,
                counted(
                    "values that differ from the other directory",
                    changed[artifact],
                    "each is enough to change what the model says; put back one artifact at a time to see which does",
                    cost={"files compared": len(found.compared) + len(found.tensors)},
                ),
            )


def _tensors(home: ModelDirectory, other: ModelDirectory, found: Comparison) -> list[Fault] | NotExamined:
    """The tensors that differ, or why nobody knows."""
    if not found.tensors:
        return []
    try:
        difference = diff(other.path, home.path)
    except MissingPackage as error:
        return NotExamined(error.problem)
    except WeighError as error:
        return NotExamined(str(error))
    faults = []
    for change in difference.changes:
        far = "" if change.relative is None else f" by {change.relative:.3g} of its length"
        was = f"{change.before or 'absent'}, as it was"
        faults.append(Fault("tensors", change.name, f"{change.kind}{far}: {change.after or 'absent'}", was))
    faults += [Fault("tensors", name, new, f"{old}, as it was") for name, (old, new) in difference.metadata.items()]
    return faults
