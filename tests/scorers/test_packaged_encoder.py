"""The encoders that come with longmix, on real text: related documents are near, with a table and with a model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scorers.embedding import EncoderParams, check_encoder, load
from scorers.weights import Weights

ROOT = Path(__file__).parents[2]
MINILM = ROOT / "data" / "models" / "all-MiniLM-L6-v2"
TABLE = ROOT / "examples" / "encoder"
PAIRS = (
    ("The cat sat on the mat.", "A kitten was resting on the rug."),
    ("How do I sort a list in Python?", "Ordering the elements of an array in Python code"),
    ("The king went to war with his brothers.", "A monarch and his siblings fought a battle."),
    ("Install the server package and restart the daemon.", "After installation, the service must be restarted."),
)
FIRST = [-0.05308587849140167, -0.0027236153837293386, -0.0038247532211244106]
TEXTS = pa.array([text for pair in PAIRS for text in pair], pa.large_string())


def similarities(folder):
    vectors = load(EncoderParams(weights=Weights.of(folder))).vectors(TEXTS)
    return vectors @ vectors.T


def related(similarity):
    """[n] whether the nearest other text of each is its pair."""
    others = similarity - 2 * np.eye(len(similarity))
    return others.argmax(axis=1) == np.arange(len(others)) ^ 1


def test_the_table_finds_pairs_and_is_small():
    check_encoder(EncoderParams(weights=Weights.of(TABLE)))
    assert related(similarities(TABLE)).all()
    assert sum(path.stat().st_size for path in TABLE.iterdir()) < 9_000_000
    assert "Apache License" in (TABLE / "LICENSE").read_text()


def test_vectors_of_the_table_are_these_on_every_machine():
    """Sums are float64 in a fixed order; raise VERSION of pipelines/embed.py when these change."""
    vectors = load(EncoderParams(weights=Weights.of(TABLE))).vectors(TEXTS)
    assert vectors[0, :3].tolist() == FIRST


@pytest.mark.skipif(not MINILM.is_dir(), reason="`longmix model --encoder` fetches the encoder")
def test_the_model_finds_pairs():
    check_encoder(EncoderParams(weights=Weights.of(MINILM)))
    similarity = similarities(MINILM)
    assert related(similarity).all()
    assert similarity[0, 1] == pytest.approx(0.6253, abs=1e-3)
    assert similarity[0, 3] == pytest.approx(0.0541, abs=1e-3)
