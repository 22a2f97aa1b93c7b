"""Which tokens pad and mark, and how much of a row is left for documents. Faults: tests/pipelines/test_recipe.py."""

from pathlib import Path

import pytest

from pipelines.encode import EncodeParams
from pipelines.pack.params import PackParams, pad_ids
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError

TOKENIZER = Path(__file__).parents[3] / "examples" / "tokenizer" / "tokenizer.json"
ENCODE = EncodeParams(tokenizer=HashedFile.of(TOKENIZER), eos_token="<|endoftext|>")


def test_pad_tokens_are_those_of_the_tokenizer():
    assert pad_ids(PackParams(), ENCODE) == []
    assert pad_ids(PackParams(pad_documents_to=8), ENCODE) == [0]
    assert pad_ids(PackParams(pad_documents_to=8, pad_token="<|im_end|>"), ENCODE) == [2]
    assert pad_ids(PackParams(knot_tokens=("<|im_end|>", "<|im_start|>")), ENCODE) == [2, 1]
    with pytest.raises(RecipeError, match=r"pack.pad_token '<pad>' is not in its vocabulary"):
        pad_ids(PackParams(pad_documents_to=8, pad_token="<pad>"), ENCODE)
    with_bos = ENCODE.model_copy(update={"bos_token": "<|im_start|>"})
    for token, key in (("<|endoftext|>", "eos_token"), ("<|im_start|>", "bos_token")):
        with pytest.raises(RecipeError, match=f"is encode.{key}; name a token that marks nothing else"):
            pad_ids(PackParams(knot_tokens=("<|im_end|>", token)), with_bos)


def test_packers_count_in_multiples():
    assert (PackParams(sequence_tokens=96).unit, PackParams(sequence_tokens=96).capacity) == (1, 96)
    padded = PackParams(sequence_tokens=96, pad_documents_to=8)
    assert (padded.unit, padded.capacity) == (8, 12)


def test_the_markers_fit_into_the_row():
    for sequence_tokens in range(1, 300):
        for size in (size for size in (1, 2, 7, 64, 250) if size <= sequence_tokens):
            params = PackParams(sequence_tokens=sequence_tokens, knot_tokens=("a", "b"), knot_chunk_tokens=size)
            assert params.capacity >= 1
            if sequence_tokens > 1:
                assert (
                    params.capacity + params.capacity // size
                    <= sequence_tokens
                    < (params.capacity + 1) * (1 + 1 / size) + 1
                )
