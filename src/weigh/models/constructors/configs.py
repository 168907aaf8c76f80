"""Configs as transformers' classes compute them from the fields of a file: defaults, old names, nested configs."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from weigh.errors import InvalidConfig, NotConstructed
from weigh.models.constructors.single_layers import Layers, renamed

_get = object.__getattribute__  # which constructors come to thousands of times

Lookup = Callable[[Any], Any]
"""The config class of a `model_type`."""


class Field:
    """A default that is made anew for each config."""

    def __init__(self, default: Any = None, default_factory: Any = None, **named: Any) -> None:
        self.default, self.default_factory = default, default_factory

    def value(self) -> Any:
        """One more default."""
        return self.default_factory() if self.default_factory else self.default


class SubConfigSpec:
    """How a nested config is made: of which class, and with which fields where the file has none."""

    lookup: Lookup

    def __init__(self, config_class: Any, model_type: Any = None, init_kwargs: Any = None, optional: bool = False):
        self.config_class, self.init_kwargs, self.optional = config_class, init_kwargs or {}, optional
        self.model_type = model_type if model_type is not None else getattr(config_class, "model_type", None)

    def create_subconfig(self, key: str, given: Any = None, **fields: Any) -> tuple[Any, dict[str, Any]]:
        """A nested config, and the fields of the outer one that it did not take."""
        return (backbone(self, given, fields) if key == "backbone_config" else self.made(key, given)), fields

    def made(self, key: str, given: Any) -> Any:
        """A nested config from what the file gives for it."""
        if isinstance(given, PreTrainedConfig):
            return given
        if given is not None and not isinstance(given, dict):
            raise InvalidConfig(f"field {key}", f"must be an object, not {given!r:.40}")
        named = (given or {}).get("model_type", self.model_type)
        fixed = isinstance(self.config_class, type) and issubclass(self.config_class, PreTrainedConfig)
        kind: Any = self.config_class if fixed and key != "backbone_config" else SubConfigSpec.lookup(named)
        return kind(**copy.deepcopy(self.init_kwargs if given is None else given))


def backbone(spec: SubConfigSpec, given: Any, fields: dict[str, Any]) -> Any:
    """The config of a backbone; one that is named and not described cannot be computed from the file."""
    fields.pop("use_timm_backbone", None)
    fields.pop("backbone_kwargs", None)
    named = fields.pop("backbone", None)
    fields.pop("use_pretrained_backbone", None)
    if named is not None and given is None:
        raise NotConstructed("field backbone", f"{named!r:.40} names another model, whose sizes are not in this file")
    return spec.made("backbone_config", given)


class PreTrainedConfig:
    """The fields of a config: those of the file, and for the others what the classes of transformers compute.

    What is asked of it is noted, so that the fields that nobody asked for can be told.
    """

    FIELDS: Any = ("transformers_version", "architectures", "output_hidden_states", "return_dict", "dtype",
                   "chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id", "problem_type")  # fmt: skip
    model_type = ""
    attribute_map: ClassVar[dict[str, str]] = {}
    sub_configs_defaults: ClassVar[dict[str, Any]] = {}
    transformers_version = architectures = dtype = id2label = label2id = problem_type = None
    output_hidden_states, return_dict, chunk_size_feed_forward, is_encoder_decoder = False, True, 0, False
    default_theta, default_rope_type = 10_000.0, "default"
    _attn_implementation = _experts_implementation = "eager"
    _attn_implementation_internal = "eager"
    asked: set[str]

    def __init_subclass__(cls) -> None:
        """Nested configs as specifications, and a constructor that says which fields it takes."""
        cls.sub_configs_defaults = {
            key: spec if isinstance(spec, SubConfigSpec) else SubConfigSpec(spec)
            for key, spec in cls.sub_configs_defaults.items()
        }
        construct: Any = cls.__init__

        def constructing(self: Any, *given: Any, **fields: Any) -> None:
            construct(self, *given, **fields)

        names = (name for kind in cls.__mro__ for name in kind.__dict__.get("FIELDS", ()))
        constructing.fields = dict.fromkeys(names)  # type: ignore[attr-defined]
        cls.__init__ = constructing  # type: ignore[method-assign]

    rope_parameters: Any

    def __init__(self, **fields: Any) -> None:
        object.__setattr__(self, "asked", set())
        named = {name for kind in type(self).__mro__ for name in kind.__dict__.get("FIELDS", ())}
        for name in dict.fromkeys(n for kind in reversed(type(self).__mro__) for n in kind.__dict__.get("FIELDS", ())):
            default = getattr(type(self), name, None)
            default = default.value() if isinstance(default, Field) else copy.copy(default)
            if isinstance(default, property):
                continue
            setattr(self, name, fields.get(name, default))
        self.__post_init__(**{name: value for name, value in fields.items() if name not in named})

    def __post_init__(self, **fields: Any) -> None:
        for key, spec in self.sub_configs_defaults.items():
            given = getattr(self, key)
            if given is None and spec.optional:
                continue
            made, fields = spec.create_subconfig(key, given, **fields)
            setattr(self, key, made)
        if self.id2label is None:
            self.num_labels = fields.get("num_labels", self.num_labels if self.num_labels is not None else 2)
        self._rotations(fields)
        overrides = fields.pop("per_layer_config", None)
        for name in ("torch_dtype", "num_labels", "name_or_path", "output_attentions", "attn_implementation"):
            fields.pop(name, None)
        for name, value in fields.items():
            own = getattr(type(self), name, None)
            if name in ("sub_configs", "FIELDS", "asked") or (isinstance(own, property) and own.fset is None):
                continue
            setattr(self, name, value)
        if isinstance(overrides, dict):
            self.__dict__["overrides"] = {int(layer): dict(changed) for layer, changed in overrides.items()}
        for name in ("layer_types", "mtp_layer_types"):
            if isinstance(self.__dict__.get(name), list):
                setattr(self, name, renamed(self.__dict__[name]))

    def _rotations(self, fields: dict[str, Any]) -> None:
        if not hasattr(self, "rope_parameters"):  # set by the classes that have it
            return
        rotary = fields.pop("rope_scaling", None) or self.rope_parameters
        rotary = dict(rotary) if isinstance(rotary, dict) else {}
        theta = fields.pop("rope_theta", getattr(self, "rope_theta", None)) or self.default_theta
        share = fields.pop("partial_rotary_factor", getattr(self, "partial_rotary_factor", None))
        nested = [each for each in rotary.values() if isinstance(each, dict)]
        for each in nested or [rotary]:
            if isinstance(theta, int | float):
                each.setdefault("rope_theta", theta)
            each.setdefault("rope_type", each.get("type", self.default_rope_type))
            if share is not None:
                each.setdefault("partial_rotary_factor", share)
        self.rope_parameters = rotary

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, type(self).attribute_map.get(name, name), value)

    def __getattribute__(self, name: str) -> Any:
        if name[:2] == "__" or name in ("asked", "attribute_map"):
            return _get(self, name)
        name = type(self).attribute_map.get(name, name)
        _get(self, "asked").add(name)
        return _get(self, name)

    def __deepcopy__(self, memo: Any) -> "PreTrainedConfig":
        copied = object.__new__(type(self))
        for name, value in self.__dict__.items():
            object.__setattr__(copied, name, value if name == "asked" else copy.deepcopy(value, memo))
        return copied

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    @property
    def sub_configs(self) -> dict[str, Any]:
        """The classes of the nested configs."""
        return {key: spec.config_class for key, spec in self.sub_configs_defaults.items()}

    @property
    def num_labels(self) -> Any:
        """The classes that a classification head tells apart."""
        return len(self.id2label) if self.id2label is not None else None

    @num_labels.setter
    def num_labels(self, count: Any) -> None:
        if self.id2label is None or self.num_labels != count:
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 10**6:
                raise InvalidConfig("field num_labels", f"must be a number of classes, not {count!r:.40}")
            self.id2label = dict.fromkeys(range(count), "")

    @property
    def per_layer_config(self) -> Layers:
        """The config of each layer."""
        return Layers(self)

    def _nothing(self, *given: Any, **named: Any) -> None:
        return None

    validate_layer_type = standardize_rope_params = validate_rope = validate_architecture = _nothing
    validate_token_ids = validate = _nothing

    def update(self, fields: dict[str, Any]) -> None:
        """Set fields."""
        for name, value in fields.items():
            setattr(self, name, value)

    @property
    def use_return_dict(self) -> Any:
        """Whether a model gives its results by name."""
        return self.return_dict

    @property
    def rope_scaling(self) -> Any:
        """The older name of the rotary parameters."""
        return getattr(self, "rope_parameters", None)

    @classmethod
    def from_dict(cls, fields: dict[str, Any], **named: Any) -> "PreTrainedConfig":
        """A config of the fields of an object."""
        return cls(**{**fields, **named})

    def to_dict(self) -> dict[str, Any]:
        """The fields, nested configs as objects."""
        return {
            name: value.to_dict() if isinstance(value, PreTrainedConfig) else copy.deepcopy(value)
            for name, value in self.__dict__.items() if name != "asked"
        }  # fmt: skip

    def get_text_config(self, decoder: Any = None, encoder: Any = None) -> "PreTrainedConfig":
        """The nested config of the part that reads or writes text; itself if there is none."""
        names: tuple[str, ...] = ("text_encoder", "decoder", "generator", "text_config")
        if decoder != encoder:
            names = names[1:] if decoder else names[:1]
        held = [name for name in names if getattr(self, name, None) is not None]
        if len(held) > 1:
            raise InvalidConfig("the model's constructor", f"finds two nested configs of text, {held[0]} and {held[1]}")
        if held:
            found: PreTrainedConfig = getattr(self, held[0])
            return found
        if decoder == encoder or not self.is_encoder_decoder:
            return self
        copied, prefix = copy.deepcopy(self), "decoder" if decoder else "encoder"
        usual = {"layers": "num_hidden_layers", "attention_heads": "num_attention_heads"}
        for name in [name for name in copied.__dict__ if name.startswith(prefix)]:
            rest = name[len(prefix) + 1 :]
            setattr(copied, usual.get(rest, rest), getattr(copied, name))
        return copied
