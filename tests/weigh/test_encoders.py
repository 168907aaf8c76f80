"""What is particular to an encoder, and the configs of encoders that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import weigh
from weigh import errors


def params(directory: Path, **fields: Any) -> weigh.Model:
    (directory / "config.json").write_text(json.dumps(fields))
    return weigh.params(directory, fallback=False)


def test_depth_costs_albert_nothing(tmp_path: Path) -> None:
    shallow, deep = (params(tmp_path, model_type="albert", num_hidden_layers=depth) for depth in (1, 48))
    assert shallow.parameters == deep.parameters
    assert params(tmp_path, model_type="albert", num_hidden_groups=2).parameters > deep.parameters


def test_the_scale_of_clip_is_one_number(tmp_path: Path) -> None:
    scale = params(tmp_path, model_type="clip").named[0]
    assert (scale.name, scale.shape, scale.numel) == ("logit_scale", (), 1)


def test_a_head_has_an_output_for_every_label(tmp_path: Path) -> None:
    fields = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    outputs = [
        params(tmp_path, **fields, **labels).named[-1].shape
        for labels in ({}, {"id2label": {"0": "ham", "1": "eggs", "2": "spam"}}, {"num_labels": 5})
    ]
    assert outputs == [(2,), (3,), (5,)]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model_type": "roberta", "hidden_size": 770}, errors.InvalidConfig, "hidden_size"),
        ({"model_type": "distilbert", "n_heads": 5}, errors.InvalidConfig, "dim"),
        ({"model_type": "distilbert", "hidden_size": 64}, errors.UnsupportedField, "hidden_size"),
        ({"model_type": "electra", "position_embedding_type": "relative_key"}, errors.UnsupportedField, "relative_key"),
        ({"model_type": "deberta-v2", "pos_att_type": 2}, errors.InvalidConfig, "pos_att_type"),
        ({"model_type": "deberta-v2", "conv_groups": 7}, errors.InvalidConfig, "conv_groups"),
        ({"model_type": "whisper", "decoder_attention_heads": 5}, errors.InvalidConfig, "d_model"),
        ({"model_type": "vit", "image_size": [224]}, errors.InvalidConfig, "height and a width"),
        ({"model_type": "vit", "num_attention_heads": 800}, errors.InvalidConfig, "head_dim"),
        (
            {"model_type": "clip", "text_config": {"hidden_size": 510}},
            errors.InvalidConfig,
            "text_config, field hidden",
        ),
        ({"model_type": "resnet", "depths": [3, 4]}, errors.InvalidConfig, "depths"),
        ({"model_type": "convnext", "layer_scale_init_value": "small"}, errors.InvalidConfig, "must be a number"),
        (
            {"model_type": "vit", "architectures": ["ViTForImageClassification"], "id2label": ["cat"]},
            errors.InvalidConfig,
            "id2label",
        ),
    ],
)
def test_a_config_from_which_no_count_follows_is_refused(
    fields: dict[str, Any], error: type[errors.WeighError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        params(tmp_path, **fields)
