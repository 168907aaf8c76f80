"""Weigh model files: what is in a checkpoint, how many parameters a config describes, how many bytes both take.

    >>> import weigh
    >>> weigh.inspect("model.safetensors").parameters  # doctest: +SKIP
    >>> weigh.params("config.json").bytes_as("bfloat16")  # doctest: +SKIP

Importing `weigh` imports neither torch nor any other package, and a module of its own when a name of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weigh.checks.calibration.abstention import answerable as answerable
    from weigh.checks.calibration.check import calibration_error as calibration_error
    from weigh.checks.calibration.check import check_calibration as check_calibration
    from weigh.checks.calibration.check import overconfidence as overconfidence
    from weigh.checks.calibration.predictions import Predictions as Predictions
    from weigh.checks.calibration.predictions import predictions as predictions
    from weigh.checks.calibration.reliability import BrierParts as BrierParts
    from weigh.checks.calibration.reliability import brier_parts as brier_parts
    from weigh.checks.calibration.reliability import noise_floor as noise_floor
    from weigh.checks.calibration.slices import calibration_by_class as calibration_by_class
    from weigh.checks.calibration.slices import calibration_by_slice as calibration_by_slice
    from weigh.checks.cards.check import check_card as check_card
    from weigh.checks.cards.fields import placeholder_texts as placeholder_texts
    from weigh.checks.cards.fields import undocumented_fields as undocumented_fields
    from weigh.checks.cards.metrics import drifted_metrics as drifted_metrics
    from weigh.checks.cards.reading import Card as Card
    from weigh.checks.cards.reading import read_card as read_card
    from weigh.checks.cards.saving import changed_on_save as changed_on_save
    from weigh.checks.cards.weights import base_model_mismatch as base_model_mismatch
    from weigh.checks.cards.weights import unnamed_weights as unnamed_weights
    from weigh.checks.cards.weights import weight_digests as weight_digests
    from weigh.checks.decoding.check import check_decoding as check_decoding
    from weigh.checks.decoding.check import decoding_difference as decoding_difference
    from weigh.checks.decoding.drift import continuations as continuations
    from weigh.checks.decoding.drift import output_drift as output_drift
    from weigh.checks.decoding.drift import text_drift as text_drift
    from weigh.checks.decoding.engines import ENGINES as ENGINES
    from weigh.checks.decoding.engines import Engine as Engine
    from weigh.checks.decoding.manifests import DecodingManifest as DecodingManifest
    from weigh.checks.decoding.manifests import decoding_manifest as decoding_manifest
    from weigh.checks.decoding.settings import EffectiveSettings as EffectiveSettings
    from weigh.checks.decoding.settings import effective_settings as effective_settings
    from weigh.checks.distillation.check import added_overconfidence as added_overconfidence
    from weigh.checks.distillation.check import aggregate_drop as aggregate_drop
    from weigh.checks.distillation.check import check_distillation as check_distillation
    from weigh.checks.distillation.check import churn as churn
    from weigh.checks.distillation.check import worst_slice_drop as worst_slice_drop
    from weigh.checks.embeddings.check import check_embeddings as check_embeddings
    from weigh.checks.embeddings.indexes import IndexFacts as IndexFacts
    from weigh.checks.embeddings.indexes import index_facts as index_facts
    from weigh.checks.embeddings.indexes import index_recall as index_recall
    from weigh.checks.embeddings.indexes import metric_overlap as metric_overlap
    from weigh.checks.embeddings.manifests import EmbeddingManifest as EmbeddingManifest
    from weigh.checks.embeddings.manifests import embedding_manifest as embedding_manifest
    from weigh.checks.embeddings.manifests import manifest_difference as manifest_difference
    from weigh.checks.embeddings.manifests import read_manifest as read_manifest
    from weigh.checks.embeddings.spaces import SameItems as SameItems
    from weigh.checks.embeddings.spaces import moved_vectors as moved_vectors
    from weigh.checks.embeddings.spaces import same_items as same_items
    from weigh.checks.embeddings.spaces import same_space as same_space
    from weigh.checks.embeddings.usable import repeated_vectors as repeated_vectors
    from weigh.checks.embeddings.usable import unusable_vectors as unusable_vectors
    from weigh.checks.embeddings.usable import vector_lengths as vector_lengths
    from weigh.checks.embeddings.vectors import Vectors as Vectors
    from weigh.checks.embeddings.vectors import vectors as vectors
    from weigh.checks.features.check import check_features as check_features
    from weigh.checks.features.check import row_order as row_order
    from weigh.checks.features.check import telling_features as telling_features
    from weigh.checks.features.check import telling_identifiers as telling_identifiers
    from weigh.checks.features.prediction_time import late_values as late_values
    from weigh.checks.features.prediction_time import unknown_at_prediction as unknown_at_prediction
    from weigh.checks.labels.agreement import agreement as agreement
    from weigh.checks.labels.check import check_labels as check_labels
    from weigh.checks.labels.check import stale_labels as stale_labels
    from weigh.checks.labels.label_errors import label_errors as label_errors
    from weigh.checks.losses.check import check_losses as check_losses
    from weigh.checks.losses.check import loss_against_objective as loss_against_objective
    from weigh.checks.losses.tokens import ignored_labels as ignored_labels
    from weigh.checks.losses.tokens import shifted_labels as shifted_labels
    from weigh.checks.losses.tokens import token_and_sequence_mean as token_and_sequence_mean
    from weigh.checks.optimizers.check import check_optimizer as check_optimizer
    from weigh.checks.optimizers.learning_curves import no_progress as no_progress
    from weigh.checks.optimizers.learning_curves import overfitting as overfitting
    from weigh.checks.optimizers.learning_curves import undecayed_rate as undecayed_rate
    from weigh.checks.optimizers.logs import TrainingLog as TrainingLog
    from weigh.checks.optimizers.logs import training_log as training_log
    from weigh.checks.optimizers.stability import dead_gradients as dead_gradients
    from weigh.checks.optimizers.stability import instability as instability
    from weigh.checks.optimizers.stability import not_a_number as not_a_number
    from weigh.checks.optimizers.updates import standstill as standstill
    from weigh.checks.optimizers.updates import update_ratio as update_ratio
    from weigh.checks.optimizers.updates import vanishing_updates as vanishing_updates
    from weigh.checks.quantization.changes import WeightChange as WeightChange
    from weigh.checks.quantization.check import check_quantization as check_quantization
    from weigh.checks.quantization.outputs import confidence_shift as confidence_shift
    from weigh.checks.quantization.outputs import failed_probes as failed_probes
    from weigh.checks.quantization.outputs import flipped_answers as flipped_answers
    from weigh.checks.quantization.outputs import lost_accuracy as lost_accuracy
    from weigh.checks.quantization.weights import QuantizedWeights as QuantizedWeights
    from weigh.checks.quantization.weights import left_unquantized as left_unquantized
    from weigh.checks.quantization.weights import lost_channels as lost_channels
    from weigh.checks.quantization.weights import quantized_weights as quantized_weights
    from weigh.checks.quantization.weights import stored_bits as stored_bits
    from weigh.checks.quantization.weights import weight_error as weight_error
    from weigh.checks.results import CheckReport as CheckReport
    from weigh.checks.results import CheckResult as CheckResult
    from weigh.checks.results import Figure as Figure
    from weigh.checks.splits.check import check_splits as check_splits
    from weigh.checks.splits.check import exact_duplicates as exact_duplicates
    from weigh.checks.splits.check import group_overlap as group_overlap
    from weigh.checks.splits.check import time_overlap as time_overlap
    from weigh.checks.splits.leak_cost import leak_cost as leak_cost
    from weigh.checks.splits.near_duplicates import near_duplicates as near_duplicates
    from weigh.checks.splits.near_rows import near_rows as near_rows
    from weigh.checks.tokenizer.battery import EDGE_TEXTS as EDGE_TEXTS
    from weigh.checks.tokenizer.battery import EdgeText as EdgeText
    from weigh.checks.tokenizer.battery import texts_of as texts_of
    from weigh.checks.tokenizer.boundary import ModelFacts as ModelFacts
    from weigh.checks.tokenizer.boundary import ids_without_rows as ids_without_rows
    from weigh.checks.tokenizer.boundary import model_facts as model_facts
    from weigh.checks.tokenizer.boundary import silent_cut as silent_cut
    from weigh.checks.tokenizer.boundary import special_ids as special_ids
    from weigh.checks.tokenizer.check import check_tokenizer as check_tokenizer
    from weigh.checks.tokenizer.differing import other_ids as other_ids
    from weigh.checks.tokenizer.differing import other_offsets as other_offsets
    from weigh.checks.tokenizer.differing import other_special_tokens as other_special_tokens
    from weigh.checks.tokenizer.loss import token_loss as token_loss
    from weigh.checks.tokenizer.texts import lost_text as lost_text
    from weigh.checks.tokenizer.texts import own_texts as own_texts
    from weigh.checks.tokenizer.texts import unknown_tokens as unknown_tokens
    from weigh.decoding.beams import Hypothesis as Hypothesis
    from weigh.decoding.beams import beam_search as beam_search
    from weigh.decoding.chain import SAMPLER_ORDERS as SAMPLER_ORDERS
    from weigh.decoding.chain import filter_logits as filter_logits
    from weigh.decoding.filters import Choice as Choice
    from weigh.decoding.filters import greedy as greedy
    from weigh.decoding.filters import min_p as min_p
    from weigh.decoding.filters import temperature as temperature
    from weigh.decoding.filters import top_k as top_k
    from weigh.decoding.filters import top_p as top_p
    from weigh.decoding.filters import typical_p as typical_p
    from weigh.decoding.generation import Generation as Generation
    from weigh.decoding.generation import generate as generate
    from weigh.decoding.generation import sample as sample
    from weigh.decoding.penalties import frequency_penalty as frequency_penalty
    from weigh.decoding.penalties import no_repeat_ngram as no_repeat_ngram
    from weigh.decoding.penalties import presence_penalty as presence_penalty
    from weigh.decoding.penalties import repetition_penalty as repetition_penalty
    from weigh.decoding.speculative import Speculation as Speculation
    from weigh.decoding.speculative import TargetPass as TargetPass
    from weigh.decoding.speculative import acceptance_probability as acceptance_probability
    from weigh.decoding.speculative import expected_tokens as expected_tokens
    from weigh.decoding.speculative import judge_draft as judge_draft
    from weigh.decoding.speculative import residual_distribution as residual_distribution
    from weigh.decoding.speculative import speculate as speculate
    from weigh.dtypes import DTYPES as DTYPES
    from weigh.dtypes import DType as DType
    from weigh.errors import WeighError as WeighError
    from weigh.files.comparing import Change as Change
    from weigh.files.comparing import Difference as Difference
    from weigh.files.comparing import diff as diff
    from weigh.files.exporting import Export as Export
    from weigh.files.exporting import export as export
    from weigh.files.inspecting import inspect as inspect
    from weigh.files.loading import load as load
    from weigh.files.modules import Module as Module
    from weigh.files.modules import tree as tree
    from weigh.formulas import Range as Range
    from weigh.formulas import Step as Step
    from weigh.memory.activations import Activations as Activations
    from weigh.memory.activations import activations as activations
    from weigh.memory.activations import korthikanti as korthikanti
    from weigh.memory.checkpoints import MEGATRON as MEGATRON
    from weigh.memory.checkpoints import PRECISIONS as PRECISIONS
    from weigh.memory.checkpoints import Checkpoint as Checkpoint
    from weigh.memory.checkpoints import Precision as Precision
    from weigh.memory.checkpoints import checkpoint as checkpoint
    from weigh.memory.inference import Inference as Inference
    from weigh.memory.inference import inference as inference
    from weigh.memory.inference import largest_batch as largest_batch
    from weigh.memory.inference import largest_context as largest_context
    from weigh.memory.kv_cache import CACHE_FORMATS as CACHE_FORMATS
    from weigh.memory.lora import Lora as Lora
    from weigh.memory.optimizers import OPTIMIZERS as OPTIMIZERS
    from weigh.memory.planner import Plan as Plan
    from weigh.memory.planner import daly as daly
    from weigh.memory.planner import plan as plan
    from weigh.memory.planner import wall_time as wall_time
    from weigh.memory.planner import young as young
    from weigh.memory.roofline import Bound as Bound
    from weigh.memory.roofline import decode_bound as decode_bound
    from weigh.memory.roofline import experts_touched as experts_touched
    from weigh.memory.roofline import prefill_bound as prefill_bound
    from weigh.memory.storage_formats import STORAGE_FORMATS as STORAGE_FORMATS
    from weigh.memory.storage_formats import Stored as Stored
    from weigh.memory.storage_formats import bits_per_weight as bits_per_weight
    from weigh.memory.storage_formats import stored as stored
    from weigh.memory.training import Training as Training
    from weigh.memory.training import training as training
    from weigh.models.parameters import Model as Model
    from weigh.models.parameters import params as params
    from weigh.tensors import Contents as Contents
    from weigh.tensors import Tensor as Tensor
    from weigh.tokenizers.bpe import Merge as Merge
    from weigh.tokenizers.bpe import train_bpe as train_bpe
    from weigh.tokenizers.reading import Token as Token
    from weigh.tokenizers.reading import Tokenizer as Tokenizer
    from weigh.tokenizers.reading import tokenizer as tokenizer
    from weigh.units import GB as GB
    from weigh.units import MB as MB
    from weigh.units import TB as TB
    from weigh.units import GiB as GiB
    from weigh.units import KiB as KiB
    from weigh.units import MiB as MiB
    from weigh.units import TiB as TiB
    from weigh.units import format_bytes as format_bytes
    from weigh.units import kB as kB
    from weigh.units import parse_bytes as parse_bytes

_MODULES = {
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
    "memory.checkpoints": "MEGATRON PRECISIONS Checkpoint Precision checkpoint",
    "memory.inference": "Inference inference largest_batch largest_context",
    "memory.kv_cache": "CACHE_FORMATS",
    "memory.lora": "Lora",
    "memory.optimizers": "OPTIMIZERS",
    "memory.planner": "Plan daly plan wall_time young",
    "memory.roofline": "Bound decode_bound experts_touched prefill_bound",
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
