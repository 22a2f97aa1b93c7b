"""A mix packed by negative_extension: its chunks, lists and rows against looking at every pair of the real chunks."""

import json
import re
import shutil
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from flows.forecast_text import forecast_text
from flows.opened import opened
from flows.query import show_sequence
from pipelines import plan
from pipelines.build import build
from pipelines.catalog import rows_of
from pipelines.forecast import forecast
from pipelines.order.chunk_vectors import ENCODER
from pipelines.order.chunks import ChunkParams, run_chunks
from pipelines.order.products import one_thread, products
from pipelines.pack.negative_extension import Chunks
from pipelines.recipe import Recipe, load
from pipelines.stage import Engine, Runner
from pipelines.store import Store
from pipelines.versions import Version, latest, tables_of
from schemas.tables import TABLES
from scorers.embedding import load as load_encoder
from tests import micro
from tests.kills import fingerprint, run, run_killed_at
from tests.pipelines.pack.packers.cases import drawn_of
from tests.pipelines.pack.test_negative_extension import merged, slow_chunks

CHUNK, K, NEIGHBOURS, NEAR = 200, 2, 5, 0.8
EXTENDED = micro.ORDERED | {
    "order": f'by = "greedy_edge"\nneighbours = {NEIGHBOURS}\nnear_similarity = {NEAR}',
    "pack": f'packer = "negative_extension"\nnegative_chunk_tokens = {CHUNK}\nnegative_neighbours = {K}',
}


@dataclass
class Made:
    """A version and its tables, each a list of lists of rows."""

    recipe: Recipe
    version: Version
    tables: dict[str, list[list[dict]]]

    @property
    def root(self):
        return self.version.folder.parents[2]


