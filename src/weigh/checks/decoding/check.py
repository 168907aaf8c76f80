"""Checks of decoding: whether two generation configs mean the same to their engines, and how far outputs drift."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weigh.checks.decoding.drift import not_measured, output_drift, text_drift
from weigh.checks.decoding.language_models import CausalModel, contexts_of
from weigh.checks.decoding.manifests import decoding_manifest
from weigh.checks.decoding.settings import TOKEN_IDS, EffectiveSettings, effective_settings
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.errors import InvalidSetting

_MOST_SHOWN = 20


def check_decoding(
    a: Any,
    b: Any,
    *,
    engine_a: str = "transformers",
    engine_b: str | None = None,
    model: str | Path | None = None,
    text: str | Path | None = None,
    prompts: Mapping[str, str] | None = None,
    contexts: int = 64,
    context_tokens: int = 32,
    tokens: int = 32,
    seed: int = 0,
) -> CheckReport:
    """All checks of two generation configs: their effective settings, and with a model the drift of its outputs.

    Args:
        a: The one config: a `generation_config.json`, a directory that holds one, or a mapping.
        b: The other.
        engine_a: The engine that reads `a`, a key of `ENGINES`.
        engine_b: The engine that reads `b`; the same without it.
        model: A model directory. With it, drift is measured on `text`.
        text: A text in UTF-8 that the model has not read.
        prompts: Prompts and templates by name, which become part of the version ids.
        contexts: How many places of the text.
        context_tokens: The tokens of each context.
        tokens: The most tokens to continue it with.
        seed: The seed of the first context; the next has the next.

    Raises:
        InvalidSetting: If a setting or an argument is outside its range, or the text is missing.
        WeighError: What reading a config, a model or a text raises.
    """
    one, other = effective_settings(a, engine_a), effective_settings(b, engine_b or engine_a)
    ids = [decoding_manifest(settings, prompts=prompts, model=model).id for settings in (one, other)]
    reasons = [why for why in (not_measured(one), not_measured(other)) if why]
    notes = [f"version id of A {ids[0]}, of B {ids[1]}: settings{', prompts' if prompts else ''}"]
    notes[0] += " and the model's files" if model is not None else "; with --model, its files too"
    if model is not None:
        notes += reasons
    difference = decoding_difference(one, other)
    results = [replace(difference, notes=(*difference.notes, *notes))]
    if model is not None and not reasons:
        results += _measured(one, other, model, text, contexts, context_tokens, tokens, seed)
    return CheckReport("decoding", f"{one.subject} → {other.subject}", tuple(results))


def decoding_difference(a: EffectiveSettings, b: EffectiveSettings) -> CheckResult:
    """Decoding difference: the settings whose effective values differ, whether they were written or filled in.

    Defaults of the engines count as what is written does, so two equal files differ where their engines do. End tokens
    and other ids are compared where both engines read them from such a file.

    Args:
        a: The one config, as `effective_settings` gives it.
        b: The other.
    """
    names = dict.fromkeys([*a.values, *b.values])
    apart = [name for name in TOKEN_IDS if (name in a.engine.reads) != (name in b.engine.reads) and name in names]
    compared = [name for name in names if name not in apart]
    differing = [name for name in compared if a.values.get(name) != b.values.get(name)]
    rows = (
        {
            "setting": name,
            "A": _cell(a.values.get(name)),
            "A is": a.sources.get(name, "not read"),
            "B": _cell(b.values.get(name)),
            "B is": b.sources.get(name, "not read"),
        }
        for name in differing
    )
    notes = [*_said("A", a), *_said("B", b)]
    notes += [f"{name} is not compared: only one of the two engines reads it from such a file" for name in apart]
    filled = sum(source == "default" for one in (a, b) for source in one.sources.values())
    return CheckResult(
        check="effective settings",
        figure=Figure.exact("settings that differ", len(differing)),
        threshold=0,
        reason="the same weights write another text as soon as one of them differs",
        evidence=first(rows, _MOST_SHOWN),
        cost={"settings compared": len(compared), "defaults filled in": filled},
        notes=tuple(notes),
    )


def _measured(
    a: EffectiveSettings,
    b: EffectiveSettings,
    directory: str | Path,
    text: str | Path | None,
    count: int,
    length: int,
    tokens: int,
    seed: int,
) -> list[CheckResult]:
    if text is None:
        raise InvalidSetting("text", "is needed to measure drift: give a text that the model has not read")
    if tokens < 1:
        raise InvalidSetting("tokens", f"{tokens} must be at least 1")
    model = CausalModel(directory)
    room = None if model.context is None else model.context - tokens
    found = contexts_of(directory, text, count, length, room)
    results = []
    if "beam" not in a.method + b.method:
        results.append(output_drift(model(found.ids), a, b, found.ids.tolist()))
    return [*results, text_drift(model, found.ids, a, b, tokens=tokens, seed=seed, decode=found.decode)]


def _said(side: str, settings: EffectiveSettings) -> list[str]:
    one = settings.engine
    notes = [f"{side} is read by {one.name} {one.version} ({'run' if one.was_run else 'read'}: {one.source})"]
    notes += [f"{side}: {note}" for note in settings.notes]
    if settings.unread:
        notes.append(f"{side}: {one.name} does not read {', '.join(settings.unread)}; its defaults apply")
    if settings.unknown:
        notes.append(f"{side}: {', '.join(settings.unknown)} not known to weigh, so compared as written")
    return notes


def _cell(value: Any) -> Any:
    """A value as a table shows it: lists as texts, and nothing for what is not read."""
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else value
