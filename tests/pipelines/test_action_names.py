"""An action is named by everything that its result depends on: two inputs that differ in one such part have different names.

A table of stages, each with inputs and with changes of one input. Nothing is made: an engine stops at the first name.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from pipelines import dedup, embed, ingest, order, pack, plan, screen
from pipelines.choose import messages
from pipelines.choose import run as choose
from pipelines.choose.params import ChooseParams
from pipelines.dedup import DedupParams
from pipelines.documents import Chunking
from pipelines.encode import EncodeParams
from pipelines.influence import action_of
from pipelines.influence.kept import Kept
from pipelines.influence.reading import Reading
from pipelines.ingest.readers.record import Fault, Record
from pipelines.order import dealing
from pipelines.order.params import OrderParams
from pipelines.pack import PackParams
from pipelines.plan import PlanParams
from pipelines.score import first_budget, measure
from pipelines.screen import ScreenParams
from pipelines.stage import Read
from pipelines.store import Shard
from pipelines.store.files import HashedFile
from schemas.tables import TABLES
from scorers.embedding import EncoderParams
from scorers.weights import Weights
from tests import micro

TOKENIZER = HashedFile.of(micro.ROOT / "examples" / "tokenizer" / "tokenizer.json")
ENCODING = EncodeParams(tokenizer=TOKENIZER, eos_token="<|endoftext|>")
DRAWN = pa.table({"document_id": pa.array(["d"]), "why": pa.array(["top"])})


class Named(Exception):  # noqa: N818 it carries an answer
    """Raised where an engine is asked for an action."""


class Engine:
    """Stops at the first action that a stage looks up, with its name."""

    looks_only = False
    store = SimpleNamespace(read=lambda *_: DRAWN, root=micro.ROOT, find=lambda _, name: stop(name))

    def __init__(self):
        self.names: list[str] = []

    def once(self, _stage, name, _make, _n_documents=0):
        stop(name)

    def find(self, _stage, name):
        self.names.append(name)
        return []

    def each(self, _stage, actions, _spread, **_):
        stop(" ".join(action.name for action in actions))

    def shards(self, stage, params, reads):
        return [shard(stage.table, action.name) for action in stage.actions(params, reads)]

    @contextmanager
    def scratch(self, _name):
        yield None


def stop(name):
    raise Named(name)


def shard(table: str, content: str = "content", n_rows: int = 3, **columns: str) -> Shard:
    """A shard that no file has: its columns have the hashes that are given, else their names."""
    return Shard(table, content, n_rows, {name: name for name in TABLES[table].names} | columns)


def other(table: str) -> Shard:
    """A shard of other rows: every column differs."""
    return shard(table, "other content", **{name: f"other {name}" for name in TABLES[table].names})


def stage(run, *inputs, **changes):
    """run(*values of inputs, engine), its inputs by name, and changes: name -> a list of other values."""
    return run, dict(inputs), changes


class Vectors(SimpleNamespace):
    def key(self):
        return self.name


def chunk(records, key, kind, engine):
    group = ingest.Group("group", SimpleNamespace(key=lambda: key), kind, ())
    return ingest.ingest_chunk(records, group, None, engine.store)


def file_group(key, kind, name, content_hash, fault, sizes, _):
    file = SimpleNamespace(name=name, hash=content_hash, fault=fault, n_bytes=7, mtime_ns=1)
    stop(ingest.group_of(SimpleNamespace(key=lambda: key), kind, (file,), sizes).name)


def packed(draws, path, encoding, params, engine):
    return pack.run([shard("TOKENS")], draws, path, encoding, params, engine)


def packed_sft(samples, draws, encoding, params, engine):
    return pack.run_sft([samples], draws, encoding, params, engine)


def budgeted(columns, params, marks, engine):
    return first_budget([(Read(columns, ("document_id", "n_tokens")),)], params, Chunking(8, marks), engine)


def score_params(**changes):
    return SimpleNamespace(**{"min_tokens": 9, "chunk_tokens": 8, "budget_tokens": 99} | changes)


def chosen(documents, samples, hmg, signatures, *rest):
    params, max_tokens, engine = rest
    tables = {"DOCUMENTS": [documents], "SAMPLES": [samples], "SCORES_HMG": [hmg], "SCORES_CAM": [shard("SCORES_CAM")]}
    return choose({**tables, "SIGNATURES": [signatures]}, params, max_tokens, engine)


def written_messages(documents, draws, of_chosen, engine):
    return messages.run([documents], {"RANKS": [shard("RANKS")], "CHOSEN": [of_chosen], "DRAWS": [draws]}, engine)


def influence(samples, folder, reasons, _):
    kept = Kept(micro.ROOT / folder)
    stop(action_of(samples, Reading(np.array(reasons, object), np.zeros(3, np.int64)), kept).name)


def ordered(documents, draws, params, sources, *rest):
    base, library, engine = rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "library", lambda: library)
        tables = {"DOCUMENTS": [documents], "TOKENS": [shard("TOKENS")], "DRAWS": [draws]}
        return order.run(tables, params, sources, {"CENTROIDS": base}, engine)


def chunks(draws, path, centroids, chunk_tokens, params, *rest):
    encoding, made_by, library, engine = rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order.chunks, "library", lambda: library)
        patch.setattr(order.chunk_vectors, "fingerprint", lambda _: made_by)
        tables = {"TOKENS": [shard("TOKENS")], "DRAWS": [draws], "ORDER": [path], "CENTROIDS": [centroids]}
        return order.run_chunks(
            tables, order.ChunkParams(chunk_tokens=chunk_tokens, order=params, encoding=encoding), engine
        )


def middle(draws, vectors, params, engine):
    return dealing.centroids_of(vectors, draws, params, [], engine)


def embedded(documents, draws, made_by, engine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed, "fingerprint", lambda _: made_by)
        return embed.run([documents], [draws], None, engine)


def measured(fingerprint, chunk_tokens, tokenizer, use, engine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure.lm, "fingerprint", lambda _: fingerprint)
        stop(measure.folder_of(engine.store, None, chunk_tokens, tokenizer, use).folder)


def deduplicated(documents, params, sources, base, engine):
    return dedup.run([documents], params, sources, {"DUPLICATES": base}, engine)


def background(documents, tokens, params, before, engine):
    return screen.background_of([documents], [tokens], params, before, engine)


def planned(documents, tokens, params, engine):
    return plan.run([documents], [tokens], {}, params, engine)


def grouped_by_first_copy(draws, engine):
    return dealing.draws_by_first_copy([], [draws], engine)


def grouped(draws, of_middle, vectors, library, engine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "library", lambda: library)
        return dealing.draws_by_group(vectors, [draws], of_middle, engine)


RECORD = Record("a.jsonl", 0, b"{}")
PLAN = PlanParams(budget_tokens=9, max_epochs=2)
WITH_PATH = OrderParams(by="path")
WITH_ENCODER = OrderParams(by="greedy_edge", encoder=EncoderParams(weights=Weights(path="none", hash="0")))
VECTORS = Vectors(name="vectors", members=[])
OTHER_VECTORS = Vectors(name="other vectors", members=[])

STAGES = {
    "ingest": stage(
        chunk, ("records", [RECORD]), ("source", "source"), ("kind", "jsonl"),
        records=[[Record("b.jsonl", 0, b"{}")], [Record("a.jsonl", 0, b"[]")], [RECORD, RECORD],
                 [Record("a.jsonl", 0, b"{}", Fault("not_json", "", None, "0"))],
                 [Record("a.jsonl", 0, b"{}", Fault("too_long", "", None, "0"))]],
        source=["other"], kind=["text"],
    ),
    "ingest_group": stage(
        file_group, ("source", "source"), ("kind", "jsonl"), ("name", "a"), ("hash", "0"), ("fault", None),
        ("sizes", ingest.Sizes()),
        source=["other"], kind=["text"], name=["b"], hash=["1"], fault=[("unreadable_file", "EACCES")],
        sizes=[ingest.Sizes(smallest_bytes=1), ingest.Sizes(largest_bytes=1 << 40)],
    ),
    "dedup": stage(
        deduplicated, ("documents", shard("DOCUMENTS")), ("params", DedupParams()), ("sources", ("a", "b")), ("base", []),
        documents=[other("DOCUMENTS"), shard("DOCUMENTS", n_rows=4), shard("DOCUMENTS", content_hash="x")],
        params=[DedupParams(threshold=0.9), DedupParams(seed=5)],
        sources=[("b", "a")], base=[[shard("DUPLICATES")], [shard("DUPLICATES", verdict="other")]],
    ),
    "background": stage(
        background, ("documents", shard("DOCUMENTS")), ("tokens", shard("TOKENS")), ("params", ScreenParams()), ("before", []),
        documents=[shard("DOCUMENTS", **{name: "x"}) for name in ("content_hash", "domain", "n_bytes")],
        tokens=[shard("TOKENS", status="x")], params=[ScreenParams(background_seed=1)],
        before=[[shard("BACKGROUND")], [shard("BACKGROUND", "other")]],
    ),
    "first_budget": stage(
        budgeted, ("columns", shard("TOKENS")), ("params", score_params()), ("marks", 1),
        columns=[shard("TOKENS", n_tokens="x"), shard("TOKENS", n_rows=4)],
        params=[score_params(min_tokens=8), score_params(chunk_tokens=9), score_params(budget_tokens=98)], marks=[2],
    ),
    "measured pairs": stage(
        measured, ("fingerprint", "f"), ("chunk_tokens", 8), ("tokenizer", "t"), ("use", "chunk_gain"),
        fingerprint=["g"], chunk_tokens=[9], tokenizer=["u"], use=["prolong"],
    ),
    "plan": stage(
        planned, ("documents", shard("DOCUMENTS")), ("tokens", shard("TOKENS")), ("params", PLAN),
        documents=[shard("DOCUMENTS", **{name: "x"}) for name in ("content_hash", "domain")],
        tokens=[shard("TOKENS", n_tokens="x"), shard("TOKENS", document_id="x"), shard("TOKENS", n_rows=4)],
        params=[PLAN.model_copy(update={"budget_tokens": 8}), PLAN.model_copy(update={"seed": 1})],
    ),
    "embed": stage(
        embedded, ("documents", shard("DOCUMENTS")), ("draws", shard("DRAWS")), ("made_by", ("e",)),
        documents=[shard("DOCUMENTS", document_id="x"), shard("DOCUMENTS", content_hash="x"), shard("DOCUMENTS", n_rows=4)],
        draws=[shard("DRAWS", document_id="x")], made_by=[("f",)],
    ),
    "order": stage(
        ordered, ("documents", shard("DOCUMENTS")), ("draws", shard("DRAWS")), ("params", WITH_PATH), ("sources", ("a", "b")),
        ("base", []), ("library", "1"),
        documents=[shard("DOCUMENTS", file="x"), shard("DOCUMENTS", n_bytes="x")], draws=[shard("DRAWS", epoch="x")],
        params=[WITH_PATH.model_copy(update=each) for each in ({"seed": 1}, {"by": "bm25_buffer"}, {"near_similarity": 0.5}, {"partition_documents": 7}, {"neighbours": 3})],
        sources=[("b", "a")], base=[[shard("CENTROIDS")], [shard("CENTROIDS", "other")]], library=["2"],
    ),
    "centroids": stage(
        middle, ("draws", [shard("DRAWS")]), ("vectors", VECTORS), ("params", WITH_PATH),
        draws=[[shard("DRAWS", document_id="x")], [shard("DRAWS"), shard("DRAWS")]], vectors=[OTHER_VECTORS],
        params=[WITH_PATH.model_copy(update=each) for each in ({"seed": 1}, {"partition_documents": 7})],
    ),
    "deal by centroids": stage(
        grouped, ("draws", shard("DRAWS")), ("middle", shard("CENTROIDS")), ("vectors", VECTORS), ("library", "1"),
        draws=[shard("DRAWS", epoch="x")], middle=[shard("CENTROIDS", group_number="x"), shard("CENTROIDS", vector="x")],
        vectors=[OTHER_VECTORS], library=["2"],
    ),
    "deal by first copies": stage(
        grouped_by_first_copy, ("draws", shard("DRAWS")), draws=[shard("DRAWS", epoch="x"), shard("DRAWS", n_rows=4)]
    ),
    "chunks": stage(
        chunks, ("draws", shard("DRAWS")), ("path", shard("ORDER")), ("centroids", shard("CENTROIDS")), ("chunk_tokens", 64),
        ("params", WITH_ENCODER), ("encoding", ENCODING), ("made_by", ["f"]), ("library", "1"),
        draws=[shard("DRAWS", **{name: "x"}) for name in ("content_hash", "epoch", "document_start", "document_stop")]
            + [shard("DRAWS", n_rows=4)],
        path=[shard("ORDER", document_id="x"), shard("ORDER", place="x")], centroids=[shard("CENTROIDS", vector="x")],
        chunk_tokens=[65], made_by=[["g"]], library=["2"],
        params=[WITH_ENCODER.model_copy(update=each) for each in ({"neighbours": 7}, {"near_similarity": 0.5})],
        encoding=[ENCODING.model_copy(update={"bos_token": "<s>"}),
                  ENCODING.model_copy(update={"tokenizer": TOKENIZER.model_copy(update={"hash": "0"})})],
    ),
    "pack": stage(
        packed, ("draws", [shard("DRAWS")]), ("path", []), ("encoding", ENCODING), ("params", PackParams()),
        draws=[[shard("DRAWS", **{name: "x"})] for name in TABLES["DRAWS"].names] + [[shard("DRAWS", n_rows=4)]],
        path=[[shard("ORDER")], [shard("ORDER", place="x")], [shard("ORDER", similarity_to_previous="x")],
              [shard("ORDER"), shard("CHUNKS")], [shard("ORDER"), shard("CHUNKS", neighbours="x")]],
        encoding=[ENCODING.model_copy(update={"bos_token": "<s>"}),
                  ENCODING.model_copy(update={"tokenizer": TOKENIZER.model_copy(update={"hash": "0"})})],
        params=[PackParams(seed=1), PackParams(packer="concat"), PackParams(sequence_tokens=64), PackParams(max_segments=2),
                PackParams(pad_documents_to=4),
                *(PackParams(packer="negative_extension", **each)
                  for each in ({}, {"negative_chunk_tokens": 64}, {"negative_neighbours": 3}))],
    ),
    "pack_sft": stage(
        packed_sft, ("samples", shard("SAMPLES")), ("draws", [shard("DRAWS")]), ("encoding", ENCODING), ("params", PackParams()),
        samples=[shard("SAMPLES", **{name: "x"}) for name in ("document_id", "input_ids", "responses")],
        draws=[[shard("DRAWS", **{name: "x"})] for name in TABLES["DRAWS"].names],
        params=[PackParams(seed=1), PackParams(sequence_tokens=64)],
    ),
    "choose": stage(
        chosen, ("documents", shard("DOCUMENTS")), ("samples", shard("SAMPLES")), ("hmg", shard("SCORES_HMG")),
        ("signatures", shard("SIGNATURES")), ("params", ChooseParams()), ("max_tokens", 64),
        documents=[shard("DOCUMENTS", **{name: "x"}) for name in ("document_id", "content_hash", "source", "domain")],
        samples=[shard("SAMPLES", **{name: "x"}) for name in ("status", "n_tokens", "context_start", "response_stop")],
        hmg=[shard("SCORES_HMG", **{name: "x"}) for name in ("reason", "nll_short", "nll_long", "ifd")],
        signatures=[shard("SIGNATURES", signature="x"), shard("SIGNATURES", n_shingles="x"), shard("SIGNATURES", n_rows=4)],
        params=[ChooseParams(top=0.5), ChooseParams(seed=1), ChooseParams(max_similarity=0.5), ChooseParams(quotas=())],
        max_tokens=[65],
    ),
    "messages": stage(
        written_messages, ("documents", shard("DOCUMENTS")), ("draws", shard("DRAWS")), ("chosen", shard("CHOSEN")),
        documents=[shard("DOCUMENTS", document_id="x"), shard("DOCUMENTS", license="x")],
        draws=[shard("DRAWS", **{name: "x"}) for name in ("document_id", "content_hash", "domain", "why")] + [shard("DRAWS", n_rows=4)],
        chosen=[shard("CHOSEN", **{name: "x"}) for name in ("document_id", "why", "rank", "score")],
    ),
    "influence": stage(
        influence, ("samples", shard("SAMPLES")), ("kept", "f"), ("reasons", ["", "", "budget"]),
        samples=[shard("SAMPLES", **{name: "x"}) for name in ("document_id", "input_ids", "context_start", "context_stop",
                                                              "response_start", "response_stop")],
        kept=["g"], reasons=[["", "budget", ""], ["", "", ""], ["", "", "short_source"]],
    ),
}  # fmt: skip


def name(run, inputs) -> str:
    with pytest.raises(Named) as answer:
        run(*inputs.values(), Engine())
    return str(answer.value)


@pytest.mark.parametrize("each", STAGES)
def test_an_action_is_named_by_everything_that_it_depends_on(each):
    run, inputs, changes = STAGES[each]
    assert set(changes) <= set(inputs)
    names = {name(run, inputs): "nothing"}
    assert name(run, dict(inputs)) in names
    for key, others in changes.items():
        for place, value in enumerate(others):
            changed = name(run, inputs | {key: value})
            assert changed not in names, f"{key}[{place}] has the name of {names[changed]}"
            names[changed] = f"{key}[{place}]"


@pytest.mark.parametrize("each", ["pack", "pack_sft"])
def test_groups_of_equal_draws_have_names_of_their_own(each):
    """A row's id contains the number of its group."""
    run, inputs, _ = STAGES[each]
    first, second = name(run, inputs | {"draws": [shard("DRAWS"), shard("DRAWS")]}).split()
    assert first != second
    assert first == name(run, inputs)


def test_what_cannot_change_a_result_is_no_part_of_a_name():
    """The path of a tokenizer, columns that a stage does not read, a shard of TOKENS whose texts are in DRAWS."""
    run, inputs, _ = STAGES["pack"]
    moved = ENCODING.model_copy(update={"tokenizer": TOKENIZER.model_copy(update={"path": "elsewhere"})})
    assert name(run, inputs) == name(run, inputs | {"encoding": moved})
    run, inputs, _ = STAGES["plan"]
    assert name(run, inputs) == name(run, inputs | {"documents": shard("DOCUMENTS", "other", text="x")})
