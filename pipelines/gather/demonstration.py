"""Instruction samples with a known dependency, built from the gathered corpus: a test bed for the choice of samples.

OUT receives facts, faq, sections and short.jsonl.zst, lines of {"id","messages","length",...} sorted by id, and
truth.jsonl.zst: the kind of each sample, and where its answer is. Every answer is a span copied from a document. Kinds:

    far        the passage that holds the answer is in the context, at least min_distance tokens before the question
    near       the same, and the passage is repeated right before the question
    absent     another passage is in the place of the one that holds the answer
    unrelated  all passages of the context are of another topic

The same corpus, tokenizer and arguments give the same bytes. No number depends on a position in a file.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from tokenizers import Tokenizer

from pipelines.gather.fetching import CorpusError
from pipelines.gather.passages import TOPICS, Passage, key
from pipelines.store.files import write_bytes

LEVEL = 9
FAR, CONTROLS = "far", ("near", "absent", "unrelated")
JOINT = "\n\n"  # between passages, and between the context and the question


@dataclass(frozen=True)
class Amounts:
    """How many samples of each topic, and of which length.

    Attributes:
        n_far: samples of the kind far. n_controls: of each other kind, with the questions of far ones.
        n_long: samples of the kind far with a context of long_tokens, with other questions.
        n_short: short instructions without a context, of all topics.
        min_distance: least number of tokens between the answer and the question of a far sample.
    """

    n_far: int = 28
    n_controls: int = 18
    n_long: int = 7
    n_short: int = 120
    context_tokens: int = 2048
    long_tokens: int = 7168
    min_distance: int = 1024
    seed: int = 0


@dataclass(frozen=True)
class Draft:
    """A sample before it is written: its passages in order, and which of them hold the answer."""

    kind: str
    question: Passage
    passages: list[Passage]
    holds: list[int]

    @property
    def context(self) -> str:
        return "".join(p.text + JOINT for p in self.passages)

    def answers(self) -> list[int]:
        """Where the answer starts in the context, in characters, once for each passage that holds it."""
        starts = [sum(len(p.text) + len(JOINT) for p in self.passages[:i]) for i in self.holds]
        return [start + self.question.start for start in starts]


@dataclass(frozen=True)
class Pool:
    """The passages of a topic, and their lengths in tokens."""

    passages: list[Passage]
    n_tokens: dict[str, int]  # by text

    @classmethod
    def of(cls, passages: Sequence[Passage], tokenizer: Tokenizer) -> "Pool":
        texts = [p.text + JOINT for p in passages]
        lengths = [len(e.ids) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
        return cls(list(passages), {p.text: n for p, n in zip(passages, lengths, strict=True)})

    def others(self, question: Passage, seed: int, use: str) -> Iterator[Passage]:
        """Passages that neither hold the answer nor fit the question: those of the same collection first."""
        fitting = [p for p in self.passages if p.question != question.question and question.answer not in p.text]
        order = [key(seed, use, question.question, p.question, p.collection) for p in fitting]
        ranked = sorted(
            zip([p.collection != question.collection for p in fitting], order, range(len(fitting)), strict=True)
        )
        return (fitting[i] for *_, i in ranked)


def demonstrate(
    corpus: Path, out: Path, tokenizer: Path, amounts: Amounts, report: Callable[[str], None]
) -> dict[str, int]:
    """Build the samples into `out`. Returns the number of samples by file.

    Raises:
        CorpusError: the corpus or the tokenizer is missing, or the corpus has too few passages.
    """
    reader = tokenizer_of(tokenizer)
    pools = {topic: Pool.of(passages_of(corpus, topic), reader) for topic in TOPICS}
    files: dict[str, list[dict[str, Any]]] = {}
    used: set[str] = set()
    for topic in pools:
        drafts = drafts_of(topic, pools, amounts)
        used |= {draft.question.question for draft in drafts}
        files[topic] = [sample(topic, draft, reader) for draft in drafts]
    files["short"] = short([p for pool in (pools["faq"], pools["facts"]) for p in pool.passages], used, amounts, reader)
    for name, samples in files.items():
        write_lines(out / f"{name}.jsonl.zst", samples)
        report(f"{out / name}.jsonl.zst: {len(samples)} samples")
    truths = [truth for samples in files.values() for truth in map(truth_of, samples)]
    write_lines(out / "truth.jsonl.zst", truths)
    return {name: len(samples) for name, samples in files.items()}


def tokenizer_of(path: Path) -> Tokenizer:
    if not path.is_file():
        raise CorpusError(f"{path}: no such tokenizer; give the path of a tokenizer.json as --tokenizer")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more specific
        raise CorpusError(f"{path}: not a tokenizer.json ({error})") from error


def passages_of(corpus: Path, topic: str) -> list[Passage]:
    """The passages of a topic, each question and collection once."""
    domain, read = TOPICS[topic]
    path = corpus / f"{domain}.jsonl.zst"
    try:
        with open(path, "rb") as stream, zstandard.ZstdDecompressor().stream_reader(stream) as raw:
            documents = map(json.loads, io.TextIOWrapper(raw, encoding="utf-8"))
            passages = {(p.question, p.collection): p for document in documents for p in read(document)}
    except FileNotFoundError as error:
        raise CorpusError(f"{path}: no such file; `longmix corpus {corpus}` gathers it") from error
    except (OSError, ValueError, KeyError, zstandard.ZstdError) as error:
        raise CorpusError(
            f"{path}: not a file of the gathered corpus ({error!r}); `longmix corpus` mends it"
        ) from error
    return list(passages.values())


def drafts_of(topic: str, pools: Mapping[str, Pool], amounts: Amounts) -> list[Draft]:
    """
    Raises:
        CorpusError: there are too few questions.
    """
    pool, n = pools[topic], amounts.n_far + amounts.n_long
    order = sorted(pool.passages, key=lambda p: key(amounts.seed, "question", topic, p.question, p.collection))
    asked = list({p.question: p for p in reversed(order)}.values())[::-1]  # a question of two collections counts once
    if len(asked) < n:
        raise CorpusError(f"{topic}: {len(asked)} questions in the corpus, {n} are needed; ask for fewer samples")
    drafts = [draft(FAR, p, pools, topic, amounts) for p in asked[: amounts.n_far]]
    for i, kind in enumerate(CONTROLS):  # each kind begins at another question, so that all questions have controls
        shift = i * amounts.n_far // len(CONTROLS)
        turned = asked[shift : amounts.n_far] + asked[:shift]
        drafts += [draft(kind, p, pools, topic, amounts) for p in turned[: amounts.n_controls]]
    return drafts + [draft(FAR, p, pools, topic, amounts, amounts.long_tokens) for p in asked[amounts.n_far : n]]


def draft(
    kind: str, question: Passage, pools: Mapping[str, Pool], topic: str, amounts: Amounts, n_tokens: int | None = None
) -> Draft:
    """The passages of a sample. Samples of one question have the same ones in the same order where their kinds allow.

    Raises:
        CorpusError: the topic's passages do not fill the context.
    """
    n_tokens = n_tokens or amounts.context_tokens
    other = topic if kind != "unrelated" else [*TOPICS, *TOPICS][list(TOPICS).index(topic) + 1]
    pool = pools[other]
    gold_tokens = pools[topic].n_tokens[question.text]
    passages, total = [], 0 if kind == "unrelated" else gold_tokens
    for p in pool.others(question, amounts.seed, "context"):
        if total + pool.n_tokens[p.text] <= n_tokens:
            passages.append(p)
            total += pool.n_tokens[p.text]
        if total > n_tokens - 64:  # less than most passages have
            break
    if total + max(pool.n_tokens.values()) <= n_tokens:
        raise CorpusError(
            f"{other}: the passages of the corpus do not fill a context of {n_tokens} tokens; ask for fewer"
        )
    if kind == "unrelated":
        return Draft(kind, question, passages, [])
    at = place(question, [pool.n_tokens[p.text] for p in passages], amounts)
    if kind == "absent":
        spare = next(p for p in pool.others(question, amounts.seed, "context") if p not in passages)
        return Draft(kind, question, [*passages[:at], spare, *passages[at:]], [])
    before, after = [*passages[:at], question], passages[at:]
    if kind == FAR:
        return Draft(kind, question, before + after, [at])
    while after and total + gold_tokens > n_tokens:
        total -= pool.n_tokens[after.pop().text]
    return Draft(kind, question, [*before, *after, question], [at, len(before) + len(after)])


def place(question: Passage, lengths: list[int], amounts: Amounts) -> int:
    """Before which passage the one with the answer goes: any place that keeps min_distance, by the question's key."""
    places = [i for i in range(len(lengths)) if sum(lengths[i:]) >= amounts.min_distance]
    if not places:
        raise CorpusError(f"min_distance: {amounts.min_distance} tokens do not fit behind an answer; ask for fewer")
    return places[int.from_bytes(key(amounts.seed, "place", question.question)) % len(places)]


