"""Read a model directory: what counts of it, what it is made of, and what is left."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from weigh import errors, formats
from weigh.files import quantized
from weigh.files.directories import components, training
from weigh.files.directories.foreign import formats_of
from weigh.files.directories.joining import below, join
from weigh.files.directories.listing import Listing, artifacts_of, list_tree
from weigh.files.directories.pickles import SUFFIXES, Follower, TooLong, is_pickle
from weigh.files.directories.unread import FOREIGN, account
from weigh.files.directories.weights import Choice, choose
from weigh.formats import FORMATS, foreign
from weigh.formats.pointers import SIZES, pointer
from weigh.formats.torch import allowed
from weigh.formats.torch.allowed import Imports
from weigh.models.parameters import params
from weigh.sources import File
from weigh.tensors import Contents

_READ_BESIDE = ("config.json", "params.json", components.MODULES, components.PIPELINE, "latest")
_MOST_NAMED = 3


def read(directory: Path) -> Contents:
    """Inspect the files of a directory that hold tensors, list its artifacts, and account for all else in it.

    The same weights often lie there twice, as safetensors and as `pytorch_model.bin` or in two precisions. They are
    counted once, from the file that their library would load. Every pickle is followed, counted or not.

    Raises:
        NotFound: If no file in the directory belongs to a model.
        WeighError: What the readers of the single files raise.
    """
    listing = list_tree(directory)
    made_of = components.components(directory, listing)
    if made_of and set(made_of) != {""}:
        return _Directory(directory, listing).of_components(made_of)
    return _Directory(directory, listing).contents()


class _Directory:
    def __init__(self, directory: Path, listing: Listing) -> None:
        self.directory, self.listing = directory, listing
        self.artifacts = artifacts_of(listing.top)
        self.foreign = formats_of([entry.path for entry in listing.entries if not entry.why], directory.name)
        self.choice = Choice()
        self.notes: list[str] = []
        self.imports: dict[str, None] = {}
        self.only_folder = ""

    def contents(self) -> Contents:
        """What is in a directory of one model."""
        parts = self._counted()
        joined = quantized.explained(join(self.directory, parts), self.directory)
        self.notes += joined.notes
        own = [path for path in self.foreign if "/" not in path or not joined.named]
        if not joined.named and not own and not self.choice.counted:
            self._look_below()
            if self.only_folder:
                return self.of_components({self.only_folder: self.only_folder}, prefixed=False)
        if not joined.named:
            self.artifacts["weights"] += [path for path in own if path not in self.artifacts["weights"]]
        self.notes += _against_config(self.directory, joined)
        return self._accounted(joined, {})

    def _look_below(self) -> None:
        """Find the folder that holds the weights, where the directory has the rest of the model, as in `onnx/`."""
        homes = components.homes(self.listing)
        own = any(self.artifacts.values())
        if own and len(homes) == 1 and "/" not in homes[0] and not _is_own(homes[0]):
            self.only_folder = homes[0]
        elif homes:
            shown = ", ".join(homes[:_MOST_NAMED]) + (f" … ({len(homes):,})" if len(homes) > _MOST_NAMED else "")
            problem = f"holds no weights of its own; folders in it do, so give one of them: {shown}"
            raise errors.NotFound(self.directory, problem)
        elif not own:
            problem = "holds no file of a model; give the directory of its config.json or weights"
            raise errors.NotFound(self.directory, problem)

    def of_components(self, made_of: dict[str, str], *, prefixed: bool = True) -> Contents:
        """What is in a directory whose models lie in folders; `prefixed` puts these in front of the tensors' names."""
        parts, parameters = [], {}
        for folder, title in made_of.items():
            if folder:
                if not title:
                    self.notes.append(f"{folder} is not in {components.PIPELINE}, and is counted")
                inside = read(self.directory / folder)
                part = below(inside, folder, prefix=f"{folder}." if prefixed else "")
                self.notes += [f"{folder}: {note}" for note in inside.notes]
                for kind, names in inside.artifacts.items():
                    self.artifacts[kind] += [f"{folder}/{name}" for name in names]
            elif self.artifacts["weights"]:
                part = quantized.explained(join(self.directory, self._counted()), self.directory)
                self.notes += part.notes
            else:
                continue
            parts.append(part)
            parameters[folder or "."] = part.parameters
        joined = join(self.directory, parts)
        inside_paths = {each.path for part in parts for each in part.not_read}
        whole = self._accounted(joined, parameters, inside_paths)
        not_read = sorted([*whole.not_read, *(each for part in parts for each in part.not_read)], key=lambda e: e.path)
        return replace(whole, not_read=tuple(not_read))

    def _counted(self) -> list[Contents]:
        """The parts that count: weights, and training state."""
        names, artifacts = self.listing.top, self.artifacts
        loose = self._loose()
        weights = [*artifacts["weights"], *loose]
        marked: set[str] = set()
        for marker in (each.marker for each in FORMATS if each.marker in names and each.marker):
            contents = formats.read(File(self.directory / marker))
            self.choice.counted.append((marker, contents))
            marked |= set(contents.files)
            if any(artifacts.values()):
                artifacts["weights"].append(marker)
            self.notes += contents.notes
        accelerate = any(fnmatch(name, "random_states_*.pkl") for name in names)
        choose(self.directory, weights, self.choice, accelerate=accelerate)
        artifacts["weights"] += [name for name in loose if name not in self.choice.left_out]
        parts = [contents for _, contents in self.choice.counted]
        states = [
            name
            for name in sorted(artifacts["checkpoint"] + artifacts["optimizer state"])
            if PurePosixPath(name).suffix in SUFFIXES and name not in weights and not pointer(self.directory / name)
        ]
        parts += training.add_files(self.directory, states, self.choice)
        if not any(part.named for part in parts):
            bare = [name for name in names if name.endswith((".pkl", ".pickle")) and name not in states]
            inside = training.add_files(self.directory, bare, self.choice)
            artifacts["weights"] += [name for part in inside if part.named for name in part.files]
            parts += inside
        if not parts and states:
            formats.read(File(self.directory / states[0]))  # which says what is wrong with it
        folders = training.add_folders(self.directory, self.listing, self.choice)
        for folder, states_inside in folders.items():
            parts += states_inside
            if folder == training.RANKS:
                self.notes.append("what each rank of a model in parallel holds whole, such as a norm, counts for each")
            kinds = {tensor.component for contents in states_inside for tensor in contents.named}
            for component, kind in (("weights", "weights"), ("optimizer", "optimizer state")):
                if component in kinds:
                    artifacts[kind].append(f"{folder}/")
            artifacts["checkpoint"].append(f"{folder}/")
        for part in parts:
            if part.imports:
                self._warn(f"{', '.join(part.files[:_MOST_NAMED])}: loading it", part.imports)
            if part.allowed:
                name = PurePosixPath(part.files[0]).name
                self.notes.append(allowed.note(name, allowed.Imports((), part.allowed)))
            if part.by_component["optimizer"]:
                for name in part.files:
                    if "/" not in name and name not in artifacts["optimizer state"] and name not in marked:
                        artifacts["optimizer state"].append(name)
        return parts

    def _loose(self) -> list[str]:
        """Files of torch with no name that says what is in them, such as `mm_projector.bin`."""
        known = {name for names in self.artifacts.values() for name in names}
        loose = []
        for name in self.listing.top:
            if name.endswith((".bin", ".pt2")) and name not in known:
                file = File(self.directory / name)
                if is_pickle(file.first(4)):
                    loose.append(name)
                elif name not in self.foreign:
                    said = foreign.named(file)
                    self.foreign[name] = said.removeprefix("is ").partition(", which")[0] or "an unknown one"
        return loose

    def _accounted(self, joined: Contents, parts: dict[str, int], inside: set[str] | None = None) -> Contents:
        """With every pickle followed, and every file that is not counted named."""
        top = self.listing.top
        read_beside = {name for name in _READ_BESIDE if name in top}
        read_beside |= {name for name in top if name.endswith(".json") and ".index" in name} - set(self.choice.left_out)
        skipped = {*joined.files, *read_beside, *(inside or ())}
        reasons = dict(self.choice.left_out)
        for folder in self.listing.folders if joined.named else ():
            mine = f"{folder}/" in self.artifacts["checkpoint"] or folder in parts
            if not mine and components.has_weights(self.listing.folders, folder):
                reasons.setdefault(f"{folder}/", "a model of its own, or a copy; inspect it by itself")
        self._check_pickles(skipped, reasons, set(parts))
        for entry in self.listing.entries:
            if entry.why or entry.path in skipped or entry.size not in SIZES:
                continue
            if found := pointer(self.directory / entry.path):
                reasons[entry.path] = f"a Git LFS pointer to {found.size:,} bytes; fetch them with git lfs pull"
        not_read = account(self.listing, skipped, reasons, self.foreign)
        sizes: dict[str, int] = {}
        for each in not_read if not joined.named else ():
            if each.why.startswith(FOREIGN):
                sizes[each.why] = sizes.get(each.why, 0) + each.bytes
        self.notes += [f"{why}, {size:,} bytes" for why, size in sizes.items()]
        return replace(
            joined,
            artifacts=self.artifacts if any(self.artifacts.values()) else {},
            imports=tuple(dict.fromkeys([*joined.imports, *self.imports])),
            notes=tuple(self.notes),
            parts=parts,
            not_read=not_read,
        )

    def _check_pickles(self, skipped: set[str], reasons: dict[str, str], parts: set[str]) -> None:
        follower = Follower()
        for entry in self.listing.entries:
            if entry.why or entry.path in skipped or PurePosixPath(entry.path).suffix not in SUFFIXES:
                continue
            if entry.folder in parts or _is_own(entry.folder):
                continue
            try:
                known = self.choice.imports.get(entry.path)
                followed = follower.imported_by(File(self.directory / entry.path)) if known is None else Imports(known)
            except TooLong:
                if f"{entry.folder}/" not in reasons:
                    reasons.setdefault(entry.path, "a pickle")
                self.notes.append(f"{entry.path}: its pickle was not followed to its end; inspect it by itself")
                continue
            if followed is not None:
                self.foreign.pop(entry.path, None)
                if f"{entry.folder}/" not in reasons:
                    reasons.setdefault(entry.path, "a pickle of something else than the weights")
            if followed and followed.refused:
                self.imports |= dict.fromkeys(followed.refused)
                self._warn(f"{entry.path} is not counted, and loading it", followed.refused)

    def _warn(self, subject: str, imports: Sequence[str]) -> None:
        named = ", ".join(name[:80] for name in imports[:_MOST_NAMED])
        more = f" and {len(imports) - _MOST_NAMED:,} more" if len(imports) > _MOST_NAMED else ""
        self.notes.append(f"{subject} would import {named}{more}")


def _is_own(folder: str) -> bool:
    """Whether a folder holds another state of the model, which loading this one does not touch."""
    return fnmatch(folder, "checkpoint-*")


def _against_config(directory: Path, contents: Contents) -> list[str]:
    try:
        expected = params(directory, fallback=False).parameters
    except errors.WeighError:
        return []
    if any(group.parameters is None for group in contents.groups):  # a note says that some are not counted
        return []
    if not contents.parameters or contents.parameters == expected:
        return []
    return [f"config.json describes {expected:,} parameters, the files hold {contents.parameters:,}"]
