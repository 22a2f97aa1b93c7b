"""Does GATEAU find the samples whose answer is far away? On the demonstration set, where the answer's place is known.

    python benchmarks/influence/known.py data/sft data/samples/truth.jsonl.zst > benchmarks/results/influence_known.md

Reads the tables of a built version and runs no model. Two measurements:

    importance  the share of samples in which the segment that holds the answer has the highest importance of CAM,
                softmax(-segment_nll). A segment holds the answer if no other segment has more of its tokens.
    precision   the share of samples of the kind far in the chosen third, for each way to rank samples.

Intervals are 95 % percentile intervals of a bootstrap over questions: the samples of one question stay together. Scores are
normalised once, over all samples; each resample chooses its own third.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import zstandard
from tokenizers import Tokenizer

from flows.opened import opened
from pipelines.choose.ranking import Mixing, rank_samples
from pipelines.gather.demonstration import content_key
from pipelines.shares import share_of
from schemas.lengths import bucket_of
from scorers.passes import passes_of
from scorers.sample import Sample

KINDS = ("far", "near", "absent", "unrelated")
LONG_TOKENS = 4096  # of a context: longer ones are the 8K samples
RESAMPLES = 2_000
DRAWS = 500  # of a random choice

ROWS = """
SELECT d.document_id, d.text, s.n_tokens, s.input_ids, s.context_start, s.context_stop, s.response_start, s.response_stop,
    h.nll_short, h.nll_long, h.ifd, c.alignment, c.segment_nll,
    list_position(c.segment_nll, list_min(c.segment_nll)) - 1 AS most_important
