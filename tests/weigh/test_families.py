"""What holds of every family: a config is read once, and every tensor has the role that the reference gives it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings

import weigh
from weigh import errors
from weigh.memory.activations import activations
from weigh.memory.storage_formats import stored
from weigh.models.config import Config
from weigh.models.families import FAMILIES
from weigh.models.layers import OTHER_ROLES, SUBLAYERS
from weigh.models.matrices import is_hidden_matrix, lm_head, sublayers, vocabulary

from .test_parameters import STRATEGIES, reference, write

BOTH = [(name, a) for name, family in FAMILIES.items() for a in family.architectures]
EVERY_ANSWER = ("tensors", "caches", "positions", "saves")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each field of a config is read, by what it is called in an error and by its name."""
    counted: Counter[tuple[str, str]] = Counter()
    get = Config.get

    def counting(self: Config, field: str, default: Any = None) -> Any:
        counted[self.where, field] += 1
        return get(self, field, default)

    monkeypatch.setattr(Config, "get", counting)
    return counted


@pytest.mark.parametrize(("model_type", "architecture"), BOTH)
def test_every_field_is_read_once_for_all_questions(
    model_type: str, architecture: str, reads: Counter[tuple[str, str]], tmp_path: Path
) -> None:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STRATEGIES[model_type])
    def check(fields: dict[str, Any]) -> None:
        reads.clear()
        model = weigh.params(write(tmp_path, **{"model_type": model_type, "architectures": [architecture], **fields}))
        read = reads.copy()
        if FAMILIES[model_type].saves:
            activations(model, batch=1, sequence=1)
        stored(model, "bfloat16")
        assert reads == read, "read again after the sizes"
        assert {field for field, times in read.items() if times > 1} == set()

    check()


@pytest.mark.parametrize("model_type", FAMILIES)
def test_more_layers_than_any_model_has_are_refused_at_once(
    model_type: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever a family reads how many there are: to list them would take minutes, and all memory."""
    layers: list[tuple[str, str]] = []
    get = Config.get

    def noting(self: Config, field: str, default: Any = None) -> Any:
        count = re.fullmatch(r"(num_(hidden_|decoder_)?|n_|encoder_|decoder_)layers?|depths", field)
        layers.extend([(self.where.rpartition(", ")[2], field)] if count else [])
        return get(self, field, default)

    monkeypatch.setattr(Config, "get", noting)
    weigh.params(write(tmp_path, model_type=model_type))
    assert layers
    for place, field in list(layers):
        value: Any = {field: [1, 1, 10**9, 1] if field == "depths" else 10**9}
        inner = value if "config.json" in place else {place: value}
        said = rf"field (\w+\.)?{field}: 1,000,000,00[03] layers, and weigh counts"
        with pytest.raises(errors.InvalidConfig, match=said):
            weigh.params(write(tmp_path, model_type=model_type, **inner))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_family_is_one_module_that_is_called_like_it(model_type: str) -> None:
    folder = Path("src/weigh/models/families")
    assert (folder / f"{model_type.replace('-', '_')}.py").exists()
    assert len(list(folder.glob("[!_]*.py"))) == len(FAMILIES)


def test_another_spelling_is_another_family() -> None:
    assert "deberta-v2" in FAMILIES
    for unknown in ("deberta_v2", "gpt-neo", "gpt2.", "", "__init__"):
        assert unknown not in FAMILIES


@pytest.mark.parametrize("model_type", ["llama", "gemma2", "gemma3_text", "deepseek_v2"])
@pytest.mark.parametrize("ask", ["params", "inference", "training"])
def test_a_width_that_the_heads_do_not_divide_is_refused_whatever_is_asked(
    model_type: str, ask: str, tmp_path: Path
) -> None:
    """The reference takes no such config, not even one that says how large a head is."""
    fields: dict[str, Any] = {"hidden_size": 100, "num_attention_heads": 3, "num_key_value_heads": 3}
    for more in ({}, {"head_dim": 32}):
        with pytest.raises(Exception, match="not a multiple"):
            transformers.AutoConfig.for_model(model_type, **fields, **more)
        path = write(tmp_path, model_type=model_type, **fields, **more)
        with pytest.raises(errors.InvalidConfig, match="field hidden_size: 100 is not a multiple"):
            model = weigh.params(path)
            if ask == "inference":
                weigh.inference(model)
            if ask == "training":
                weigh.training(model, batch=1, sequence=8)


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "gpt_neox", "use_parallel_residual": "yes"},
        {"model_type": "falcon", "alibi": 3},
        {"model_type": "albert", "num_hidden_layers": 0},
        {"model_type": "gpt2", "attn_pdrop": "much"},
        {"model_type": "opt", "dropout": 2},
        {"model_type": "t5", "dense_act_fn": 1},
        {"model_type": "whisper", "activation_dropout": True},
        {"model_type": "clip", "text_config": {"hidden_act": 7}},
    ],
)
def test_a_field_that_only_activations_need_is_checked_with_the_others(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidConfig, match=f"field {list(fields)[1]}|field hidden_act"):
        weigh.params(write(tmp_path, **fields))


LINEAR = (torch.nn.Linear, transformers.pytorch_utils.Conv1D)


@pytest.mark.parametrize(("model_type", "architecture"), BOTH)
def test_every_tensor_has_the_role_of_its_module(model_type: str, architecture: str, tmp_path: Path) -> None:
    """The classes of the reference's modules tell matrices, tables, norms and convolutions apart."""

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STRATEGIES[model_type])
    def check(fields: dict[str, Any]) -> None:
        fields = {"model_type": model_type, "architectures": [architecture], **fields}
        model, built = weigh.params(write(tmp_path, **fields)), reference(fields)
        modules = dict(built.named_modules())
        outputs = getattr(built, "get_output_embeddings", lambda: None)()
        if (
            fields.get("legacy") is False
        ):  # DeBERTa's newer head has no matrix of scores, and the reference says another
            outputs = None
        words = {id(m.weight) for m in modules.values() if isinstance(m, torch.nn.Embedding)}
        for tensor in model.named:
            parent, _, kind = tensor.name.rpartition(".")
            module, role = modules[parent], tensor.role
            sublayer, _, what = role.partition(" ")
            assert role in OTHER_ROLES or (sublayer in SUBLAYERS and what), (tensor.name, role)
            if kind == "bias" and isinstance(module, (*LINEAR, torch.nn.Conv1d, torch.nn.Conv2d)):
                assert role in ("bias", "lm head bias"), tensor.name
            elif isinstance(module, LINEAR) and tensor.layer is not None:
                assert is_hidden_matrix(tensor) or role == "router", (tensor.name, role)
                assert tensor.transposed == isinstance(module, transformers.pytorch_utils.Conv1D)
            elif isinstance(module, LINEAR):
                assert role in ("lm head", "classifier", "pooler", "projection"), (tensor.name, role)
                assert (role == "lm head") == (outputs is module), tensor.name
            elif isinstance(module, torch.nn.Embedding):
                assert role in ("embedding", "position table", "segment table"), (tensor.name, role)
                table = any(kind in tensor.name for kind in ("position", "wpe", "rel_embeddings", "relative"))
                assert table == (role == "position table"), (tensor.name, role)
                assert ("token_type" in tensor.name) == (role == "segment table"), tensor.name
            elif "Norm" in type(module).__name__:
                assert role == "norm", tensor.name
            elif isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d):
                assert role == "convolution", tensor.name
            else:  # a parameter of a module of its own
                assert not is_hidden_matrix(tensor), tensor.name
        head = lm_head(model)
        if outputs is not None and head is not None:
            assert vocabulary(model) == outputs.weight.shape[0] == head.shape[0]
            assert (id(outputs.weight) in words) == (head.storage != head.name)

    check()


