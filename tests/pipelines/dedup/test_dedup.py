"""The stage comes to what the plain rule comes to, however documents were cut into shards and spread over workers."""

import itertools
import json
import random
import subprocess
import sys
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines import dedup
from pipelines.batches import batches
from pipelines.dedup import DedupParams, SignParams, candidates, sign_shard, verify
from pipelines.dedup.minhash import bands, min_agreeing, signatures
from pipelines.dedup.shingles import Window, shingles
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from schemas.errors import NotMade
from schemas.tables import DOCUMENTS
from tests.kills import fingerprint
from tests.pipelines.dedup.slow import windows

ROOT = Path(__file__).parents[3]
SEEDS = range(6)
SOURCES = ("web", "books", "code")
WORDS = ["whale", "Sea", "ΟΔΟΣ", "İo", "ship", "日本", "x_1", "the", "of", "ß", "Ahab", "7", "rope", "deck", "oar"]
ONE = Runner(workers=1)


def digest(*parts):
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


# -- documents


def edited(rng, text):
    """A copy with some of its words changed, cut off, or written otherwise; or the very same."""
    words = text.split(" ")
    kind = rng.choice(["same", "same", "other case", "a word", "a word", "some words", "cut", "longer"])
    if kind == "other case":
        return text.upper() + " !"
    if kind in ("a word", "some words"):
        for _ in range(1 if kind == "a word" else 4):
            words[rng.randrange(len(words))] = f"{rng.choice(WORDS)}{rng.randrange(50)}"
    if kind == "cut":
        words = words[: rng.randrange(1, len(words) + 1)]
    if kind == "longer":
        words += rng.choices(WORDS, k=rng.randrange(20))
    return " ".join(words)


def document(rng, text, number):
    source, file = rng.choice(SOURCES), rng.choice(["a.jsonl", "b/c.jsonl"])
    content_hash = digest(text)
    own = rng.choice(["", "", str(number)])
    return {
        "document_id": digest(source, own or file, content_hash),
        "content_hash": content_hash,
        "source": source,
        "record_id": None,
        "origin": None,
        "domain": source,
        "license": None,
        "file": file,
        "record": number,
        "n_bytes": len(text.encode()),
        "text": text,
    }


def random_documents(seed):
    """Families of texts that are edits of edits, texts of hardly a word, and copies from other sources."""
    rng = random.Random(seed)
    texts = ["", " .. ", "sea", "Sea!", "the whale", "a b c d", "a b c D", "one two three four five"]
    for _ in range(3):
        family = [" ".join(rng.choices(WORDS, k=rng.choice([30, 60, 90]))) for _ in range(4)]
        family += [edited(rng, family[rng.randrange(4) if rng.random() < 0.3 else -1]) for _ in range(10)]
        texts += family + [edited(rng, rng.choice(texts + family) or "sea") for _ in range(30)]
    rng.shuffle(texts)
    threshold = [0.5, 0.6, 0.7, 0.75][seed % 4]
    return [document(rng, text, number) for number, text in enumerate(texts)], threshold


# -- the plain rule