FROM tables.documents d
JOIN tables.samples s ON s.shard = d.shard AND s.row = d.row
JOIN tables.scores_hmg h ON h.shard = d.shard AND h.row = d.row
LEFT JOIN tables.scores_cam c ON c.shard = d.shard AND c.row = d.row
WHERE s.status = 'encoded' ORDER BY d.document_id
"""


@dataclass(frozen=True, eq=False)
class Known:
    """Samples of known kinds that have all scores, in the order of their ids.

    Attributes:
        values: [n] float64 each: nll_short, nll_long, ifd, alignment.
        kind, group: [n] strings. n_tokens: [n] of the sample. is_long: [n] bool, of 8K.
        hits: [n] of far samples, whether the most important segment holds the answer; NaN for other kinds.
        unread: samples of the truth file that lack a score, by kind.
        costs: model tokens of all samples, for HMG alone, CAM alone and both.
    """

    ids: list[str]
    kind: np.ndarray
    group: np.ndarray
    n_tokens: np.ndarray
    is_long: np.ndarray
    values: dict[str, np.ndarray]
    hits: np.ndarray
    unread: dict[str, int]
    costs: dict[str, int]

    def only(self, rows: np.ndarray) -> "Known":
        """The samples where rows [n] is true."""
        values = {name: column[rows] for name, column in self.values.items()}
        ids = [name for name, is_in in zip(self.ids, rows.tolist(), strict=True) if is_in]
        columns = (a[rows] for a in (self.kind, self.group, self.n_tokens, self.is_long))
        return Known(ids, *columns, values, self.hits[rows], self.unread, self.costs)


# -- reading


def read(
    con: duckdb.DuckDBPyConnection, tokenizer: Tokenizer, truth: Mapping[str, Mapping[str, Any]], params: Any
) -> Known:
    """The samples of a version that the truth file lists.

    Args:
        truth: content -> line of the truth file.
        params: segment_tokens, sink_tokens, max_response_tokens and short of the recipe's [influence].
    """
    answer = con.execute(ROWS)
    names = [column[0] for column in answer.description]
    kept: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    unread = dict.fromkeys(KINDS, 0)
    while rows := answer.fetchmany(64):
        for values in rows:
            row = dict(zip(names, values, strict=True))
            line = truth.get(content_key([message["content"] for message in json.loads(row["text"])["messages"]]))
            if line is None or line["kind"] is None:
                continue
            if row["nll_long"] is None or row["alignment"] is None:
                unread[line["kind"]] += 1
            else:
                kept.append((row, line))
    columns = ("nll_short", "nll_long", "ifd", "alignment")
    context = np.array([row["context_stop"] - row["context_start"] for row, _ in kept])
    return Known(
        ids=[row["document_id"] for row, _ in kept],
        kind=np.array([line["kind"] for _, line in kept]),
        group=np.array([line["group"] for _, line in kept]),
        n_tokens=np.array([row["n_tokens"] for row, _ in kept]),
        is_long=context > LONG_TOKENS,
        values={name: np.array([row[name] for row, _ in kept], np.float64) for name in columns},
        hits=np.array([hit(row, line, tokenizer, params.segment_tokens) for row, line in kept], np.float64),
        unread={kind: n for kind, n in unread.items() if n},
        costs={part: sum(model_tokens(row, part, params) for row, _ in kept) for part in ("hmg", "cam", "both")},
    )


def hit(row: Mapping[str, Any], line: Mapping[str, Any], tokenizer: Tokenizer, segment_tokens: int) -> float:
    """1 if the most important segment holds the answer, else 0; NaN for a sample that is not far.

    Raises:
        ValueError: the tokenizer gives other tokens for the context than the tables have.
    """
    if line["kind"] != "far":
        return np.nan
    (start,) = line["answer_starts"]
    user = next(m for m in json.loads(row["text"])["messages"] if m["role"] == "user")["content"]
    stop = start + line["answer_stop"] - line["answer_start"]
    encoded = tokenizer.encode(user[: line["context_chars"]], add_special_tokens=False)
    if encoded.ids != row["input_ids"][row["context_start"] : row["context_stop"]]:
        raise ValueError(
            f"{line['id']}: the context has other tokens in the tables; use the version's own tokenizer.json"
        )
    spans = np.array(encoded.offsets).reshape(-1, 2)
    places = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < stop))
    return float(row["most_important"] in holders(places, segment_tokens))


def holders(places: np.ndarray, segment_tokens: int) -> list[int]:
    """The segments with the most of some tokens; several if they have equally many."""
    segments, n = np.unique(places // segment_tokens, return_counts=True)
    return segments[n == n.max()].tolist()


def model_tokens(row: Mapping[str, Any], part: str, params: Any) -> int:
    """What the model forwards for a sample if it measures this part alone, or both."""
    ids = np.array(row["input_ids"][: row["response_stop"]], np.int32)
    sample = Sample(ids, row["context_start"], row["context_stop"], row["response_start"])
    parts = ("hmg", "cam") if part == "both" else (part,)
    passes = passes_of(sample, SimpleNamespace(**{**vars(params), "parts": parts}), 1 << 30)  # type: ignore[arg-type]
    return getattr(passes, "model_tokens", 0)


# -- ranking


def rankings(known: Known) -> dict[str, np.ndarray]:
    """[n] scores, the highest chosen first, by the name of the way to rank."""
    values = known.values
    scores: dict[str, np.ndarray] = {}
    for normalise in ("robust", "official"):
        mixings = {f"HMG, {normalise}": Mixing(1.0, normalise, "alignment")}
        for direction in ("alignment", "difficulty"):
            mixings[f"CAM, {normalise}, {direction}"] = Mixing(0.0, normalise, direction)
            mixings[f"both, {normalise}, {direction}"] = Mixing(0.8, normalise, direction)
        for name, mixing in mixings.items():
            ranked = rank_samples(known.ids, values["nll_short"], values["nll_long"], values["alignment"], mixing)
            scores[name] = ranked["score"].to_numpy()
    scores["perplexity, high first"] = values["nll_long"]
    scores["perplexity, low first"] = -values["nll_long"]
    scores["IFD, high first"] = values["ifd"]
    scores["IFD, low first"] = -values["ifd"]
    return scores


def top(scores: np.ndarray, share: float) -> np.ndarray:
    """The rows of the top share; of equal scores the first rows."""
    return np.argsort(-scores, kind="stable")[: share_of(len(scores), share)]


def random_choices(known: Known, share: float, like: np.ndarray | None, rng: np.random.Generator) -> list[np.ndarray]:
    """DRAWS choices by chance; with `like`, rows, as many of each length bucket as it has."""
    n = share_of(len(known.ids), share)
    if like is None:
        return [rng.permutation(len(known.ids))[:n] for _ in range(DRAWS)]
    buckets = bucket_of(known.n_tokens)
    wanted = np.bincount(buckets[like], minlength=buckets.max() + 1)
    rows = [np.flatnonzero(buckets == b) for b in range(len(wanted))]
    return [np.concatenate([rng.permutation(r)[:k] for r, k in zip(rows, wanted, strict=True)]) for _ in range(DRAWS)]


# -- intervals


def resamples(group: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """RESAMPLES arrays of rows: questions drawn with replacement, each with all its samples."""
    order = np.argsort(group, kind="stable")
    _, starts = np.unique(group[order], return_index=True)
    members = np.split(order, starts[1:])
    return [np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))]) for _ in range(RESAMPLES)]


def interval(statistic: Callable[[np.ndarray], float], rows: Sequence[np.ndarray]) -> str:
    """Such as "0.91 to 0.97"."""
    low, high = np.nanquantile([statistic(r) for r in rows], [0.025, 0.975])
    return f"{low:.2f} to {high:.2f}"


# -- Markdown


def importance(known: Known, rng: np.random.Generator) -> list[str]:
    lines = [
        "| contexts | far samples | most important segment holds the answer | 95 % |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, rows in (("2K", ~known.is_long), ("8K", known.is_long), ("all", np.ones(len(known.ids), bool))):
        mine = known.only(rows & (known.kind == "far"))
        if mine.ids:
            drawn = resamples(mine.group, rng)
            text = interval(lambda r, hits=mine.hits: float(hits[r].mean()), drawn)
            lines.append(f"| {name} | {len(mine.ids)} | {mine.hits.mean():.3f} | {text} |")
    return lines


def precision(known: Known, share: float, rng: np.random.Generator) -> list[str]:
    """A row for each way to rank: the share of far samples in the choice, and how many of each kind it has."""
    head = f"| ranked by | precision | 95 % | {' | '.join(KINDS)} |"
    lines = [head, "| --- | ---: | ---: |" + " ---: |" * len(KINDS)]
    drawn, is_far = resamples(known.group, rng), known.kind == "far"
    scores = rankings(known)
    for name, score in scores.items():
        chosen = top(score, share)

        def of(rows: np.ndarray, score: np.ndarray = score) -> float:
            return float(is_far[rows[top(score[rows], share)]].mean())

        kinds = " | ".join(str(int((known.kind[chosen] == kind).sum())) for kind in KINDS)
        lines.append(f"| {name} | {is_far[chosen].mean():.3f} | {interval(of, drawn)} | {kinds} |")
    like = top(scores["both, robust, difficulty"], share)
    for name, match in (("random", None), ("random, lengths as both, robust, difficulty", like)):
        choices = random_choices(known, share, match, rng)
        each = [is_far[rows].mean() for rows in choices]
        low, high = np.quantile(each, [0.025, 0.975])
        kinds = " | ".join(f"{np.mean([(known.kind[r] == kind).sum() for r in choices]):.1f}" for kind in KINDS)
        lines.append(f"| {name} | {np.mean(each):.3f} | {low:.2f} to {high:.2f} | {kinds} |")
    return lines


def report(known: Known, share: float, version: str) -> str:
    rng = np.random.default_rng(0)
    short = known.only(~known.is_long)
    counts = ", ".join(f"{int((known.kind == kind).sum())} {kind}" for kind in KINDS)
    unread = ", ".join(f"{n} {kind}" for kind, n in known.unread.items()) or "none"
    best = min(1.0, (short.kind == "far").sum() / max(1, share_of(len(short.ids), share)))
    costs = ", ".join(f"{part} {n:,}" for part, n in known.costs.items())
    note = "For random choices, the interval is over draws."
    return "\n".join(
        [
            "# Known dependency", "",
            f"{version}. {len(known.ids)} samples with all scores: {counts}. Without a score: {unread}.", "",
            "## Importance", "", *importance(known, rng), "",
            f"## Precision of the chosen {share:.0%}, contexts of 2K", "",
            f"{len(short.ids)} samples, {(short.kind == 'far').mean():.1%} of them far; at most {best:.3f} can be reached. {note}",
            "", *precision(short, share, rng), "",
            f"## Precision of the chosen {share:.0%}, contexts of 2K and 8K", "", *precision(known, share, rng), "",
            "## Cost", "", f"Model tokens of all samples, measured alone and together: {costs}.",
        ]
    )  # fmt: skip


def truth_of(path: Path) -> dict[str, dict[str, Any]]:
    """content -> line of the truth file."""
    with open(path, "rb") as stream:
        lines = zstandard.ZstdDecompressor().stream_reader(stream).read().splitlines()
    return {line["content"]: line for line in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="the --root of the build, or the folder of a version")
    parser.add_argument("truth", type=Path, help="truth.jsonl.zst of the demonstration set")
    parser.add_argument("--mix", default=None)
    parser.add_argument("--share", type=float, default=0.3333, help="of the samples that is chosen")
    arguments = parser.parse_args()
    with opened(arguments.root, arguments.mix, "latest") as (con, manifest, folder):
        settings = manifest.recipe["influence"]
        params = SimpleNamespace(**{**settings, "short": SimpleNamespace(**settings["short"])})  # type: ignore[dict-item]
        known = read(con, Tokenizer.from_file(str(folder / "tokenizer.json")), truth_of(arguments.truth), params)
        print(report(known, arguments.share, f"{manifest.mix} {manifest.version}"))


if __name__ == "__main__":
    main()
