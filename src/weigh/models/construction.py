"""Models that no family here describes: their parameters as their own classes construct them."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from weigh.errors import InvalidConfig, NotConstructed, UnknownArchitecture, UnsupportedField, WeighError
from weigh.models import constructors
from weigh.models.config import HARMLESS, Config
from weigh.models.constructors import Constructed
from weigh.models.limits import refuse_other_kinds

if TYPE_CHECKING:
    from weigh.models.counting import Specified

NO_SHAPES = {
    "auto_map", "trust_remote_code", "code_revision", "quantization_config", "compression_config", "quantization",
    "dtype", "torch_dtype", "attn_implementation", "_attn_implementation", "experts_implementation",
    "_experts_implementation", "name_or_path", "_name_or_path", "_commit_hash", "transformers_version",
}  # fmt: skip
"""Fields that no shape follows from, and that would have transformers look for code or kernels elsewhere."""


FORGOTTEN = {"position_embedding_type": ("relative_key", "relative_key_query", "rotary", "alibi")}
"""Fields that a class no longer reads, or that one of a model's own reads, with the values that mean other tensors."""

MOST_REPEATED = 100_000
"""The most items of a list of a config that is repeated, more than any model has layers."""


class Construction(NamedTuple):
    """A model as its class constructs it, and who did.

    Attributes:
        constructed: The model.
        counted_by: Who constructed it.
        unread: The fields of the config, dotted, that nothing read.
        assumed: What was taken for absent fields.
    """

    constructed: Constructed
    counted_by: str
    unread: tuple[str, ...]
    assumed: dict[str, Any]


def construct(source: Config, model_type: str, architecture: str | None, *, by_transformers: bool) -> Construction:
    """The model of a config, by the constructors that come with weigh, or else by an installed transformers.

    Args:
        source: The config.
        model_type: Its type.
        architecture: The class that it names, if it names one.
        by_transformers: Whether an installed transformers may be asked.

    Raises:
        UnknownArchitecture: If neither knows the type or the class, with what is left to do.
        InvalidConfig: If a field has a value from which no size follows.
        NotConstructed: If neither can construct it of these fields.
        UnsupportedField: If a field changes what files hold in a way that transformers has forgotten.
    """
    fields = without(source.raw)
    if constructors.has(model_type):
        refuse_other_kinds(source, fields, constructors.library().config(model_type))
    try:
        # The config of the text in a multimodal model often names the class of the whole.
        if architecture is None or (model_type.endswith("_text") and not constructors.covers(model_type, architecture)):
            architecture = constructors.architecture_of(model_type)
        found = constructors.construct(fields, architecture)
        counted_by = f"constructors of transformers {constructors.version()}"
    except InvalidConfig as error:
        raise InvalidConfig(f"{source.where}, {error.where}", error.problem) from None
    except (UnknownArchitecture, NotConstructed) as error:
        from weigh.models import fallback  # it takes as long to import as a model to construct

        if not by_transformers or not fallback.building():
            raise _refusal(source, model_type, architecture, error) from None
        try:
            found = fallback.build(fields, architecture, source.where)
        except NotConstructed as answer:
            raise _refusal(source, model_type, architecture, error, answer.problem) from None
        counted_by = fallback.building()
    assumed: dict[str, Any] = (
        {} if found.architecture in (fields.get("architectures") or ()) else {"architectures": [found.architecture]}
    )
    assumed |= dict(_assumed(fields, found.config, found.read))
    unread = tuple(_unread(fields, found.config, found.read))
    for name in FORGOTTEN.keys() & set(unread):
        if fields[name] in FORGOTTEN[name]:
            raise UnsupportedField(
                f"{source.where}, field {name}", f"{fields[name]!r} means tensors that no class here has"
            )
    if says_own_head(source.raw, found.config):
        found = with_own_head(found)
        assumed = {name: False if name == "tie_word_embeddings" else value for name, value in assumed.items()}
    return Construction(found, counted_by, tuple(name for name in unread if name not in FORGOTTEN), assumed)


def of_experts(built: Constructed) -> frozenset[str]:
    """The names of the parameters that may be of experts: these are called so, or the class of their module is."""
    return frozenset(
        one.name for one in built.parameters
        if "xpert" in one.name or "xpert" in one.owner or "MoE" in one.owner
    )  # fmt: skip


def says_own_head(fields: dict[str, Any], config: Any) -> bool:
    """Whether a config says that its output matrix is not the embedding, or leaves that to the config of its text."""
    said, text = fields.get("tie_word_embeddings"), fields.get("text_config")
    if said is None and isinstance(text, dict):
        usual = getattr(getattr(config, "text_config", None), "tie_word_embeddings", None)
        said = text.get("tie_word_embeddings", usual)
    return said is False


def with_own_head(found: Constructed) -> Constructed:
    """A model with an output matrix of its own, as its file has, though its class now ties it.

    mT5, and multimodal models of Mistral's and InternVL's, are built tied, and loaded as their files are.
    """
    own = (one._replace(tied_to="") if one.name.endswith("lm_head.weight") else one for one in found.parameters)
    return found._replace(parameters=tuple(own))


