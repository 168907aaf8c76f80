"""What of a directory was not read: every file that is not counted, with its bytes and the reason."""

from collections.abc import Collection, Mapping

from weigh.files.directories.listing import Entry, Listing, artifact_of
from weigh.tensors import NotRead

FOREIGN = "weights in a format that weigh does not read"
_NO_TENSORS = "it holds no tensors"
_UNKNOWN = "no file that weigh reads"
_MOST = 1_000  # files that are named one by one
_MOST_OF_FOLDER = 10


def account(
    listing: Listing, counted: Collection[str], reasons: Mapping[str, str], foreign: Mapping[str, str]
) -> tuple[NotRead, ...]:
    """All that was not read.

    Args:
        listing: What is there.
        counted: The files whose bytes are counted, or that were read for what they say of others.
        reasons: Why files or folders were left out. A folder's name ends with `/`, and its reason is that of all in it.
        foreign: The format of files of weights that are not read.
    """
    found: list[NotRead] = []
    folders: dict[str, NotRead] = {}
    for entry in listing.entries:
        if entry.path in counted:
            continue
        folder = next((name for name in _above(entry.path) if name in reasons), "")
        if folder and entry.path not in reasons:
            before = folders.get(folder)
            size = entry.size + (before.bytes if before else 0)
            folders[folder] = NotRead(folder, size, reasons[folder])
        else:
            found.append(NotRead(entry.path, entry.size, reasons.get(entry.path) or _why(entry, foreign)))
    found = sorted([*_merged(found), *folders.values()], key=lambda each: each.path)
    if len(found) > _MOST:
        rest = found[_MOST:]
        found[_MOST:] = [NotRead("…", sum(each.bytes for each in rest), f"{len(rest):,} more files")]
    if not listing.complete:
        found.append(NotRead("…", 0, f"more than the {len(listing.entries):,} files that weigh lists"))
    return tuple(found)


def _merged(found: list[NotRead]) -> list[NotRead]:
    """The same with one entry for each folder of many files that were left out for one reason."""
    folders: dict[str, list[NotRead]] = {}
    for each in found:
        folders.setdefault(next(iter(_above(each.path)), ""), []).append(each)
    merged = []
    for folder, files in folders.items():
        if folder and len(files) > _MOST_OF_FOLDER and len({each.why for each in files}) == 1:
            merged.append(NotRead(folder, sum(each.bytes for each in files), files[0].why))
        else:
            merged += files
    return merged


def _above(path: str) -> list[str]:
    """The folders that a path is in, the outermost first."""
    parts = path.rstrip("/").split("/")[:-1]
    return ["/".join(parts[: depth + 1]) + "/" for depth in range(len(parts))]


def _why(entry: Entry, foreign: Mapping[str, str]) -> str:
    if entry.why:
        return entry.why
    if title := foreign.get(entry.path):
        return f"{FOREIGN}: {title}"
    kind = artifact_of(entry.name)
    if kind in ("architecture config", "tokenizer / preprocessor", "generation config"):
        return _NO_TENSORS
    if entry.name.endswith((".json", ".txt", ".md", ".py", ".jinja", ".yaml", ".yml")) or entry.name.startswith(".git"):
        return _NO_TENSORS
    if kind:
        return "it belongs to another model, in a folder below"
    return _UNKNOWN
