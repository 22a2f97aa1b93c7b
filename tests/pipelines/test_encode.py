"""Tokens equal those of the whole text encoded at once, however the text was cut; dropped documents have none."""

import itertools
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pipelines import encode
from pipelines.encode import EncodeParams, batches, encode_pieces, encode_shard, load
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError

TOKENIZER = Path(__file__).parents[2] / "examples" / "tokenizer" / "tokenizer.json"
WORDS = ["the ", "whale", " 1,024", "\n\n", "  ", "naïve ", "日本語", "🐳", "e\u0301", "-----", "\tif x:", "don't ", "aaaa" * 30, "<|endoftext|>", "ﬁ", "\u2029", "\r\n"]  # fmt: skip
SEEDS = range(25)


def params(**changes):
    return EncodeParams(tokenizer=HashedFile.of(TOKENIZER), eos_token="<|endoftext|>", **changes)


def whole(text):
    return load(params().tokenizer).encode(text, add_special_tokens=False).ids


def random_text(seed, n=3_000):
    rng = random.Random(seed)
    return "".join(rng.choice(WORDS) for _ in range(n))


@pytest.mark.parametrize("piece_chars", [2_500, 7_001])
def test_pieces_join_to_the_whole(piece_chars):
    for seed in SEEDS:
        text = random_text(seed)
        tokenizer = load(params().tokenizer)
        found = encode_pieces(tokenizer, text, params(piece_chars=piece_chars, batch_bytes=9_000))
        assert found.tolist() == whole(text), f"{seed=}"


def test_a_text_without_any_seam_is_still_right():
    """One word longer than all pieces: nothing agrees after white space, so the pieces are encoded as one."""
    text = "x" * 9_000 + " and the end " * 400
    found = encode_pieces(load(params().tokenizer), text, params(piece_chars=2_500))
    assert found.tolist() == whole(text)


def test_a_word_across_a_cut_that_shifts_every_token():
    """A long run of digits is cut at another phase by each piece; the seam must lie outside it."""
    text = ("12345 " * 400 + "7" * 3_001 + " ") * 5
    found = encode_pieces(load(params().tokenizer), text, params(piece_chars=2_600))
    assert found.tolist() == whole(text)


def test_the_pieces_did_meet_at_seams(monkeypatch):
    """Guards the tests above: seams were found, and once none was."""
    found = []
    real = encode.find_seam
    monkeypatch.setattr(encode, "find_seam", lambda *a: found.append(real(*a)) or found[-1])
    encode_pieces(load(params().tokenizer), random_text(1), params(piece_chars=2_500))
    assert sum(seam is not None for seam in found) >= 3
    found.clear()
    encode_pieces(load(params().tokenizer), "x" * 9_000, params(piece_chars=2_500))
    assert None in found


def documents(*texts):
    return pa.table({"text": pa.array(texts, pa.large_string())})


def verdicts(*kept):
    return pa.table(
        {"document_id": [f"d{i}" for i in range(len(kept))], "verdict": ["kept" if k else "near" for k in kept]}
    )


def test_a_row_for_each_row_and_null_where_dropped():
    made = encode_shard(documents("a whale", "gone", "", "b"), verdicts(True, False, True, True), params()).to_pylist()
    assert [row["document_id"] for row in made] == ["d0", "d1", "d2", "d3"]
    assert [row["input_ids"] for row in made] == [[*whole("a whale"), 0], None, [0], [*whole("b"), 0]]
    assert [row["n_tokens"] for row in made] == [len(whole("a whale")) + 1, None, 1, 2]


def test_a_bos_is_first_and_counted():
    own = params(bos_token="<|im_start|>")
    assert (encode.bos_id(params()), encode.bos_id(own)) == (None, 1)
    made = encode_shard(documents("a whale", "gone", ""), verdicts(True, False, True), own).to_pylist()
    assert [row["input_ids"] for row in made] == [[1, *whole("a whale"), 0], None, [1, 0]]
    assert [row["n_tokens"] for row in made] == [len(whole("a whale")) + 2, None, 2]


