"""Signatures are datasketch's to the bit and stay what they were; bands and estimates are what the formulas promise."""

import json
import math
import re
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash, MinHashLSH

from pipelines.dedup import SignParams, sign_shard
from pipelines.dedup.minhash import EMPTY, band_keys, bands, min_agreeing, n_agreeing, permutations, signatures
from pipelines.dedup.shingles import Window, shingles
from schemas.tables import SIGNATURES

ROOT = Path(__file__).parents[3]
SEEDS = range(40)


def random_sets(seed):
    random = np.random.default_rng(seed)
    sizes = random.choice([0, 1, 2, 30, 400], 5)
    values = [np.sort(random.integers(0, 2**64, n, np.uint64)) for n in sizes]
    return values, np.cumsum([0, *sizes])


def test_signatures_are_those_of_datasketch():
    for seed in SEEDS:
        values, offsets = random_sets(seed)
        made = signatures(np.concatenate(values), offsets, 128, seed)
        for row, hashes in zip(made, values, strict=True):
            slow = MinHash(num_perm=128, seed=seed, scheme="affine32", hashfunc=lambda h: h)
            slow.update_batch([int(h) >> 32 for h in hashes])
            assert row.dtype == slow.hashvalues.dtype
            assert row.tolist() == slow.hashvalues.tolist(), f"{seed=}"


def test_a_text_without_shingles_has_an_empty_signature():
    assert (signatures(np.empty(0, np.uint64), np.zeros(3, np.int64), 128, 1) == EMPTY).all()


def test_permutations_lose_nothing():
    a, b = permutations(128, 1)
    assert (a % 2 == 1).all()
    assert a.dtype == b.dtype == np.uint32


FROZEN = {  # seed -> hash of the signatures of four texts, the first values of the last, the first a and b
    0: ("a3015b52296414c15575cfcd043c2e67", [6431497, 3046523, 5095995, 8114273], (419304793, 844314793)),
    1: ("a7e87a7165f516b8476408e161c02eb9", [9531636, 12321, 378663, 234494], (3582191691, 214548472)),
    2**32 - 1: ("3cf63897a2a5743fc1d280b728c625f7", [1077842, 4807192, 2222157, 2636525], (838652743, 423830093)),
}


@pytest.mark.parametrize("seed", FROZEN)
def test_signatures_stay_what_they_were(seed):
    """A later datasketch that draws other permutations would make all that was signed before incomparable."""
    values = np.array([x * 0x9E3779B97F4A7C15 % 2**64 for x in range(1, 1001)], np.uint64)
    signed = signatures(values, np.array([0, 0, 1, 31, 1000]), 128, seed)
    a, b = permutations(128, seed)
    digest = blake2b(signed.tobytes(), digest_size=16).hexdigest()
    assert (digest, signed[3, :4].tolist(), (a[0], b[0])) == FROZEN[seed]


def test_reading_a_recipe_does_not_import_datasketch():
    code = "import sys, pipelines.recipe; sys.exit('datasketch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# -- as datasketch's own objects

