"""Read a TorchScript archive: what `torch.jit.save` writes.

It is an archive of `torch.save` with two pickles and source code: `data.pkl` is the module, an object of a class
`__torch__.…` whose state holds parameters, buffers, other attributes and submodules; `constants.pkl` is a tuple of the
tensors that the code uses as `CONSTANTS.c0`, `CONSTANTS.c1` and so on, where `torch.jit.freeze` puts the weights; and
`code/` defines the classes. The layout is the one of `torch/csrc/jit/docs/serialization.md`.
"""

import re
from dataclasses import replace

from weigh import errors
from weigh.formats import pickles
from weigh.formats.archives import Record
from weigh.formats.opcodes import Global, Mapping
from weigh.formats.torch import rebuilding
from weigh.formats.torch.saved import resolver, storages_in
from weigh.sources import MAX_HEADER, File
from weigh.tensors import Contents, Tensor

_CLASS = re.compile(
    r"^class (\w+)\(Module\):\n  __parameters__ = \[(.*)\]\n(?:  __buffers__ = \[(.*)\]\n)?", re.MULTILINE
)


def read(file: File, records: dict[str, Record]) -> Contents:
    """Read the tensors of the module by their attributes' paths, and those of the code.

    Args:
        file: The archive.
        records: Its records.

    Raises:
        MalformedArchive: If it lacks one of the two pickles.
        HeaderTooLarge: If its source is longer than any header.
        WeighError: What the reader of its pickles raises: see `rebuilding.tensors`.
    """
    if "data.pkl" not in records:
        raise errors.MalformedArchive(file, "has no record data.pkl, which torch.jit.save writes; save it again")
    module, constants = (
        pickles.read_file(records[name].stored, f"{file}, {name}") for name in ("data.pkl", "constants.pkl")
    )
    found: list[Tensor] = []
    others: list[str] = []
    in_state_dict, buffers = _state_dict(file, records, module)
    for folder, root in (("data/", module.root), ("constants/", constants.root)):
        resolve = resolver(records, folder, f"{file.name}:{folder}")
        letters = 0
        for keys, leaf in pickles.leaves(root, rebuilding.is_tensor, file):
            if rebuilding.is_tensor(leaf):
                name = _attribute(keys) if folder == "data/" else f"CONSTANTS.c{_attribute(keys)}"
                letters += len(name)
                if letters > MAX_HEADER:
                    raise errors.HeaderTooLarge(file, f"its names take more than {MAX_HEADER:,} bytes; do not load it")
                one = rebuilding.tensor(f"{file}, tensor {name[:80]!r}", name, leaf, resolve, "weights")
                plain = folder == "data/" and bool(in_state_dict) and id(leaf) not in in_state_dict
                found.append(replace(one, buffer=plain or id(leaf) in buffers))
                if id(leaf) not in in_state_dict:
                    others.append(name)
    storages = storages_in(records, "data/", f"{file.name}:data/")
    storages |= storages_in(records, "constants/", f"{file.name}:constants/")
    notes = [f"{file.name} is a program: torch.jit.load compiles the source in it, and calling the module runs that"]
    if others:
        notes.append(
            f"{len(others):,} of its tensors are constants or plain attributes, which the state dict leaves out: "
            f"{rebuilding.naming(tuple(others))}"
        )
    return Contents(
        path=str(file),
        format="torchscript",
        named=tuple(found),
        bytes_on_disk=file.size,
        bytes_in_storages=sum(storage.size for storage in storages.values()),
        imports=tuple(
            name
            for name in dict.fromkeys(rebuilding.refused(module.imports + constants.imports))
            # Classes of the source, lists of one type, and storages.
            if not name.startswith(("__torch__.", "torch.jit._pickle."))
            and name.removeprefix("torch.") not in rebuilding.TORCHSCRIPT_STORAGES
        ),
        notes=tuple(notes),
        storages=storages,
    )


def _attribute(keys: pickles.Keys) -> str:
    """The dotted path of an attribute: what is in a list is the argument of a call that gives the list its type."""
    names = [
        str(key)
        for before, key in zip(("", *keys), keys, strict=False)
        if key not in ("<state>", "<args>") and before != "<args>"
    ]
    return ".".join(names)


def _state_dict(file: File, records: dict[str, Record], module: pickles.Pickle) -> tuple[set[int], set[int]]:
    """The calls, by identity, that make a parameter or a buffer, and those of them that make a buffer.

    They are the attributes that the source of the class lists so.
    """
    members: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    left = MAX_HEADER
    for path in dict.fromkeys(f"code/{name.rpartition('.')[0].replace('.', '/')}.py" for name in module.imports):
        if path in records:
            left -= records[path].size
            if left < 0:
                raise errors.HeaderTooLarge(file, f"its source takes more than {MAX_HEADER:,} bytes; do not load it")
            source = bytes(records[path].read(0, records[path].size)).decode("utf-8", "replace")
            for name, parameters, buffers in _CLASS.findall(source):
                listed, kept = (set(re.findall(r'"([^"]*)"', names)) for names in (parameters, buffers))
                members[path, name] = (listed | kept, kept)
    found: tuple[set[int], set[int]] = set(), set()
    for call in module.calls:
        if isinstance(call.function, Global) and isinstance(call.state, Mapping):
            path = f"code/{call.function.module.replace('.', '/')}.py"
            for names, calls in zip(members.get((path, call.function.name), ()), found, strict=False):
                calls.update(id(value) for key, value in call.state.pairs if isinstance(key, str) and key in names)
    return found
