"""Descriptions of models: what is written can be read, and what is damaged is refused."""

import json

import pytest

from nnscratch.errors import CheckpointError
from nnscratch.train import MLP, Architecture, architecture_from

MADE = MLP(4, (8, 6), 3, "gelu", 0.25)


def test_a_description_is_read_by_its_kind():
    assert Architecture.kinds["mlp"] is MLP
    assert architecture_from(json.loads(json.dumps(MADE.to_dict()))) == MADE
    assert MADE.summary == "MLP 4-8-6-3, gelu, dropout 0.25"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "perceptron"},
        {"kind": ["mlp"]},
        {"inputs": 4.0},
        {"inputs": True},
        {"inputs": 0},
        {"hidden": 8},
        {"hidden": [8, "6"]},
        {"dropout": "0.25"},
        {"dropout": 1},
        {"dropout": None},
        {"activation": 3},
        {"activation": "rel"},
        {"further": 1},
        {"hidden": [1 << 20] * 3},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(change):
    with pytest.raises(CheckpointError):
        architecture_from(MADE.to_dict() | change)
    with pytest.raises(CheckpointError):
        architecture_from(None)
