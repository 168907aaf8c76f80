"""What decides a model's text, in one record with one id: effective settings, prompts, and the files of the model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weigh.artifacts.digests import digests
from weigh.checks.decoding.settings import EffectiveSettings, effective_settings


@dataclass(frozen=True)
class DecodingManifest:
    """A generation config together with the prompts and the model that it belongs to.

    Attributes:
        id: The first 16 hexadecimal digits of a SHA-256 of what follows `engine`. It is the same for two files that
            decode alike, and another one as soon as a setting, a prompt or a file of the model differs.
        engine: Engine and version that the defaults are of.
        settings: The effective settings.
        prompts: The SHA-256 of each prompt.
        model: The SHA-256 of each file of the model: config, weights, tokenizer.
    """

    id: str
    engine: str
    settings: Mapping[str, Any]
    prompts: Mapping[str, str]
    model: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to be written as JSON beside the model."""
        return asdict(self)


def decoding_manifest(
    config: Any,
    engine_name: str = "transformers",
    *,
    prompts: Mapping[str, str] | None = None,
    model: str | Path | None = None,
) -> DecodingManifest:
    """The record to version of a generation config, with its prompts and its model.

    Args:
        config: As `effective_settings` takes it, or what that returned.
        engine_name: A key of `ENGINES`.
        prompts: Prompts and templates by name.
        model: The model's directory, whose files are read to the end.

    Raises:
        NotFound: If there is no such directory, or no file of a model in it.
        WeighError: What `effective_settings` raises.
    """
    known = config if isinstance(config, EffectiveSettings) else effective_settings(config, engine_name)
    settings = dict(known.values)
    texts = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted((prompts or {}).items())}
    files = digests(Path(model)) if model is not None else {}
    decisive = json.dumps([settings, texts, files], sort_keys=True, ensure_ascii=False).encode()
    short = hashlib.sha256(decisive).hexdigest()[:16]
    return DecodingManifest(short, f"{known.engine.name} {known.engine.version}", settings, texts, files)