def sample(topic: str, draft: Draft, tokenizer: Tokenizer) -> dict[str, Any]:
    """The record of a sample. Its id does not show its kind; ingest ignores what follows `license`."""
    context, answers, question = draft.context, draft.answers(), draft.question
    content = context + question.question
    name = key(topic, draft.kind, content).hex()[:12]
    start = answers[-1] if answers else None
    stop = None if start is None else start + len(question.answer)
    record = messages(f"{topic}-{name}", content, question.answer, tokenizer)
    licenses = sorted({p.license for p in [question, *draft.passages]})
    return record | {
        "source": question.source,
        "license": " AND ".join(f"({name})" if " OR " in name else name for name in licenses),
        "kind": draft.kind,
        "group": key(topic, question.question).hex()[:12],
        "topic": topic,
        "context_chars": len(context),
        "answer_start": start,
        "answer_stop": stop,
        "answer_starts": answers,
        "distance": None if stop is None else n_tokens(tokenizer, context[stop:]),
    }


def messages(name: str, content: str, answer: str, tokenizer: Tokenizer) -> dict[str, Any]:
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    return {"id": name, "messages": turns, "length": sum(n_tokens(tokenizer, turn["content"]) for turn in turns)}


def n_tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def short(passages: list[Passage], used: set[str], amounts: Amounts, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Questions of facts and FAQs that no other sample has, with their answers alone."""
    order = sorted(passages, key=lambda p: key(amounts.seed, "short", p.question, p.collection))
    unused = {p.question: p for p in order if p.question not in used}
    return [
        messages(f"short-{key(p.question).hex()[:12]}", p.question, p.answer, tokenizer)
        | {"source": p.source, "license": p.license}
        for p in list(unused.values())[: amounts.n_short]
    ]


def truth_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The line of truth.jsonl.zst. `content`: a hash of the texts, by which a sample is found in DOCUMENTS."""
    kept = (
        "kind",
        "group",
        "topic",
        "length",
        "context_chars",
        "answer_start",
        "answer_stop",
        "answer_starts",
        "distance",
    )
    return {
        "id": record["id"],
        "content": content_key([turn["content"] for turn in record["messages"]]),
        **{name: record.get(name) for name in kept},
    }


def content_key(contents: Sequence[str]) -> str:
    """A hash of the contents of a sample's messages."""
    return key(*contents).hex()


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Records as JSONL, compressed, sorted by id. A file that has these bytes is left as it is."""
    lines = [json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in sorted(records, key=lambda r: r["id"])]
    data = zstandard.ZstdCompressor(level=LEVEL).compress(("\n".join(lines) + "\n").encode())
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)
