"""Weigh model files: what is in a checkpoint, how many parameters a config describes, how many bytes both take.

    >>> import weigh
    >>> weigh.inspect("model.safetensors").parameters  # doctest: +SKIP
    >>> weigh.params("config.json").bytes_as("bfloat16")  # doctest: +SKIP

Importing `weigh` imports neither torch nor any other package, and a module of its own when a name of it is used.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "artifacts.attributing": "Attribution attribution",
    "artifacts.comparing": "ArtifactChange Comparison compare",
    "artifacts.manifests": "ManifestFile ModelManifest Verification model_manifest read_model_manifest verify_manifest",
    "checks.calibration.abstention": "answerable",
    "checks.calibration.check": "calibration_error check_calibration overconfidence",
    "checks.calibration.predictions": "Predictions predictions",
    "checks.calibration.reliability": "BrierParts brier_parts noise_floor",
    "checks.calibration.slices": "calibration_by_class calibration_by_slice",
    "checks.cards.check": "check_card",
    "checks.cards.fields": "placeholder_texts undocumented_fields",
    "checks.cards.metrics": "drifted_metrics",
    "checks.cards.reading": "Card read_card",
    "checks.cards.saving": "changed_on_save",
    "checks.cards.weights": "base_model_mismatch unnamed_weights weight_digests",
    "checks.decoding.check": "check_decoding decoding_difference",
    "checks.decoding.drift": "continuations output_drift text_drift",
    "checks.decoding.engines": "ENGINES Engine",
    "checks.decoding.manifests": "DecodingManifest decoding_manifest",
    "checks.decoding.settings": "EffectiveSettings effective_settings",
    "checks.distillation.check": "added_overconfidence aggregate_drop check_distillation churn worst_slice_drop",
    "checks.doctor.check": "diagnose",
    "checks.doctor.examination": "Diagnosis",
    "checks.embeddings.check": "check_embeddings",
    "checks.embeddings.indexes": "IndexFacts index_facts index_recall metric_overlap",
    "checks.embeddings.manifests": "EmbeddingManifest embedding_manifest manifest_difference read_manifest",
    "checks.embeddings.spaces": "SameItems moved_vectors same_items same_space",
    "checks.embeddings.usable": "repeated_vectors unusable_vectors vector_lengths",
    "checks.embeddings.vectors": "Vectors vectors",
    "checks.features.check": "check_features row_order telling_features telling_identifiers",
    "checks.features.prediction_time": "late_values unknown_at_prediction",
    "checks.labels.agreement": "agreement",
    "checks.labels.check": "check_labels stale_labels",
    "checks.labels.label_errors": "label_errors",
    "checks.losses.check": "check_losses loss_against_objective",
    "checks.losses.tokens": "ignored_labels shifted_labels token_and_sequence_mean",
    "checks.optimizers.check": "check_optimizer",
    "checks.optimizers.learning_curves": "no_progress overfitting undecayed_rate",
    "checks.optimizers.logs": "TrainingLog training_log",
    "checks.optimizers.stability": "dead_gradients instability not_a_number",
    "checks.optimizers.updates": "standstill update_ratio vanishing_updates",
    "checks.quantization.changes": "WeightChange",
    "checks.quantization.check": "check_quantization",
    "checks.quantization.outputs": "confidence_shift failed_probes flipped_answers lost_accuracy",
    "checks.quantization.weights": "QuantizedWeights left_unquantized lost_channels quantized_weights stored_bits "
    "weight_error",
    "checks.resuming.check": "Resumption resume",
    "checks.resuming.parts": "Part",
    "checks.results": "CheckReport CheckResult Figure",
    "checks.splits.check": "check_splits exact_duplicates group_overlap time_overlap",
    "checks.splits.leak_cost": "leak_cost",
    "checks.splits.near_duplicates": "near_duplicates",
    "checks.splits.near_rows": "near_rows",
    "checks.tokenizer.battery": "EDGE_TEXTS EdgeText texts_of",
    "checks.tokenizer.boundary": "ModelFacts ids_without_rows model_facts silent_cut special_ids",
    "checks.tokenizer.check": "check_tokenizer",
    "checks.tokenizer.differing": "other_ids other_offsets other_special_tokens",
    "checks.tokenizer.loss": "token_loss",
    "checks.tokenizer.texts": "lost_text own_texts unknown_tokens",
    "decoding.beams": "Hypothesis beam_search",
    "decoding.chain": "SAMPLER_ORDERS filter_logits",
    "decoding.filters": "Choice greedy min_p temperature top_k top_p typical_p",
    "decoding.generation": "Generation generate sample",
    "decoding.penalties": "frequency_penalty no_repeat_ngram presence_penalty repetition_penalty",
    "decoding.speculative": "Speculation TargetPass acceptance_probability expected_tokens judge_draft "
    "residual_distribution speculate",
    "dtypes": "DTYPES DType",
    "errors": "WeighError",
    "files.comparing": "Change Difference diff",
    "files.exporting": "Export export",
    "files.inspecting": "inspect",
    "files.loading": "load",
    "files.modules": "Module tree",
    "formulas": "Range Step",
    "memory.activations": "Activations activations korthikanti",
    "memory.arrivals": "Request arrival_rate dispersion random_arrivals read_arrivals scaled_arrivals",
    "memory.batching": "simulate_serving",
    "memory.budget": "budget",
    "memory.budget_sheet": "Budget BudgetLine Demand",
    "memory.checkpoints": "MEGATRON PRECISIONS TRAINERS Checkpoint Precision checkpoint",
    "memory.devices": "DEVICES Device find_device",
    "memory.inference": "Inference inference largest_batch largest_context",
    "memory.kv_cache": "CACHE_FORMATS",
    "memory.lora": "Lora",
    "memory.optimizers": "OPTIMIZERS OPTIMIZER_ALIASES",
    "memory.planner": "Plan daly plan wall_time young",
    "memory.replicas": "replicas_for simulate_replicas",
    "memory.roofline": "Bound decode_bound experts_touched prefill_bound",
    "memory.serving_times": "Percentile ServedRequest ServingRun percentile",
    "memory.step_costs": "LinearCost RooflineCost StepCost",
    "memory.storage_formats": "STORAGE_FORMATS Stored bits_per_weight stored",
    "memory.training": "Training training",
    "models.parameters": "Model params",
    "tensors": "Contents Tensor",
    "tokenizers.bpe": "Merge train_bpe",
    "tokenizers.reading": "Token Tokenizer tokenizer",
    "units": "GB MB TB GiB KiB MiB TiB format_bytes kB parse_bytes",
}
"""The public names of each module, which is imported when one of them is used."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        globals()[name] = value = getattr(import_module(f"weigh.{_HOMES[name]}"), name)
        return value
    raise AttributeError(f"module 'weigh' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
