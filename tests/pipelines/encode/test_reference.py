import pyarrow as pa
from tokenizers import Tokenizer, models

from pipelines.encode.reference import encode
from pipelines.encode.tokenizer import load
from tests.pipelines.encode.families import params_of, saved
from tests.pipelines.encode.test_pieces import DEFAULT, random_text


def array(*texts):
    return pa.array(texts, pa.large_string())


def test_batches_do_not_matter():
    texts = [random_text(seed, n) for seed, n in enumerate([0, 1, 40, 900, 3, 2_000])]
    tokenizer = load(DEFAULT.tokenizer)
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    for batch_bytes, piece_chars in [(10, 3_000), (3_000, 2_500), (1_000_000, 10**9)]:
        params = DEFAULT.model_copy(update={"batch_bytes": batch_bytes, "piece_chars": piece_chars})
        ids = encode(tokenizer, array(*texts), params)
        assert [ids.row(i).tolist() for i in range(len(texts))] == expected


def test_a_text_that_cannot_be_encoded_fails_alone(tmp_path):
    tokenizer = Tokenizer(models.Unigram([("</s>", 0.0), ("a", -1.0), ("b", -1.0)]))  # no token for unknown text
    params = params_of(saved(tmp_path, tokenizer))
    for batch_bytes in (1, 1_000):
        params = params.model_copy(update={"batch_bytes": batch_bytes})
        ids = encode(load(params.tokenizer), array("ab", "x", "", "ba", "axa"), params)
        assert ids.failed.tolist() == [False, True, False, False, True]
        assert [ids.row(i).tolist() for i in range(5)] == [[1, 2], [], [], [2, 1], []]


def test_no_text():
    assert len(encode(load(DEFAULT.tokenizer), array(), DEFAULT).failed) == 0
