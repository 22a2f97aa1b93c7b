"""A manifest says what a version is made of, its name follows from that, and one that is damaged is one line."""

import json

import pytest

from schemas.errors import SchemaError
from schemas.manifest import KEPT, Manifest, ManifestShard, canonical, version_of
from schemas.records import with_checksum

TABLES = {"DOCUMENTS": ["aa", "bb"], "TOKENS": ["cc"]}
RECIPE = {"mix": "m", "plan": {"budget_tokens": 3}}


def shard(content_hash):
    return ManifestShard(content_hash=content_hash, n_rows=1, columns={}, came_from=("a", 0), n_bytes=9, xxh3_128="0")


def manifest(**changes):
    tables = {name: [shard(h) for h in hashes] for name, hashes in TABLES.items()}
    fields = {
        "mix": "m",
        "version": "v",
        "base": None,
        "recipe": RECIPE,
        "tables": tables,
        "files": {},
        "built": {"at": "1"},
    }
    return Manifest(**{**fields, **changes})


def test_the_version_is_a_hash_of_recipe_base_and_content():
    assert version_of(RECIPE, None, TABLES) == "e3cdc872da2e"
    assert (
        version_of({"plan": {"budget_tokens": 3}, "mix": "m"}, None, dict(reversed(TABLES.items()))) == "e3cdc872da2e"
    )
    others = [
        version_of({**RECIPE, "mix": "n"}, None, TABLES),
        version_of(RECIPE, "v", TABLES),
        version_of(RECIPE, None, {**TABLES, "TOKENS": ["cd"]}),
        version_of(RECIPE, None, {**TABLES, "DOCUMENTS": ["bb", "aa"]}),
        version_of(RECIPE, None, {**TABLES, "DRAWS": []}),
    ]
    assert len({"e3cdc872da2e", *others}) == 6


def test_what_a_version_holds_is_its_recipe_and_the_content_of_its_tables():
    one = manifest()
    assert one.holds(RECIPE, TABLES)
    assert one.holds(json.loads(json.dumps(RECIPE)), dict(reversed(TABLES.items())))
    assert not one.holds({**RECIPE, "mix": "n"}, TABLES)
    assert not one.holds(RECIPE, {**TABLES, "TOKENS": ["cd"]})
    assert not one.holds(RECIPE, {"DOCUMENTS": ["aa", "bb"]})
    assert manifest(kept={"NEAR": [shard("dd")]}, built={"at": "2"}).holds(RECIPE, TABLES)


def test_what_is_kept_for_the_next_refresh_has_its_names():
    assert "NEAR" in KEPT
    assert not set(KEPT) & {"DOCUMENTS", "DUPLICATES", "TOKENS", "DRAWS", "SEQUENCES"}


def test_it_is_written_and_read_back(tmp_path):
    one = manifest(base="b" * 12, kept={"NEAR": [shard("dd")]}, files={"sequences-00000-of-00001.parquet": "ee"})
    (tmp_path / "manifest.json").write_text(json.dumps(one.record()))
    assert Manifest.of(tmp_path) == one
    assert canonical(one.model_dump(mode="json")) == canonical(Manifest.of(tmp_path).model_dump(mode="json"))


def test_a_manifest_of_before_that_kept_nothing_is_read(tmp_path):
    fields = manifest().model_dump(mode="json")
    del fields["kept"]
    (tmp_path / "manifest.json").write_text(json.dumps(with_checksum(fields)))
    assert Manifest.of(tmp_path).kept == {}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (None, "No such file or directory"),
        ("", "Expecting value: line 1 column 1"),
        ("[]", "not an object in JSON"),
        ('{"mix": "m"}', "it has no checksum"),
        (json.dumps(manifest().record()).replace("m", "n", 1), "it differs from its checksum"),
        (json.dumps(with_checksum({"mix": "m"})), "version: Field required"),
        (
            json.dumps(with_checksum({**manifest().model_dump(mode="json"), "more": 1})),
            "more: Extra inputs are not permitted",
        ),
        ("\xff", "can't decode byte"),
    ],
)
def test_a_damaged_manifest_is_named_in_one_line(tmp_path, text, finding):
    path = tmp_path / "manifest.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SchemaError) as error:
        Manifest.of(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{path}: not a readable manifest (")
    assert finding in message
    assert message.endswith("); build the mix again")
    assert "\n" not in message