def made(folder, root, **options) -> Made:
    recipe = load(folder / "micro.toml")
    version = build(recipe, root, **options)
    store = Store(root)
    names = ("TOKENS", "DRAWS", "CENTROIDS", "ORDER", "CHUNKS", "SEQUENCES")
    tables = tables_of(version.folder)
    return Made(recipe, version, {name: [store.read(s).to_pylist() for s in tables[name]] for name in names})


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """One group."""
    folder = tmp_path_factory.mktemp("one")
    micro.write(folder, **EXTENDED)
    return made(folder, folder / "root")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Several groups, the folder of whose recipe may change."""
    folder = tmp_path_factory.mktemp("several")
    micro.write(folder, **EXTENDED | {"order": EXTENDED["order"] + "\npartition_documents = 2"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "GROUP_TOKENS", 9_000)
        return folder, made(folder, folder / "root")


def path_of(mix, group):
    """(document_id, tokens drawn) of the path of a group, in its order."""
    drawn = {d["document_id"]: d["document_stop"] for d in mix.tables["DRAWS"][group] if d["epoch"] == 0}
    on_path = [row for row in mix.tables["ORDER"][group] if row["place"] is not None]
    return [(row["document_id"], drawn[row["document_id"]]) for row in sorted(on_path, key=lambda row: row["place"])]


def slow_lists(mix, group, chunks):
    """Each chunk's (row, millionths) of the nearest of other documents, and the rows that leave.

    chunks: (document_id, start, stop). A chunk sees those of its partition of the group, and of the second nearest one where
    the cosine with its centre is 0.9 of that with its own.
    """
    ids = {row["document_id"]: row["input_ids"] for shard in mix.tables["TOKENS"] for row in shard}
    tokenizer = Tokenizer.from_file(mix.recipe.encode.tokenizer.path)
    texts = [tokenizer.decode(ids[name][start:stop]) for name, start, stop in chunks]  # without <|endoftext|>
    encoder = load_encoder(mix.recipe.order.encoder)
    x = np.concatenate([encoder.vectors(pa.array([text], pa.large_string())) for text in texts])
    with one_thread():
        cosines = products(x, x)
        centres = [row["vector"] for row in mix.tables["CENTROIDS"][0] if row["group_number"] == group]
        to_centres = products(x, np.array(centres, np.float32))
    inside = []
    for cosine in to_centres.tolist():
        own, *second = sorted(range(len(cosine)), key=lambda p: (-cosine[p], p))[:2]
        inside.append({own, *(p for p in second if cosine[p] > 0 and cosine[p] >= 0.9 * cosine[own])})
    sees = np.array([[bool(a & b) for b in inside] for a in inside])
    leaves = {i for i in range(len(x)) if (sees[i, :i] & (cosines[i, :i] >= round(NEAR * 1e6))).any()}
    lists = []
    for i, (name, _, _) in enumerate(chunks):
        others = [
            j for j in range(len(x)) if sees[i, j] and chunks[j][0] != name and cosines[i, j] > 0 and not leaves & {i, j}
        ]  # fmt: skip
        others.sort(key=lambda j: (-cosines[i, j], j))
        lists.append([(j, int(cosines[i, j])) for j in others[:NEIGHBOURS]])
    return lists, leaves


def check_group(mix, group):
    """Returns the number of chunks, of near copies, and chunk -> the one that it follows as a neighbour.

    A chunk is (document_id, start).
    """
    path, rows = path_of(mix, group), mix.tables["CHUNKS"][group]
    expected = [(name, a, min(a + CHUNK, n)) for name, n in path for a in range(0, n, CHUNK)]
    assert [(r["document_id"], r["document_start"], r["document_stop"]) for r in rows] == expected
    lists, leaves = slow_lists(mix, group, expected)
    assert {i for i, row in enumerate(rows) if row["is_near_copy"]} == leaves
    found = [
        list(zip(r["neighbours"], [round(s * 1e6) for s in r["similarities"]], strict=True)) for r in rows
    ]  # fmt: skip
    assert found == lists
    offsets = np.cumsum([0, *map(len, lists)])
    chunks = Chunks(CHUNK, offsets, np.array([j for each in lists for j, _ in each], np.int32), K)
    near = {row["document_id"]: row["near_set"] or row["document_id"] for row in mix.tables["ORDER"][group]}
    labels = [sorted(set(near.values())).index(near[name]) for name, _ in path]
    packed, follows = slow_chunks(drawn_of([n for _, n in path], labels), mix.recipe.pack.sequence_tokens, chunks)
    names = {name for name, _ in path}
    segments = [
        [(s["document_id"], s["document_start"], s["document_stop"]) for s in row["segments"]
         if s["epoch"] == 0 and s["document_id"] in names]
        for row in mix.tables["SEQUENCES"][group]
    ]  # fmt: skip
    assert sorted(filter(None, segments)) == sorted([(path[d][0], a, b) for d, a, b in merged(row)] for row in packed)
    named = {(path[d][0], a): (path[e][0], b) for (d, a, _), (e, b, _) in follows.items()}
    return len(expected), len(leaves), named


def test_a_group_is_what_looking_at_every_pair_of_its_chunks_gives(one):
    """The lists are exact, the rows are those of the slow packer on them, and the view names the chunk that each follows."""
    n_chunks, n_leave, follows = check_group(one, 0)
    assert n_chunks > 60
    assert n_leave > 2, "an easy case"
    assert len(follows) > 20
    with opened(one.root, None, "latest") as (con, _, _):
        columns = "document_id, document_start, after_document_id, after_start"
        rows = con.execute(f"SELECT {columns} FROM chunks WHERE after_start IS NOT NULL").fetchall()
    assert {row[:2]: row[2:] for row in rows} == follows


def test_each_group_is_searched_alone(several):
    mix = several[1]
    groups = [row["group_number"] for row in mix.tables["CENTROIDS"][0]]
    assert len(mix.tables["CHUNKS"]) > 1
    assert max(map(groups.count, groups)) > 1, "each group has one partition"
    for group in range(len(mix.tables["CHUNKS"])):
        check_group(mix, group)


def test_a_group_without_draws_has_no_chunks(one, tmp_path):
    root = shutil.copytree(one.root, tmp_path / "root", symlinks=True)
    engine = Engine(Store(root), Runner(workers=1))
    tables = tables_of(root / "datasets" / "micro" / "latest")
    empty = {name: engine.store.write(name, TABLES[name].empty_table()) for name in ("DRAWS", "ORDER")}
    grown = {**tables, **{name: [*tables[name], shard] for name, shard in empty.items()}}
    params = ChunkParams(chunk_tokens=CHUNK, order=one.recipe.order, encoding=one.recipe.encode)
    chunks = run_chunks(grown, params, engine)
    assert chunks[:1] == tables["CHUNKS"]
    assert engine.store.read(chunks[1]).num_rows == 0


def made_since(root, stage):
    events = [json.loads(line) for line in (root / "progress.jsonl").read_text().splitlines()]
    return sum(event["event"] == "made" and event["stage"] == stage for event in events)


def test_a_refresh_keeps_untouched_groups(several, tmp_path, monkeypatch):
    folder, before = several
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    path = tmp_path / "copy" / "corpus" / "pages.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    page = json.loads(lines[3])
    path.write_text("".join([*lines[:3], json.dumps(page | {"text": page["text"][:-200]}) + "\n", *lines[4:]]))
    monkeypatch.setattr(plan, "GROUP_TOKENS", 9_000)
    root = tmp_path / "copy" / "root"
    after = made(tmp_path / "copy", root, base=latest(root, "micro"))
    same = [a == b for a, b in zip(after.tables["CHUNKS"], before.tables["CHUNKS"], strict=True)]
    assert 0 < sum(same) < len(same)
    assert made_since(root, "chunks") == made_since(root, "pack") == len(same) - sum(same)
    new = contents_of(after) - contents_of(before)
    n_known = len(contents_of(after)) - len(new)
    assert embedded_since(root) == len({content for content, *_ in new}), "known chunks keep their vectors"
    assert n_known > len(new) > 0


def contents_of(mix):
    """(content_hash, start, stop) of each chunk."""
    content = {row["document_id"]: row["content_hash"] for shard in mix.tables["DRAWS"] for row in shard}
    rows = [row for shard in mix.tables["CHUNKS"] for row in shard]
    return {(content[row["document_id"]], row["document_start"], row["document_stop"]) for row in rows}


def embedded_since(root):
    """Documents whose chunks were embedded."""
    events = [json.loads(line) for line in (root / "progress.jsonl").read_text().splitlines()]
    return sum(e["documents"] for e in events if e["event"] == "made" and e["stage"] == ENCODER)


def test_workers_and_a_kill_leave_no_trace(one, tmp_path):
    """Killed when the first shard of CHUNKS gets its name, with one worker; the clean build had two."""
    recipe = one.root.parent / "micro.toml"
    run_killed_at(recipe, tmp_path, 1, "before", r"/shards/CHUNKS/.*\.parquet$")
    n_blocks = len(list(tmp_path.rglob("*.vectors")))
    run(recipe, tmp_path, workers=1)
    assert embedded_since(tmp_path) == 0
    assert len(list(tmp_path.rglob("*.vectors"))) == n_blocks > 1
    assert fingerprint(tmp_path) == fingerprint(one.root)


def test_show_names_the_chunk_that_a_neighbour_follows(one):
    rows = one.tables["CHUNKS"][0]
    cosines = {
        (row["document_id"], row["document_start"], rows[j]["document_id"], rows[j]["document_start"]): f"{cosine:.3f}"
        for row in rows for j, cosine in zip(row["neighbours"], row["similarities"], strict=True)
    }  # fmt: skip
    n_neighbours = 0
    for number, sequence in enumerate(one.tables["SEQUENCES"][0][:4]):
        text = " ".join(show_sequence(one.root, str(number), None, "latest", 0).split())
        pieces = re.split(r"\[[\d,]+, [\d,]+\) (?:web|wiki|book), ", text)[1:]
        for segment, shown in zip(sequence["segments"], pieces, strict=True):
            if named := re.search(
                r"a neighbour of the chunk of (\w+) that begins at its token ([\d,]+), cosine ([\d.]+)", shown
            ):
                after, start = named[1], int(named[2].replace(",", ""))
                key = (after, start, segment["document_id"], segment["document_start"])
                assert cosines[key] == named[3]
                n_neighbours += 1
            else:
                assert re.search(
                    "(a document|the next chunk of a document) at place|a further copy|a near copy of", shown
                )
    assert n_neighbours > 5


def test_the_report_says_what_the_chunks_are(one):
    with opened(one.root, None, "latest") as (con, _, folder):
        (figures,) = rows_of(con, "FROM extension")
        (packing,) = rows_of(con, "FROM packing")
        parted = con.execute(
            'SELECT count(*) FROM (SELECT document_id FROM segments JOIN tables."ORDER" o USING (document_id) '
            "WHERE epoch = 0 AND o.place IS NOT NULL GROUP BY document_id HAVING count(*) > 1)"
        ).fetchone()[0]
    rows = one.tables["CHUNKS"][0]
    assert (figures["chunks"], figures["near_copies"]) == (len(rows), sum(row["is_near_copy"] for row in rows))
    assert (figures["documents"], figures["parted"]) == (len(path_of(one, 0)), parted)
    assert parted > 5
    assert packing["forced_cuts"] + packing["avoidable_cuts"] < parted
    assert 0 < figures["extended"] < figures["chunks"]
    assert 0 < figures["mean_similarity"] <= figures["most_similarity"] <= 1
    report = (folder / "report.html").read_text()
    assert "Chunks and their neighbours" in report
    assert (
        f"Chunks: {len(rows):,} chunks, {figures['extended']:,} of them after a chunk"
        in (folder / "README.md").read_text()
    )


def test_a_plan_counts_the_chunks(one, tmp_path):
    """Nothing is left after the build; with longer chunks, chunks alone are."""
    first = [d["document_stop"] for d in one.tables["DRAWS"][0] if d["epoch"] == 0]
    text = " ".join(forecast_text(forecast(one.recipe, one.root), one.recipe).split())
    assert f"nothing is left to embed; encoder read {len(first)} drawn documents and their chunks." in text
    longer = one.recipe.pack.model_copy(update={"negative_chunk_tokens": 2 * CHUNK})
    recipe = one.recipe.model_copy(update={"pack": longer})
    exact, n_chunks = forecast(recipe, one.root), sum(-(-n // (2 * CHUNK)) for n in first)
    assert exact.embedding.n_chunks == n_chunks
    text = " ".join(forecast_text(exact, recipe).split())
    assert (
        f"read {len(first)} drawn documents before, and reads up to {n_chunks:,} chunks of {2 * CHUNK} tokens" in text
    )
    sampled = forecast(one.recipe, tmp_path)
    text = " ".join(forecast_text(sampled, one.recipe).split())
    assert f"Besides, up to {sampled.embedding.n_chunks:,} chunks of {CHUNK} tokens for negative_extension" in text
    n_chunks = sum(-(-n // CHUNK) for n in first)
    assert n_chunks / 1.3 < sampled.embedding.n_chunks < n_chunks * 1.3
    other = one.recipe.model_copy(update={"pack": one.recipe.pack.model_copy(update={"packer": "best_fit"})})
    unchunked = forecast(other, tmp_path)
    assert unchunked.embedding.n_chunks == 0
    assert any("best_fit" in note for note in unchunked.notes)