def without(value: Any) -> Any:
    """A config without `NO_SHAPES`, in nested objects too, and with the infinities that JSON has no number for."""
    if isinstance(value, dict) and value.keys() == {"__float__"} and value["__float__"] in ("Infinity", "-Infinity"):
        return float(value["__float__"])
    if isinstance(value, dict):
        return {name: without(inner) for name, inner in value.items() if name not in NO_SHAPES}
    return Listed(map(without, value)) if isinstance(value, list) else value


class Listed(list[Any]):
    """A list of a config, which a constructor that takes it for a number cannot repeat a million times."""

    def __mul__(self, times: Any) -> list[Any]:
        if type(times) is int and len(self) * times > MOST_REPEATED:
            raise OverflowError(f"a list where a number belongs, {times:,} times")
        return super().__mul__(times)

    __rmul__ = __mul__


def construct_otherwise(
    source: Config, model_type: str, architecture: str, unread: Collection[str], named: "Iterable[Specified]"
) -> Construction | None:
    """The model of a config of which a family leaves fields unread, if those make it another than the family says.

    Args:
        source: The config.
        model_type: Its type.
        architecture: The class.
        unread: The fields that the family leaves unread, dotted.
        named: The parameters as the family says them.

    Raises:
        UnsupportedField: If a field belongs to the class of the config, and what it changes cannot be computed.
    """
    try:
        found = construct(source, model_type, architecture, by_transformers=False)
    except (UnknownArchitecture, NotConstructed, InvalidConfig):
        known = _declared(constructors.library().config(model_type)) if constructors.has(model_type) else ()
        for name in unread:
            if name in known:
                raise UnsupportedField(
                    f"{source.where}, field {name}",
                    "is not known to weigh, and might change the answer; remove it if not",
                ) from None
        return None
    if found.constructed.read.isdisjoint(unread):
        return None
    said = [(one.name, one.shape) for one in named]
    return None if said == [(one.name, one.shape) for one in found.constructed.parameters] else found


def _refusal(
    source: Config, model_type: str, architecture: str | None, error: WeighError, answer: str = ""
) -> UnknownArchitecture | NotConstructed:
    """Why a config is not counted, and what to do."""
    from weigh.models import fallback

    known = isinstance(error, NotConstructed)
    field = "model_type" if architecture is None or not constructors.has(model_type) else "architectures"
    name = model_type if field == "model_type" else architecture
    what = error.problem if known else f"{name!r:.60} is not known to weigh"
    if not known and source.fields.get("auto_map"):
        what += ", which runs no code that comes with a model (auto_map)"
    if answer or fallback.building():
        remedy = f"{answer}; weigh inspect counts what its files hold".removeprefix("; ")
    else:
        remedy = (
            "where transformers and torch are installed, they are asked as well: "
            'pip install "weights-and-measures[torch]"; weigh inspect counts what its files hold'
        )
    if known:
        return NotConstructed(source.where, f"{what}; {remedy}")
    return UnknownArchitecture(f"{source.where}, field {field}", f"{what}; {remedy}")


def _unread(fields: dict[str, Any], config: Any, read: frozenset[str], path: str = "") -> Iterator[str]:
    """The fields of a config that its class does not have, that nothing read, and that might say something."""
    declared = _declared(type(config))
    for name, value in fields.items():
        inner = config.__dict__.get(name)
        if isinstance(value, dict) and _is_config(inner):
            yield from _unread(value, inner, read, f"{path}{name}.")
            continue
        harmless = not value or name.startswith("_") or name in HARMLESS or name == "model_type"
        # What its class takes for something else, as a name of old, it does not keep.
        if not harmless and f"{path}{name}" not in read and name not in declared and name in config.__dict__:
            yield f"{path}{name}"


def _assumed(fields: dict[str, Any], config: Any, read: frozenset[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """What its class filled in for fields that are absent, and that were read."""
    given = {
        getattr(config, "attribute_map", {}).get(name, name) for name, value in fields.items() if value is not None
    }
    for name, value in config.__dict__.items():
        if _is_config(value):
            inner = fields.get(name)
            yield from _assumed(inner if isinstance(inner, dict) else {}, value, read, f"{path}{name}.")
        elif name in given or name in HARMLESS | {"is_encoder_decoder"} or f"{path}{name}" not in read:
            continue
        elif isinstance(value, bool | int | str) or (isinstance(value, list) and value):
            yield f"{path}{name}", value


def _is_config(value: Any) -> bool:
    """Whether a field of a config is a config."""
    return hasattr(value, "__dict__") and hasattr(value, "model_type")


def _declared(kind: type) -> frozenset[str]:
    """The fields that a class of configs has, by all their names."""
    fields = (name for each in kind.__mro__ for name in getattr(each, "FIELDS", ()))
    return frozenset((*fields, *getattr(kind, "attribute_map", ())))
