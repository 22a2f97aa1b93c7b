import numpy as np
import pyarrow as pa

from pipelines.encode.sample import SAMPLE_SHARE, decodes, sampled
from pipelines.encode.tokenizer import load
from tests.pipelines.encode.families import params_of, saved, trained


def slow_sampled(texts, hashes):
    total, rows, n_bytes = sum(len(text.encode()) for text in texts), [], 0
    for row in sorted(range(len(texts)), key=lambda i: hashes[i]):
        rows.append(row)
        n_bytes += len(texts[row].encode())
        if n_bytes >= SAMPLE_SHARE * total:
            break
    return sorted(rows)


def test_the_lowest_hashes_up_to_a_share_of_the_bytes():
    many = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([0, 1, 2, 30, 2_000]))
        texts = ["é" * size for size in rng.integers(0, rng.choice([2, 400]), n).tolist()]
        hashes = [rng.bytes(16).hex() for _ in range(n)]
        n_bytes = np.array([len(text.encode()) for text in texts], np.int64)
        rows = sampled(n_bytes, pa.chunked_array([pa.array(hashes, pa.string())])).tolist()
        assert rows == slow_sampled(texts, hashes), f"{seed=}"
        assert n == 0 or rows
        many += len(rows) > 3
    assert many >= 3, "the hard case"


def test_decodes(tmp_path):
    tokenizer = load(params_of(saved(tmp_path, trained("qwen2"))).tokenizer)
    ids = np.array(tokenizer.encode("cafe\u0301 au lait", add_special_tokens=False).ids)
    assert decodes(tokenizer, "cafe\u0301 au lait", ids)  # NFC gives another text, which counts as the same
    assert not decodes(tokenizer, "cafe\u0301 au lait", ids[:-1])
    tokenizer = load(params_of(saved(tmp_path, trained("gpt2"))).tokenizer)
    assert decodes(tokenizer, "a </s> b", np.array(tokenizer.encode("a </s> b", add_special_tokens=False).ids))
    assert not decodes(tokenizer, "ab", np.array(tokenizer.encode("ac").ids))