def test_a_text_of_which_no_token_is_made_is_refused(tmp_path):
    tokenizer = Tokenizer(models.BPE({"a": 0, "</s>": 1}, []))
    tokenizer.save(str(tmp_path / "t.json"))
    own = EncodeParams(tokenizer=HashedFile.of(tmp_path / "t.json"), eos_token="</s>")
    made = encode_shard(documents("a", "中文", "gone", ""), verdicts(True, True, False, True), own).to_pylist()
    assert [row["status"] for row in made] == ["encoded", "refused", "dropped", "encoded"]
    assert [row["reason"] for row in made] == [None, "no_token", None, None]
    assert [row["input_ids"] for row in made] == [[0, 1], None, None, [1]]


def test_all_dropped_and_none():
    assert encode_shard(documents("gone"), verdicts(False), params())["n_tokens"].to_pylist() == [None]
    assert len(encode_shard(documents(), verdicts(), params())) == 0


def test_text_that_looks_like_a_special_token_is_text():
    (row,) = encode_shard(documents("a<|endoftext|>b"), verdicts(True), params()).to_pylist()
    assert row["input_ids"].count(0) == 1
    assert row["input_ids"][-1] == 0
    assert load(params().tokenizer).decode(row["input_ids"][:-1]) == "a<|endoftext|>b"


def test_batches_hold_every_text_once_in_order():
    for seed in SEEDS:
        rng = random.Random(seed)
        texts = ["x" * rng.choice([0, 1, 5, 30, 200]) + str(i) for i in range(rng.randrange(20))]
        found = list(batches(pa.array(texts, pa.large_string()), params(batch_bytes=50, piece_chars=100)))
        assert list(itertools.chain(*found)) == texts
        assert all(len(batch) == 1 or sum(map(len, batch)) <= 50 for batch in found), f"{seed=}"


def test_how_texts_were_batched_cannot_show():
    texts = [random_text(seed, n) for seed, n in enumerate([0, 1, 40, 900, 3])]
    rows = [
        encode_shard(documents(*texts), verdicts(*[True] * 5), params(batch_bytes=b, piece_chars=p))[
            "input_ids"
        ].to_pylist()
        for b, p in [(10, 3_000), (1_000_000, 10**9)]
    ]
    assert rows[0] == rows[1]


def test_another_tokenizer_from_a_file(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        ["a whale of a time"], trainers.BpeTrainer(special_tokens=["</s>"], show_progress=False)
    )
    tokenizer.enable_truncation(3)
    tokenizer.save(str(tmp_path / "t.json"))
    own = EncodeParams(tokenizer=HashedFile.of(tmp_path / "t.json"), eos_token="</s>")
    (row,) = encode_shard(documents("a whale of a time, a whale of a time"), verdicts(True), own).to_pylist()
    assert len(row["input_ids"]) > 4  # a saved truncation does not cut documents


def test_faults_are_said(tmp_path):
    with pytest.raises(RecipeError, match="eos_token '</nothing>' is not in its vocabulary"):
        encode.eos_id(params().model_copy(update={"eos_token": "</nothing>"}))
    bad = tmp_path / "t.json"
    bad.write_text("{}")
    with pytest.raises(RecipeError, match="not a tokenizer"):
        load(HashedFile.of(bad))
    with pytest.raises(RecipeError, match="can't be read"):
        HashedFile.of(tmp_path / "none.json")


def test_the_same_file_elsewhere_is_the_same_action(tmp_path):
    copy = tmp_path / "other.json"
    copy.write_bytes(TOKENIZER.read_bytes())
    there = EncodeParams(tokenizer=HashedFile.of(copy), eos_token="<|endoftext|>")
    assert there.model_dump(mode="json") == params().model_dump(mode="json")
    assert np.array_equal(encode_pieces(load(there.tokenizer), "a whale", there), whole("a whale"))


def test_a_seam_needs_agreement_on_both_sides():
    ids, at = np.arange(40), np.arange(40) * 2
    for i, j, same in [(20, 20, True), (7, 7, False), (8, 8, True), (33, 33, False), (32, 32, True), (20, 21, False)]:
        assert encode.agree(ids, at, i, ids, at, j) is same, (i, j)
    other = ids.copy()
    for place, same in [(11, True), (12, False), (27, False), (28, True)]:
        other[:] = ids
        other[place] = -1
        assert encode.agree(ids, at, 20, other, at, 20) is same, place
