"""What became of the records of each source, against a count of one record at a time; and what is refused."""

import gzip
import json
import random
from collections import Counter

import pytest

from pipelines import ingest
from pipelines.ingest import account
from pipelines.ingest.account import Account, account_of, check, percent, sources_of
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from schemas.errors import RecipeError
from tests.pipelines.inputs import source

TINY = ingest.Sizes(smallest_bytes=400, largest_bytes=900, small_file_bytes=600)
SEEDS = range(6)


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "root").mkdir()
    return Engine(Store(tmp_path / "root"), Runner(workers=1))


def line(text, rng):
    bad = [b"not json", b'{"body": 1}', b'{"text": ""}', b'{"text": 3}']
    return json.dumps({"text": text}).encode() if text else rng.choice(bad)


def corpus(folder, seed):
    """Files of good and bad lines, some with none of either; and name -> [is good, bytes of the text or of the record]."""
    rng = random.Random(seed)
    files = {}
    for i in range(rng.randint(1, 7)):
        share = rng.choice([0, 0.05, 0.3, 1])
        texts = [
            f"text {i} {k} {'x' * rng.randint(0, 90)}" if rng.random() < share else ""
            for k in range(rng.choice([0, 3, 9, 90]))
        ]
        lines = [line(text, rng) for text in texts]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.jsonl").write_bytes(b"".join(each + b"\n" for each in lines))
        files[f"{i}.jsonl"] = [(bool(t), len(t.encode()) if t else len(b)) for t, b in zip(texts, lines, strict=True)]
    return files


def test_an_account_is_the_slow_one(tmp_path, engine):
    n_lost = n_shards = 0
    for seed in SEEDS:
        files = corpus(tmp_path / f"in{seed}", seed)
        this = source(tmp_path / f"in{seed}", name=f"s{seed}")
        documents, rejected = ingest.run([this], engine, TINY)
        found = account_of(this, list(zip(documents, rejected, strict=True)), engine.store)
        records = [record for each in files.values() for record in each]
        lost = [name for name, each in files.items() if each and not any(good for good, _ in each)]
        assert (found.documents, found.rejected) == (sum(g for g, _ in records), sum(not g for g, _ in records))
        if found.rejected:
            assert found.document_bytes == sum(n for good, n in records if good)
        assert found.rejected_bytes == sum(n for good, n in records if not good)
        assert found.n_lost == len(lost)
        assert {name for name, _ in found.lost} <= set(lost)
        n_lost, n_shards = n_lost + len(lost), max(n_shards, len(documents))
    assert n_lost > 2
    assert n_shards > 2


def test_the_source_of_every_pair_of_shards(tmp_path, engine):
    sources = []
    for seed in range(5):
        corpus(tmp_path / f"in{seed}", seed)
        sources.append(source(tmp_path / f"in{seed}", name=f"s{seed}"))
    pairs = list(zip(*ingest.run(sources, engine, TINY), strict=True))
    slow = [next(iter(engine.store.read(d if d.n_rows else r, ["source"])["source"].to_pylist())) for d, r in pairs]
    assert sources_of(pairs, engine.store) == slow
    assert len(pairs) > len(set(slow)) > 3
    assert sources_of([], engine.store) == []
    assert sources_of(pairs[:1], engine.store) == slow[:1]


def checked(engine, *sources):
    documents, rejected = ingest.run(sources, engine, TINY)
    check("m", sources, documents, rejected, engine)
    return engine.notes


