"""A static table gives the mean row of a text's tokens, the same bytes for any neighbours, as slow code does."""

import math

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file, save_file

from schemas.errors import RecipeError
from scorers.static_table import CHARS_PER_TOKEN, load, means, own_tokenizer
from scorers.weights import Weights
from tests.encoders import VOCABULARY, saved_table, tokenizer

TEXTS = (
    "the king of python", "", "Returns the LIST of servers; and classing", "ÿþ ☃ 猫", "ÿ the ☃ the", "a" * 500,
    " \n\t ", "the " * 400, "river, river",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return saved_table(tmp_path / "table")


def table(folder, window_tokens=64):
    return load(Weights.of(folder), window_tokens)


def slow(folder, text, window_tokens=64):
    """Each token in turn, by fsum in float64."""
    own = tokenizer()
    own.no_truncation()
    own.no_padding()
    ids = own.encode(text[: CHARS_PER_TOKEN * window_tokens], add_special_tokens=False).ids[:window_tokens]
    tensors = load_file(folder / "model.safetensors")
    rows = [[float(v) for v in tensors["embeddings"][k]] for k in ids if VOCABULARY[k] != "[UNK]"]
    sums = [math.fsum(column) for column in zip(*rows, strict=True)] or [0.0] * 16
    length = math.sqrt(math.fsum(s * s for s in sums)) or 1.0
    return [s / length for s in sums]


@pytest.mark.parametrize("window_tokens", [1, 3, 64])
def test_a_vector_is_the_mean_row_of_the_first_tokens(folder, window_tokens):
    vectors = table(folder, window_tokens).vectors(pa.array(TEXTS, pa.large_string()))
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 16))
    expected = [slow(folder, text, window_tokens) for text in TEXTS]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_lengths_are_one_or_zero_where_there_is_no_token(folder):
    lengths = np.linalg.norm(table(folder).vectors(pa.array(TEXTS, pa.large_string())), axis=1)
    empty = [not any(slow(folder, text)) for text in TEXTS]
    assert {text for text, is_empty in zip(TEXTS, empty, strict=True) if is_empty} == {
        "",
        "ÿþ ☃ 猫",
        "a" * 500,
        " \n\t ",
    }
    np.testing.assert_allclose(lengths, [0.0 if is_empty else 1.0 for is_empty in empty], atol=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours(folder):
    encoder = table(folder)
    texts = [TEXTS[k % len(TEXTS)] for k in range(700)]  # more than one batch
    many = encoder.vectors(pa.array(texts, pa.large_string()))
    for k in (0, 2, 255, 256, 699):
        assert encoder.vectors(pa.array([texts[k]], pa.large_string())).tobytes() == many[k].tobytes()
    assert encoder.vectors(pa.array([], pa.large_string())).shape == (0, 16)


def test_weights_and_a_mapping_are_applied(tmp_path):
    plain = saved_table(tmp_path / "plain")
    rows = load_file(plain / "model.safetensors")["embeddings"]
    weights = np.linspace(0.1, 2, len(rows)).astype(np.float32)
    mapping = np.arange(len(rows), dtype=np.int64)[::-1].copy()
    other = saved_table(tmp_path / "other", weights=weights, mapping=mapping)
    np.testing.assert_array_equal(table(other).rows, rows[mapping] * weights[:, None])


def test_int8_rows_are_read(tmp_path):
    folder = saved_table(tmp_path / "table")
    rows = np.random.default_rng(1).integers(-127, 128, (len(VOCABULARY), 16)).astype(np.int8)
    save_file({"embeddings": rows}, folder / "model.safetensors")
    np.testing.assert_array_equal(table(folder).rows, rows.astype(np.float32))


def test_means_are_those_of_a_loop():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(9, 5)).astype(np.float32)
        lengths = rng.integers(0, 6, 12)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        ids = rng.integers(0, 9, offsets[-1])
        made = means(ids, offsets, rows, 4)
        for k in range(12):
            mine = [t for t in ids[offsets[k] : offsets[k + 1]] if t != 4]
            total = rows[mine].astype(np.float64).sum(axis=0)
            expected = total / np.linalg.norm(total) if mine else total
            np.testing.assert_allclose(made[k], expected, atol=1e-7, err_msg=f"{seed=}")


def test_a_folder_without_the_table_is_refused(tmp_path):
    folder = saved_table(tmp_path / "table")
    save_file({"other": np.zeros((2, 2), np.float32)}, folder / "model.safetensors")
    with pytest.raises(RecipeError, match=r"model\.safetensors: not a static table \('embeddings'\); it must contain"):
        table(folder)
    (folder / "model.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(RecipeError, match="not a static table"):
        table(folder)


def test_a_tokenizer_that_is_missing_broken_or_of_another_model_is_refused(folder):
    assert own_tokenizer(folder, len(VOCABULARY)).truncation is None
    with pytest.raises(RecipeError, match=rf"^order\.encoder: .*: it has ids up to {len(VOCABULARY) - 1}, the encoder {len(VOCABULARY) - 1} tokens"):  # fmt: skip
        own_tokenizer(folder, len(VOCABULARY) - 1)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(RecipeError, match="not a tokenizer"):
        own_tokenizer(folder, 99)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(RecipeError, match=r"has no tokenizer\.json; put the encoder's own there"):
        own_tokenizer(folder, 99)
