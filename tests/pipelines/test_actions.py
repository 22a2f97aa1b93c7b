"""Actions are named by what they read, and the real stages make the same rows with and without earlier shards."""

from dataclasses import replace

import pyarrow as pa
import pytest
from pydantic import BaseModel

from pipelines.actions import Action, Read, Reused, ShardStage, earlier_reads
from pipelines.dedup import SIGN, DedupParams, SignParams
from pipelines.encode import ENCODE, Encoding
from pipelines.reuse import Copy
from pipelines.screen import SCREEN
from pipelines.store import Shard, Store
from schemas.tables import BESIDE_DOCUMENTS, TOKENS
from tests import micro
from tests.tokens import token_row


class Params(BaseModel):
    fault: str = ""


def verdicts(tokens: pa.Table, _: Params) -> pa.Table:
    return tokens


def test_an_action_depends_on_the_columns_it_reads(tmp_path):
    store = Store(tmp_path)
    one, two = (
        store.write("TOKENS", pa.Table.from_pylist([token_row("a", [1] * n)], schema=TOKENS))
        for n in (1, 2)
    )  # fmt: skip

    def name(shard, *columns, stage="s", version=1, **changes):
        made = ShardStage(stage, version, "X", verdicts).actions(Params(**changes), [(Read(shard, columns),)])
        return made[0].name

    assert name(one, "document_id") == name(two, "document_id")
    assert name(one, "document_id", "n_tokens") != name(two, "document_id", "n_tokens")
    assert name(one, "document_id") != name(one, "document_id", version=2)
    assert name(one, "document_id") != name(one, "document_id", stage="t")
    assert name(one, "document_id") != name(one, "document_id", fault="recipe")


def test_names_of_actions_never_change():
    """Stored results are looked up by them."""
    shard = Shard("TOKENS", "ab" * 16, 3, {"document_id": "cd" * 16, "n_tokens": "ef" * 16})
    (action,) = ShardStage("encode", 1, "TOKENS", verdicts).actions(Params(), [(Read(shard, ("n_tokens",)),)])
    assert action.name == "4100ad1d6ea1f8918368e2dbe3804466"


def shard(table, k, *columns):
    return Shard(table, f"{k:032x}", k, {name: f"{table}{k}{name}" for name in columns})


def test_reads_of_an_earlier_version_are_of_the_shards_at_the_same_place():
    """What is the same for all documents, such as the background, stays."""
    like = (
        Read(shard("DOCUMENTS", 1, "text"), ("text",)),
        Read(shard("DUPLICATES", 1, "verdict"), ("verdict",)),
        Read(shard("BACKGROUND", 1, "domain"), ("domain",)),
    )
    tables = {
        "DOCUMENTS": [shard("DOCUMENTS", k, "text", "domain") for k in (5, 6, 7)],
        "DUPLICATES": [shard("DUPLICATES", 5, "verdict"), shard("DUPLICATES", 6), shard("DUPLICATES", 7, "verdict")],
        "BACKGROUND": [shard("BACKGROUND", 9, "domain")],
    }
    reads = list(earlier_reads(like, tables))
    assert [[r.shard.table for r in each] for each in reads] == [["DOCUMENTS", "DUPLICATES", "BACKGROUND"]] * 2
    assert [[r.shard.n_rows for r in each] for each in reads] == [[5, 5, 1], [7, 7, 1]]  # 6 lacks the column
    assert [r.columns for r in reads[0]] == [("text",), ("verdict",), ("domain",)]
    assert list(earlier_reads(like, {})) == []
    assert list(earlier_reads(like, {"DOCUMENTS": tables["DOCUMENTS"]})) == []


def test_which_reads_have_the_rows_of_documents():
    assert all(Read(shard(table, 1), ()).is_by_document for table in ("DOCUMENTS", *BESIDE_DOCUMENTS))
    assert not Read(shard("BACKGROUND", 1), ()).is_by_document


def test_what_was_reused_adds_up():
    one = Action("a", (Read(shard("DOCUMENTS", 7), ()),))
    two = replace(one, copies=(Copy(None, [1, 2], [3, 4]), Copy(None, [5], [0])))
    assert Reused(1, 2).plus([one, two]) == (4, 16)
    assert Reused() == (0, 0)


def test_what_a_row_depends_on_is_declared():
    """A stage whose rows depend on other documents declares nothing."""
    assert [stage.same for stage in (SIGN, ENCODE, SCREEN)] == [("content_hash",), ("content_hash",), ("content_hash", "domain")]  # fmt: skip
    assert ShardStage("x", 1, "TOKENS", verdicts).same == ()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The small mix, its store, and its tables."""
    from pipelines.build import build
    from pipelines.versions import tables_of

    folder = tmp_path_factory.mktemp("built")
    recipe = micro.recipe(folder)
    version = build(recipe, folder / "root")
    return recipe, Store(folder / "root"), tables_of(version.folder)


def parts(store, table, first, second):
    """A shard of the rows of two, those of the second first, and a shard of one row in two of them."""
    rows = pa.concat_tables([store.read(second), store.read(first)])
    return store.write(table, rows), store.write(table, rows.take(list(range(0, len(rows), 2))))


@pytest.mark.parametrize("stage", [SIGN, ENCODE, SCREEN], ids=lambda stage: stage.stage)
def test_the_real_stages_make_the_same_from_copies(built, stage):
    """All rows of two shards from their copies, and the same of half of them: equal files."""
    recipe, store, tables = built
    params, columns, beside = {
        "signatures": (SignParams.of(DedupParams()), [("text",)], "DUPLICATES"),
        "encode": (
            Encoding.of(recipe.encode), [("text", "content_hash", "n_bytes"), ("document_id", "verdict")], "DUPLICATES",
        ),
        "screen": (recipe.screen, [("text", "domain"), ("document_id", "status")], "TOKENS"),
    }[stage.stage]  # fmt: skip
    background = [Read(tables["BACKGROUND"][0], tuple(tables["BACKGROUND"][0].columns))] if stage is SCREEN else []

    def reads(*shards):
        return (*(Read(s, c) for s, c in zip(shards, columns, strict=False)), *background)

    earlier = [reads(d, v) for d, v in zip(tables["DOCUMENTS"], tables[beside], strict=True)]
    shards = [parts(store, name, *tables[name][:2]) for name in ("DOCUMENTS", beside)]
    todo = stage.actions(params, [reads(*pair) for pair in zip(*shards, strict=True)])
    for action, n_donors in zip(stage.with_copies(todo, stage.actions(params, earlier), store), (2, 2), strict=True):
        assert len(action.copies) == n_donors
        assert action.n_reused > 0.7 * action.reads[0].shard.n_rows
        made = {}
        for name, copying in (("copied", action), ("alone", replace(action, copies=()))):
            stage.make(copying, params, store)
            (shard,) = store.find(stage.stage, action.name)
            made[name] = (shard, store.path(shard).read_bytes())
            store.path(shard).unlink()
        assert made["copied"][0].columns == made["alone"][0].columns
        assert made["copied"] == made["alone"]
