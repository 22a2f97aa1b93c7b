"""The tiny Llama of the reference values, its samples, and what the official code and a float64 oracle measured."""

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from scorers.sample import Sample

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

DATA = Path(__file__).parent / "data" / "gateau"


def reference(name):
    return json.loads((DATA / f"{name}.json").read_text())


def saved(variant, folder):
    """A model folder of one positional variant. Windows are 4,096, since a window of 256 would cut what was measured."""
    recipe = reference("model_recipe")
    settings = recipe["variants"][variant]
    rope = {"rope_type": "default"} | {
        {"type": "rope_type"}.get(name, name): value for name, value in (settings["rope_scaling"] or {}).items()
    }
    config = transformers.LlamaConfig(
        **recipe["config"] | {"max_position_embeddings": 4096},
        rope_parameters=rope | {"rope_theta": settings["rope_theta"]},
    )
    model = transformers.LlamaForCausalLM(config)
    state = {name: weight(name, tuple(value.shape), recipe["weights"]) for name, value in model.state_dict().items()}
    for name, check in recipe["checks"].items():
        assert state[name].double().sum().item() == pytest.approx(check["sum"], abs=1e-9)
    model.load_state_dict(state)
    model.save_pretrained(folder)
    return folder


def weight(name, shape, rule):
    if "norm" in name:
        return torch.ones(shape)
    generator = np.random.Generator(np.random.PCG64((crc32(name.encode()) + rule["seed"]) & 0xFFFFFFFF))
    return torch.tensor((generator.standard_normal(shape) * rule["std"]).astype(np.float32))


def sample_of(header, context, instruction, response):
    ids = np.concatenate([np.asarray(piece, np.int32) for piece in (header, context, instruction, response)])
    start = len(header) + len(context)
    return Sample(ids.astype(np.int32), len(header), start, start + len(instruction))