def slow_near(texts, threshold):
    """{(one, other): similarity} of all candidates that are similar enough, by their place in `texts`."""
    values, offsets = shingles(pa.array(texts, pa.large_string()), Window(5))
    signed = signatures(values, offsets, 128, 1)
    n_bands, rows = bands(threshold, 128, 0.98)
    sets = [windows(text) for text in texts]
    found = {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        equal = signed[i] == signed[j]
        meet = equal[: n_bands * rows].reshape(n_bands, rows).all(axis=1).any()
        if sets[i] and sets[j] and meet and equal.sum() >= min_agreeing(threshold, 128):
            found[i, j] = found[j, i] = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
    return {pair: alike for pair, alike in found.items() if alike >= threshold}


def slow_verdicts(documents, threshold, kept_in_base=()):
    """{record: (verdict, kept_id, similarity)}."""

    def place(d):
        source = SOURCES.index(d["source"])
        return (d["document_id"] not in kept_in_base, source, -d["n_bytes"], d["content_hash"], d["document_id"], d["file"], d["record"])  # fmt: skip

    ordered = sorted(documents, key=place)
    first = {}
    for d in ordered:
        first.setdefault(d["content_hash"], d)
    texts = list(first)
    near = slow_near([first[h]["text"] for h in texts], threshold)
    kept = []
    for i in range(len(texts)):
        if not any((i, j) in near for j in kept):
            kept.append(i)
    found = {}
    for d in ordered:
        i = texts.index(d["content_hash"])
        if i not in kept:
            alike, j = max((near[i, j], -j) for j in kept if (i, j) in near)
            found[d["record"]] = ("near", first[texts[-j]]["document_id"], alike)
        elif d is first[d["content_hash"]]:
            found[d["record"]] = ("kept", None, None)
        else:
            found[d["record"]] = ("exact", first[d["content_hash"]]["document_id"], 1.0)
    return found


# -- the stage


def shards_of(store, documents, cuts=()):
    table = pa.Table.from_pylist(documents, DOCUMENTS)
    return [store.write("DOCUMENTS", table.slice(a, b - a)) for a, b in itertools.pairwise([0, *cuts, len(table)])]


def verdicts(store, documents, duplicates):
    """As slow_verdicts gives them; each row of DUPLICATES must stand beside its document."""
    found = {}
    for shard, judged in zip(documents, duplicates, strict=True):
        for d, row in zip(store.read(shard).to_pylist(), store.read(judged).to_pylist(), strict=True):
            assert row["document_id"] == d["document_id"]
            found[d["record"]] = (row["verdict"], row["kept_id"], row["similarity"])
    return found


def run(store, documents, threshold=0.7, base=None, engine=None):
    """SIGNATURES, DUPLICATES and NEAR."""
    engine = engine or Engine(store, ONE)
    return dedup.run(documents, DedupParams(threshold=threshold), SOURCES, base or {}, engine)


def events(store, stage):
    lines = map(json.loads, (store.root / "progress.jsonl").read_text().splitlines())
    return [line["shards"] for line in lines if line["stage"] == stage and line["event"] == "begun"]


def test_the_verdicts_are_the_slow_ones(tmp_path):
    for seed in SEEDS:
        documents, threshold = random_documents(seed)
        store = Store(tmp_path / str(seed))
        shards = shards_of(store, documents, [7 * seed, 14 * seed])
        _, duplicates, _ = run(store, shards, threshold)
        assert verdicts(store, shards, duplicates) == slow_verdicts(documents, threshold), f"{seed=}"


def test_a_base_comes_first(tmp_path):
    """What an earlier version kept is kept again, whatever came before it in the order since."""
    changed = 0
    for seed in SEEDS:
        documents, threshold = random_documents(seed)
        store = Store(tmp_path / str(seed))
        first = shards_of(store, documents[::2])
        base = {"DUPLICATES": run(store, first, threshold)[1]}
        kept = {row["document_id"] for s in base["DUPLICATES"] for row in store.read(s).to_pylist() if row["verdict"] == "kept"}  # fmt: skip
        shards = shards_of(store, documents, [25])
        found = verdicts(store, shards, run(store, shards, threshold, base)[1])
        assert found == slow_verdicts(documents, threshold, kept), f"{seed=}"
        assert kept <= {d["document_id"] for d in documents if found[d["record"]][0] == "kept"}
        changed += found != slow_verdicts(documents, threshold)
    assert changed > len(SEEDS) / 2


def test_by_exact_drops_equal_texts_alone_and_signs_none(tmp_path):
    documents, threshold = random_documents(1)
    store = Store(tmp_path / "root")
    shards = shards_of(store, documents, [7, 14])
    params = DedupParams(threshold=threshold, by="exact")
    signed, duplicates, near = dedup.run(shards, params, SOURCES, {}, Engine(store, ONE))
    found = verdicts(store, shards, duplicates)
    kept = [d["content_hash"] for d in documents if found[d["record"]][0] == "kept"]
    assert sorted(kept) == sorted({d["content_hash"] for d in documents})
    assert {verdict for verdict, _, _ in found.values()} == {"kept", "exact"}
    assert all(similarity in (None, 1.0) for _, _, similarity in found.values())
    assert near == []
    rows = [row for shard in signed for row in store.read(shard).to_pylist()]
    assert [shard.n_rows for shard in signed] == [shard.n_rows for shard in shards]
    assert rows == [{"n_shingles": 0, "signature": [2**32 - 1] * 128, "sketch": []}] * len(documents)
    assert {s.content_hash for s in run(store, shards, threshold)[0]}.isdisjoint(s.content_hash for s in signed)


def test_the_cases_the_oracle_must_reach():
    """Guards the tests above from passing on easy input."""
    met = Counter()
    for seed in SEEDS:
        documents, threshold = random_documents(seed)
        found = slow_verdicts(documents, threshold)
        text = {d["document_id"]: d["text"] for d in documents}
        for d in documents:
            verdict, kept_id, alike = found[d["record"]]
            met[verdict] += 1
            met["exactly at the threshold"] += alike == threshold
            met["another text with the same shingles"] += verdict == "near" and alike == 1
            met["a short one is near"] += verdict == "near" and len(windows(d["text"])) == 1
            met["no words"] += verdict == "kept" and not windows(d["text"])
            met["no words, exact"] += verdict == "exact" and not windows(d["text"])
            met["its own id, exact"] += kept_id == d["document_id"]
            met["letters that Python lowers"] += verdict == "near" and "Σ" in d["text"] + text[kept_id]
        met["copies of a dropped text"] += sum(n > 1 for n in Counter(d["content_hash"] for d in documents if found[d["record"]][0] == "near").values())  # fmt: skip
        distinct = list({d["content_hash"]: d["text"] for d in documents}.values())
        near = slow_near(distinct, threshold)
        met["a chain"] += sum((a, b) in near and (b, c) in near and (a, c) not in near for a, b, c in itertools.permutations(range(len(distinct)), 3))  # fmt: skip
        ties = Counter((i, alike) for (i, _), alike in near.items())
        met["a tie"] += sum(n > 1 for n in ties.values())
    assert all(met.values()), met


# -- what must not show


def test_shards_order_and_workers_cannot_show(tmp_path, monkeypatch):
    documents, threshold = random_documents(1)
    expected = slow_verdicts(documents, threshold)
    rng = random.Random(0)
    for number, (cuts, workers, most) in enumerate([([], 1, 64), ([1, 2, 40], 2, 2), ([0, 26], 2, 1), ([51], 4, 64)]):
        monkeypatch.setattr(candidates, "MAX_BUCKET_TEXTS", most)
        monkeypatch.setattr(verify, "GROUP_TEXTS", most)
        store = Store(tmp_path / str(number))
        rng.shuffle(documents)
        shards = shards_of(store, documents, cuts)
        duplicates = run(store, shards, threshold, engine=Engine(store, Runner(workers=workers)))[1]
        assert verdicts(store, shards, duplicates) == expected, f"{cuts=}"


def test_texts_are_read_in_any_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.store.ROW_GROUP_BYTES", 2_000)
    documents, threshold = random_documents(2)
    store = Store(tmp_path)
    shards = shards_of(store, documents, [20])
    assert verdicts(store, shards, run(store, shards, threshold)[1]) == slow_verdicts(documents, threshold)


# -- what is made again


@pytest.fixture
def many_groups(monkeypatch):
    monkeypatch.setattr(verify, "GROUP_TEXTS", 2)


def families(n, seed=0):
    """n pairs of near duplicates that have nothing to do with one another."""
    rng = random.Random(seed)
    texts = [" ".join(f"{rng.choice(WORDS)}{rng.randrange(10**6)}" for _ in range(60)) for _ in range(n)]
    return [document(rng, text, i) for i, text in enumerate([*texts, *(f"{text} end" for text in texts)])]


@pytest.mark.usefixtures("many_groups")
def test_texts_are_read_again_only_in_groups_that_changed(tmp_path, monkeypatch):
    read = []
    real = verify.read_texts
    monkeypatch.setattr(verify, "read_texts", lambda file, rows: read.extend(rows.tolist()) or real(file, rows))
    store, documents = Store(tmp_path), families(40)
    before = run(store, shards_of(store, documents))[1]
    assert len(read) == 80
    assert events(store, "verify")[-1] > 10
    read.clear()
    new = document(random.Random(5), documents[7]["text"] + " and more", 1_000)
    shards = [*shards_of(store, documents), *shards_of(store, [new])]
    for base in ({}, {"DUPLICATES": before}):
        found = verdicts(store, shards, run(store, shards, base=base)[1])
        kept = {d["document_id"] for d, v in zip(documents, store.read(before[0]).to_pylist(), strict=True) if base and v["verdict"] == "kept"}  # fmt: skip
        assert found == slow_verdicts([*documents, new], 0.7, kept)
        assert 3 <= len(read) < 30
        assert events(store, "verify")[-1] == (0 if base else 1)  # with the base it comes to the same


@pytest.mark.usefixtures("many_groups")
def test_a_base_that_changes_nothing_makes_nothing(tmp_path):
    for seed in range(3):
        documents, threshold = random_documents(seed)
        store = Store(tmp_path / str(seed))
        shards = shards_of(store, documents, [30])
        before = run(store, shards, threshold)
        again = run(store, shards, threshold, {"DUPLICATES": before[1]})
        assert again == before
        assert events(store, "verify")[-1] == 0
        assert run(store, shards, threshold) == before
        assert events(store, "dedup") == [1, 1, 0]


def test_a_group_that_comes_to_something_else_under_a_base_is_judged_again(tmp_path):
    documents = families(1)
    store = Store(tmp_path)
    shards = shards_of(store, documents)
    first = run(store, shards)[1]
    dropped = next(d["document_id"] for d in store.read(first[0]).to_pylist() if d["verdict"] == "near")
    (alone,) = (d for d in documents if d["document_id"] == dropped)
    base = {"DUPLICATES": run(store, shards_of(store, [alone]))[1]}
    found = verdicts(store, shards, run(store, shards, base=base)[1])
    assert found == slow_verdicts(documents, 0.7, {dropped})
    assert found[alone["record"]][0] == "kept"


def test_looking_makes_nothing(tmp_path):
    store = Store(tmp_path)
    shards = shards_of(store, families(3))
    look = Engine(store, ONE).look()
    with pytest.raises(NotMade):
        run(store, shards, engine=look)
    made = run(store, shards)
    before = fingerprint(tmp_path)
    assert run(store, shards, engine=look) == made
    with pytest.raises(NotMade):
        run(store, shards, 0.9, engine=look)
    assert fingerprint(tmp_path) == before


def test_another_threshold_uses_the_signatures_again(tmp_path):
    store = Store(tmp_path)
    shards = shards_of(store, families(3))
    signed = run(store, shards)[0]
    assert run(store, shards, 0.9)[0] == signed
    assert events(store, "signatures") == [1, 0]


# -- signatures and their sketch


def test_a_shard_is_signed_text_by_text():
    params = SignParams.of(DedupParams())
    texts = [" ".join(f"w{i}" for i in range(5_000)), "", "a b", *(d["text"] for d in random_documents(3)[0])]
    made = sign_shard(pa.table({"text": pa.array(texts, pa.large_string())}), params).to_pylist()
    values, offsets = shingles(pa.array(texts, pa.large_string()), Window(5))
    for i, row in enumerate(made):
        own = values[offsets[i] : offsets[i + 1]]
        assert row["n_shingles"] == len(windows(texts[i]))
        assert row["sketch"] == [v for v in own.tolist() if v % 64 == 0]
        assert row["signature"] == signatures(own, np.array([0, len(own)]), 128, 1)[0].tolist()
    assert 40 < len(made[0]["sketch"]) < 120


def test_a_long_text_is_signed_in_parts(monkeypatch):
    """The same row as in one part, beside short texts before and after it."""
    texts = ["a b c", " ".join(f"w{i % 9_000}" for i in range(15_000)), "", "d e f"]
    monkeypatch.setattr(batches, "__defaults__", (1 << 10,))
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    for params in (DedupParams(), DedupParams(shingle_chars=9)):
        rows = []
        for most in (1 << 21, 5_000):
            monkeypatch.setattr("pipelines.dedup.shingles.MAX_HASHES", most)
            rows.append(sign_shard(table, SignParams.of(params)).to_pylist())
        assert rows[0] == rows[1]
        assert rows[0][1]["n_shingles"] == len(windows(texts[1], *SignParams.of(params).window))


SIGN_LONG = """
import io, sys
import numpy as np, pyarrow as pa
from pipelines.dedup import DedupParams, SignParams, sign_shard
module = sys.modules["pipelines.dedup.shingles"]

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

def sign(size, read):
    data = pa.allocate_buffer(size)
    read(memoryview(data))
    text = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, size], np.int64)), data)
    return sign_shard(pa.table({"text": text}), SignParams.of(DedupParams()))["n_shingles"][0].as_py()

with open(sys.argv[1], "rb") as stream:
    most, module.MAX_HASHES = module.MAX_HASHES, 4_200
    sign(10_000, io.BytesIO(b"warm " * 2_000).readinto)
    module.MAX_HASHES = most
    idle = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # sets VmHWM, the peak, to what it is now
    n = sign(int(sys.argv[2]), stream.readinto)
    print(n, (status("VmHWM") - idle) / 1e6)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is read from Linux's /proc"
)
def test_ten_million_words_are_signed_within_200_mb(tmp_path):
    """The text itself, 60 MB, included."""
    n_words = 10_000_000
    digits = np.frombuffer(b"0123456789abcdefghijklmnopqrstuv", np.uint8)
    words = np.full((n_words, 6), ord(" "), np.uint8)
    words[:, :5] = digits[np.random.default_rng(0).integers(0, 32, (n_words, 5), np.uint8)]
    words.tofile(tmp_path / "text")
    command = [sys.executable, "-c", SIGN_LONG, tmp_path / "text", str(words.nbytes)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    n_shingles, peak_megabytes = done.stdout.split()
    assert int(n_shingles) == n_words - 4
    assert 60 < float(peak_megabytes) < 200


# -- the recipe's window


def test_characters_are_the_window_that_the_recipe_asks_for(tmp_path):
    texts = [
        "the white whale of the sea and nothing else",
        "thewhitewhale, of the sea and nothing else!",
        "another text",
    ]
    documents = [document(random.Random(0), text, i) for i, text in enumerate(texts)]
    store = Store(tmp_path)
    shards = shards_of(store, documents)
    signed = dedup.run(shards, DedupParams(shingle_chars=8), SOURCES, {}, Engine(store, ONE))
    rows = store.read(signed[0][0]).to_pylist()
    assert [row["n_shingles"] for row in rows] == [len(windows(text, 8, "characters")) for text in texts]
    found = verdicts(store, shards, signed[1])
    assert sorted(verdict for verdict, _, _ in found.values()) == ["kept", "kept", "near"]
    assert [alike for verdict, _, alike in found.values() if verdict == "near"] == [1.0]
    words = verdicts(store, shards, run(store, shards)[1])
    assert {verdict for verdict, _, _ in words.values()} == {"kept"}


def test_words_and_characters_exclude_each_other():
    assert (DedupParams().shingle_words, DedupParams().shingle_chars) == (5, None)
    chars = DedupParams(shingle_chars=8)
    assert (chars.shingle_words, chars.shingle_chars) == (None, 8)
    assert SignParams.of(chars).window == Window(8, "characters")
    assert SignParams.of(DedupParams(shingle_words=3)).window == Window(3)
    for params in (DedupParams(), chars):
        assert DedupParams.model_validate(params.model_dump()) == params
    with pytest.raises(ValueError, match="shingle_words and shingle_chars exclude each other; remove one"):
        DedupParams(shingle_words=5, shingle_chars=8)


def share_changed(text, share, seed=0):
    """A copy with every so many-th letter replaced by another of the text."""
    rng = random.Random(seed)
    letters = [i for i, c in enumerate(text) if c.isalnum()]
    changed = dict.fromkeys(rng.sample(letters, max(1, round(share * len(letters)))))
    return "".join(rng.choice([c for c in text if c.isalnum()]) if i in changed else c for i, c in enumerate(text))


UNSPACED_TEXTS = {
    "Chinese": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽雲騰致雨露結為霜金生麗水玉出崑岡",
    "Japanese": "いろはにほへとちりぬるをわかよたれそつねならむうゐのおくやまけふこえてあさきゆめみしゑひもせすコンピューター",
    "Thai": "กขคงจฉชซญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮแเโใไะาิีึืุู",
    "Khmer": "កខគឃងចឆជឈញដឋឌឍណតថទធនបផពភមយរលវសហឡអាិីឹឺុូួើ",
}


@pytest.mark.parametrize("script", UNSPACED_TEXTS)
def test_near_copies_in_scripts_without_spaces_are_found(tmp_path, script):
    """1 % of the characters changed; and a text of the same letters is no copy."""
    rng = random.Random(script)
    one, other = ("".join(rng.choices(UNSPACED_TEXTS[script], k=1_500)) for _ in range(2))
    store = Store(tmp_path)
    shards = shards_of(store, [document(rng, text, i) for i, text in enumerate([one, share_changed(one, 0.01), other])])
    found = verdicts(store, shards, run(store, shards)[1])
    assert sorted(verdict for verdict, _, _ in found.values()) == ["kept", "kept", "near"]
    assert found[2][0] == "kept"
    (alike,) = (alike for verdict, _, alike in found.values() if verdict == "near")
    assert 0.85 < alike < 0.96


def test_nothing_at_all(tmp_path):
    store = Store(tmp_path)
    assert run(store, []) == ([], [], [])
    for documents in ([], [document(random.Random(0), "", 0)]):
        shards = shards_of(store, documents)
        assert verdicts(store, shards, run(store, shards)[1]) == slow_verdicts(documents, 0.7)