TEXTS = [
    "the ship left the harbour at dawn and the sea was calm and grey all day",
    "the ship left the harbour at dawn and the sea was calm and grey all night",
    "The ship left the harbour at dawn, and the sea was calm and grey all day!",
    "a proof by induction on the number of vertices of the graph",
    "one",
    "",
    " -- ",
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """SIGNATURES of TEXTS, out of a Parquet file."""
    path = tmp_path_factory.mktemp("signatures") / "shard.parquet"
    params = SignParams(shingle_words=5, n_permutations=128, seed=1)
    pq.write_table(sign_shard(pa.table({"text": TEXTS}), params).cast(SIGNATURES), path)
    return pq.read_table(path).to_pylist()


def opened(row):
    return MinHash(num_perm=128, seed=1, hashvalues=row["signature"], scheme="affine32")


def signed_by_datasketch(text):
    values, _ = shingles(pa.array([text]), Window(5))
    minhash = MinHash(num_perm=128, seed=1, hashfunc=lambda h: h, scheme="affine32")
    for value in values.tolist():
        minhash.update(value >> 32)
    return minhash


def test_a_row_is_a_minhash_of_datasketch(rows):
    for row, text in zip(rows, TEXTS, strict=True):
        minhash, slow = opened(row), signed_by_datasketch(text)
        assert minhash == slow
        assert (minhash.hashvalues.dtype, len(minhash)) == (np.uint32, 128)
        assert minhash.permutations.tolist() == [p.tolist() for p in permutations(128, 1)]
    both = opened(rows[0])
    both.merge(opened(rows[3]))
    assert both == MinHash.union(signed_by_datasketch(TEXTS[0]), signed_by_datasketch(TEXTS[3]))


def test_datasketch_estimates_what_the_kernel_counts(rows):
    for one in rows:
        for other in rows:
            counted = n_agreeing(*(np.array(row["signature"], np.uint32) for row in (one, other))) / 128
            assert opened(one).jaccard(opened(other)) == counted
    estimates = [opened(rows[0]).jaccard(opened(row)) for row in rows]
    assert estimates[0] == estimates[2] == 1
    assert 0.6 < estimates[1] < 1  # 10 shingles of 12
    assert max(estimates[3:]) < 0.1


def test_datasketch_finds_similar_signatures(rows):
    index = MinHashLSH(threshold=0.7, num_perm=128)
    for i in range(1, 5):
        index.insert(i, opened(rows[i]))
    assert sorted(index.query(opened(rows[0]))) == [1, 2]
    assert index.query(signed_by_datasketch(TEXTS[3])) == [3]
    assert index.query(signed_by_datasketch("words that occur nowhere else in this small corpus")) == []


def test_a_text_without_words_is_empty_for_datasketch(rows):
    assert [opened(row).is_empty() for row in rows] == [row["n_shingles"] == 0 for row in rows]
    assert [opened(row).is_empty() for row in rows] == [not text.strip(" -") for text in TEXTS]
    assert opened(rows[5]) == opened(rows[6]) == MinHash(num_perm=128, seed=1, scheme="affine32")


def test_the_documentation_opens_the_signatures_of_a_build(tiny):
    """The code of docs/dedup.md, with the folder of a version in the place of its own."""
    text = (ROOT / "docs" / "dedup.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert any('MinHash(num_perm=128, seed=1, hashvalues=row["signature"], scheme="affine32")' in b for b in blocks)
    code = "\n".join(blocks)
    assert code.count("data/mixes/datasets/128k/latest") == 1
    scope = {}
    exec(code.replace("data/mixes/datasets/128k/latest", str(tiny.folder)), scope)
    documents, similar = scope["documents"], scope["similar"]
    texts = {}
    for shard in json.loads((tiny.folder / "manifest.json").read_text())["tables"]["DOCUMENTS"]:
        path = tiny.folder.parents[2] / "shards" / "DOCUMENTS" / shard["content_hash"][:2]
        table = pq.read_table(path / f"{shard['content_hash']}.parquet", columns=["document_id", "text"])
        texts |= dict(zip(*table.to_pydict().values(), strict=True))
    assert set(documents) <= set(texts)
    assert len(documents) > 50
    for document_id in sorted(documents)[::10]:
        assert documents[document_id] == signed_by_datasketch(texts[document_id])
        assert document_id in similar[document_id]
    assert any(len(ids) > 1 for ids in similar.values())
    assert scope["text"] == signed_by_datasketch("a text to look for in the corpus")
    assert scope["similar_to_text"] == []


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("min_recall", [0.5, 0.98])
def test_bands_are_as_long_as_recall_allows(threshold, min_recall):
    def recall(rows):
        return 1 - (1 - threshold**rows) ** (128 // rows)

    n_bands, rows = bands(threshold, 128, min_recall)
    assert n_bands == 128 // rows
    good = [r for r in range(1, 129) if recall(r) >= min_recall]
    assert rows == max(good, default=1)


def test_the_bands_of_the_default():
    assert bands(0.7, 128, 0.98) == (25, 5)
    assert 1 - (1 - 0.7**5) ** 25 > 0.98


def test_band_keys_are_equal_where_the_rows_are():
    for seed in SEEDS:
        signed = np.random.default_rng(seed).integers(0, 2, (30, 12), np.uint32)
        keys = band_keys(signed, 4, 3)
        rows = {}
        for i, band in np.ndindex(*keys.shape):
            rows.setdefault((band, *signed[i, band * 3 : band * 3 + 3].tolist()), set()).add(int(keys[i, band]))
        assert all(len(found) == 1 for found in rows.values())
        assert len(set().union(*rows.values())) == len(rows), f"{seed=}"


def test_agreeing_places_are_counted():
    for seed in SEEDS:
        one, other = np.random.default_rng(seed).integers(0, 3, (2, 128), np.uint32)
        assert n_agreeing(one, other) == sum(a == b for a, b in zip(one.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_hardly_a_pair_at_the_threshold_is_estimated_too_low(threshold):
    """Exact binomial tails: few are missed, and the margin is no wider than that takes."""

    def missed(floor):
        return sum(math.comb(128, k) * threshold**k * (1 - threshold) ** (128 - k) for k in range(floor))

    floor = min_agreeing(threshold, 128)
    assert missed(floor) < 0.005
    assert missed(floor + 5) > 0.005


def test_a_threshold_of_one_asks_for_every_place():
    assert min_agreeing(1.0, 128) == 128