def write(path, n_good, bad=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    good = [json.dumps({"text": f"text {i}"}).encode() for i in range(n_good)]
    path.write_bytes(b"".join(each + b"\n" for each in [*good, *bad]))
    return path


def test_a_source_that_is_lost_is_refused_with_reason_and_remedy(tmp_path, engine):
    path = write(tmp_path / "in" / "a.jsonl", 0, [b'{"content": "x", "meta": 1}'] * 3)
    web = source(write(tmp_path / "web.jsonl", 2), name="web")
    with pytest.raises(RecipeError) as error:
        checked(engine, web, source(path.parent))
    message = str(error.value)
    assert message.startswith("sources.s: all 3 records rejected, most as text_missing: ")
    assert "(a.jsonl); set the source's text" in message
    assert "or set max_rejected_share = 1 to build without them" in message
    assert message.endswith(f'longmix query {engine.store.root} --version ingested "FROM rejected" lists them')
    assert "\n" not in message
    notes = checked(engine, web, source(path.parent, max_rejected_share=1))
    assert [note for note in notes if note.startswith("source s: all 3 records rejected")]


def test_the_limit_is_of_records_or_bytes_whichever_is_larger(tmp_path, engine):
    by_records = source(write(tmp_path / "a" / "a.jsonl", 8, [b"{"] * 2), max_rejected_share=0.2)
    assert checked(engine, by_records) == [
        (
            "source s: 2 of 10 records rejected (20.00% of records), most as "
            "not_json: at character 1 of the record; it does not end as an object does (a.jsonl)"
        )
    ]
    with pytest.raises(
        RecipeError, match=r"2 of 10 records rejected \(20.00% of records\).*max_rejected_share is 0.19;"
    ):
        checked(engine, by_records.model_copy(update={"max_rejected_share": 0.19}))
    by_bytes = source(write(tmp_path / "b" / "a.jsonl", 30, [b"[" * 400]), name="b")
    with pytest.raises(RecipeError, match=r"sources.b: 1 of 31 records rejected \(\d\d.\d\d% of bytes\)"):
        checked(engine, by_bytes)


def test_a_file_lost_whole_is_named_and_counts_with_its_size(tmp_path, engine):
    folder = tmp_path / "in"
    write(folder / "a.jsonl", 50)
    (folder / "b.jsonl.gz").write_bytes(b"\0no gzip" * 500)
    with pytest.raises(RecipeError, match=r"1 of 51 records rejected \(\d\d.\d\d% of bytes\), as not_gzip"):
        checked(engine, source(folder))
    notes = checked(engine, source(folder, max_rejected_share=0.99))
    assert "source s: 1 file without a document: b.jsonl.gz (not_gzip)" in notes


def test_a_file_that_is_cut_counts_with_its_size(tmp_path, engine):
    folder = tmp_path / "in"
    write(folder / "a.jsonl", 5)
    noise = random.Random(0).randbytes(30_000).hex().encode()
    data = gzip.compress(b'{"text": "' + noise + b'"}\n')
    (folder / "b.jsonl.gz").write_bytes(data[: len(data) // 2])
    this = source(folder)
    documents, rejected = ingest.run([this], engine)
    found = account_of(this, list(zip(documents, rejected, strict=True)), engine.store)
    assert found.rejected_bytes == len(data) // 2


def test_a_source_without_a_record_is_refused(tmp_path, engine):
    folder = tmp_path / "in"
    write(folder / "a.jsonl", 0)
    write(folder / "b.jsonl", 0, [b"", b" "])
    web = source(write(tmp_path / "web.jsonl", 2), name="web")
    with pytest.raises(RecipeError, match=r"^sources\.s: .*/in: no file has a record; correct the path, or remove"):
        checked(engine, web, source(folder))
    assert checked(engine, web, source(folder, max_rejected_share=1)) == ["source s: no record"]
    with pytest.raises(RecipeError, match=r"^sources: no source has a document"):
        checked(engine, source(folder, max_rejected_share=1))


def test_a_field_that_no_record_has_is_noted_with_the_closest(tmp_path, engine):
    rows = [json.dumps({"text": f"t{i}", "source": "x", "license": "mit" if i else None}).encode() for i in range(3)]
    path = write(tmp_path / "a.jsonl", 0, rows)
    assert checked(engine, source(path, origin="source", license_field="license")) == []
    assert checked(engine, source(path)) == []  # a field that the recipe does not name
    assert checked(engine, source(path, origin="sorce", license_field="licence", license="cc0-1.0")) == [
        "source s: origin = 'sorce', and no record has a value of it; did you mean source?",
        "source s: license_field = 'licence', and no record has a value of it; did you mean license?",
    ]


def test_an_engine_that_only_looks_writes_nothing(tmp_path, engine):
    this = source(write(tmp_path / "a.jsonl", 2))
    documents, rejected = ingest.run([this], engine, TINY)
    check("m", [this], documents, rejected, engine.look())
    assert not (engine.store.root / "ingested").exists()
    check("m", [this], documents, rejected, engine)
    assert [path.name for path in (engine.store.root / "ingested").iterdir()] == ["m.json"]


def test_rare_details_are_forgotten(monkeypatch):
    monkeypatch.setattr(account, "COUNTED_DETAILS", 3)
    kept = Account("s")
    for i in range(50):
        kept.reject("not_json", f"at {i}", "a")
        kept.reject("not_json", "at 0", "a")
    assert kept.rejected == 100
    assert len(kept.kinds) <= 7
    assert kept.most() == "not_json: at 0 (a)"
    assert Counter(dict(kept.kinds)).most_common(1)[0][0] in kept.examples


def test_a_share_is_never_shown_as_nothing_or_all_that_it_is_not():
    assert [percent(s) for s in (0, 0.00001, 0.5, 0.99999, 1)] == ["0%", "0.01%", "50.00%", "99.99%", "100%"]


@pytest.mark.parametrize(
    ("n", "finding"),
    [
        (1, "the only record rejected, as"),
        (2, "all 2 records rejected, most as"),
        (1_000, "all 1,000 records rejected, most as"),
    ],
)
def test_a_source_without_a_document_says_how_many_records_were_rejected(n, finding):
    lost = Account("s")
    lost.reject("not_json", "at character 1", "a.jsonl", n)
    assert lost.finding() == f"{finding} not_json: at character 1 (a.jsonl)"