@pytest.mark.parametrize(("model_type", "architecture"), BOTH)
def test_a_tensor_knows_the_number_of_its_layer(model_type: str, architecture: str, tmp_path: Path) -> None:
    """The first in its name, but for a classifier that is one of a list of modules."""
    for tensor in weigh.params(write(tmp_path, model_type=model_type, architectures=[architecture])).named:
        number = None if "classifier" in tensor.name else re.search(r"\.(\d+)\.", tensor.name)
        assert tensor.layer == (int(number[1]) if number else None)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_sublayer_leads_back_to_the_width_of_the_model(model_type: str, tmp_path: Path) -> None:
    """Phi-3 lists the matrix that does so first, and others last."""
    model = weigh.params(write(tmp_path, model_type=model_type))
    if hasattr(model.sizes, "D"):
        found = sublayers(model)
        assert found
        for matrices in found:
            assert [matrix.outputs for matrix in matrices if matrix.leads_back] == [model.sizes.D]


def test_experts_are_known_by_their_roles() -> None:
    by_name = {tensor.name: tensor for tensor in weigh.params("models/gpt-oss-20b").named}
    experts = "model.layers.3.mlp.experts"
    assert by_name[f"{experts}.gate_up_proj"].role == "expert gate-up"
    assert by_name[f"{experts}.down_proj_bias"].role == "expert bias"
    assert by_name[f"{experts}.down_proj"].transposed and by_name[f"{experts}.down_proj"].layer == 3
    assert not by_name["model.layers.3.self_attn.q_proj.weight"].transposed


def test_a_tensor_of_a_file_has_no_role() -> None:
    for tensor in weigh.inspect("models/quill/model.safetensors").named:
        assert (tensor.role, tensor.layer, tensor.transposed) == ("", None, False)


def test_muon_takes_the_same_weights_of_a_config_and_of_a_file() -> None:
    model, file = weigh.params("models/quill"), weigh.inspect("models/quill/model.safetensors")
    assert weigh.checkpoint(model.distinct, "muon") == weigh.checkpoint(file.named, "muon")
    assert json.dumps(model.as_dict())
