"""What can be wrong with the input, one class for each way, each docstring the condition.

The message is one line: the file, the place in it, what is wrong there, and what to do about it.
"""


class WeighError(Exception):
    """Any input that `weigh` refuses.

    Attributes:
        where: The file, the field or the option, with the place in it.
        problem: What is wrong there and what to do about it.
    """

    def __init__(self, where: object, problem: str) -> None:
        self.where, self.problem = str(where), problem
        super().__init__(f"{where}: {problem}".replace("\n", " "))


class NotFound(WeighError):
    """There is no file at the path, it cannot be opened, or the directory holds nothing to weigh."""


class Unreachable(WeighError):
    """A remote file that its server does not give, or does not give by ranges."""


class MissingPackage(WeighError):
    """What was asked for needs a package that is not installed."""


class OutsideDirectory(WeighError):
    """A file names another one outside its own directory: a path, a URL, or a link to the directory above."""


class UnknownFormat(WeighError):
    """The first bytes belong to no format that `weigh` reads, or to a version of one that it does not."""


class UnknownDtype(WeighError):
    """A number format that `weigh` does not know, whose size it therefore cannot state."""


class TruncatedFile(WeighError):
    """The file ends before what it promises."""


class HeaderTooLarge(WeighError):
    """The header claims more bytes than the file has, or than the specification allows."""


class MalformedHeader(WeighError):
    """The header is not the object that the specification asks for, in JSON or as a Python literal: text, syntax, keys
    or types."""


class DuplicateKey(MalformedHeader):
    """A key appears twice in one object, so that two readers may see two different models."""


class InvalidOffsets(WeighError):
    """Two tensors overlap, leave a gap, reach past the end of the file, or disagree with their own shape."""


class MalformedArchive(WeighError):
    """A zip archive that is damaged or encrypted, whose records overlap or claim more than is there, or that lacks what
    its writer puts in."""


class MalformedPickle(WeighError):
    """A pickle that ends early, breaks the rules of its own stack, uses an opcode that no model file needs, or builds
    something else than what the format keeps in it.

    Attributes:
        imports: What it would import as far as it was followed, which says whose it is.
    """

    def __init__(self, where: object, problem: str, imports: tuple[str, ...] = ()) -> None:
        super().__init__(where, problem)
        self.imports = imports


class InvalidShards(WeighError):
    """The index names a shard or a tensor that is not there, or a shard outside the directory."""


class InvalidConfig(WeighError):
    """The config is not a JSON object, or one of its fields has a value from which no size follows."""


class UnknownArchitecture(WeighError):
    """The config names a model type or an architecture that `weigh` has no specification of."""


class NotConstructed(WeighError):
    """The constructor of a model refuses the fields of a config, or asks for what `weigh` does not compute."""


class UnsupportedField(WeighError):
    """The config or the file sets a field that changes the answer in a way that `weigh` does not know."""


class ContextTooLong(WeighError):
    """More tokens than a model that learned its positions has positions for."""


class AlreadyThere(WeighError):
    """The directory that was to be written is there, with something in it."""


class NothingToExport(WeighError):
    """The checkpoint has no weights below the prefix, or two of the same name without it."""


class MissingTensors(WeighError):
    """The config describes a tensor that the checkpoint lacks, or has in another shape."""


class MalformedMessage(WeighError):
    """A message of Protocol Buffers that breaks its encoding or its schema: a group, a number of more than 64 bits, a
    field longer than the message around it or of another type than its own, text that is not UTF-8, endless nesting."""


class InvalidLogits(WeighError):
    """Logits from which no token can be drawn: not one vector, a NaN or +∞ among them, or nothing above −∞."""


class InvalidSetting(WeighError):
    """A decoding setting, or an argument of a generation or a check, that is unknown or outside its range."""


class AmbiguousWeights(WeighError):
    """The checkpoint holds several sets of weights of the same names, such as a model and its moving average."""


class InvalidTokenizer(WeighError):
    """A file that is no tokenizer, or one that its own library refuses to load or to run."""


class InvalidArtifact(WeighError):
    """A file beside the weights, or a manifest, that is not what its name says: no JSON in UTF-8, a key twice, nested
    too deep, or more than a file of its kind holds."""


class InvalidTable(WeighError):
    """A table that cannot be read, has no rows, lacks a column, or has one that cannot be used: text where numbers are
    needed, missing values, one class, or too few rows for the question."""


class InvalidDeclaration(WeighError):
    """A declaration of what is known at prediction time that cannot be read, says something else than yes, no or when,
    or names no column of the table."""


class InvalidCard(WeighError):
    """A model card that cannot be read: no UTF-8, too large, front matter that is no mapping in YAML or has a key
    twice, or a model-index of another form than the Hub's."""
