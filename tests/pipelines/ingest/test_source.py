"""A source names one place and different fields; where it lies is no part of what its records become."""

import pytest
from pydantic import ValidationError

from pipelines.ingest.readers import READERS
from pipelines.ingest.source import FORMATS, Source
from tests.pipelines.inputs import source


def test_formats_are_the_readers_that_have_files():
    assert set(FORMATS) | {"hub"} == set(READERS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": None}, "a path or a hub id"),
        ({"hub": "a/b"}, "a path or a hub id"),
        ({"path": None, "hub": "a/b"}, "needs a split"),
        ({"path": None, "hub": "a/b", "split": "train", "format": "jsonl"}, "takes no format"),
        ({"path": None, "hub": "a/b/c", "split": "train"}, "match pattern"),
        ({"format": "xml"}, "'xml' is none of jsonl, parquet, csv, text, hf"),
        ({"config": "en"}, "belong to a hub id"),
        ({"id": "text"}, "named for two"),
        ({"text": ("a", "id")}, "named for two"),
        ({"text": ()}, "text: an empty list"),
        ({"text_suffixes": ("txt",)}, "text_suffixes: txt"),
        ({"text_suffixes": ()}, "text_suffixes: none"),
        ({"name": "a/b"}, "match pattern"),
        ({"max_record_bytes": 0}, "greater than 0"),
        ({"shuffle": True}, "not permitted"),
    ],
)
def test_a_source_that_can_not_be(changes, said):
    with pytest.raises(ValidationError, match=said):
        source("x", **changes)


def test_where_a_source_lies_is_no_part_of_its_records(tmp_path):
    assert source(tmp_path / "a").key() == source(tmp_path / "b", split="x").key()
    for change in (
        {"text": "t"},
        {"text": ("text", "t")},
        {"separator": " "},
        {"id": None},
        {"domain": "x"},
        {"license": "MIT"},
        {"license_field": "l"},
        {"origin": "o"},
        {"max_record_bytes": 9},
        {"name": "t"},
    ):
        assert source("a", **change).key() != source("a").key()


@pytest.mark.parametrize("hub", ["..", "../x", "a/..", "a--b/c", ".a/b", "a/b.", "-a", "a/b/c", "a b", "a\n", "a/b\n"])
def test_a_hub_id_that_leads_elsewhere_is_refused(hub):
    with pytest.raises(ValidationError, match="hub"):
        Source(name="s", domain="d", hub=hub, split="train")


@pytest.mark.parametrize("key", ["config", "split", "revision"])
@pytest.mark.parametrize("value", ["../x", "/x", "a\0", "a\nb", "..", "a\\b", "a?b", "x/"])
def test_an_odd_name_of_a_hub_dataset_is_refused(key, value):
    with pytest.raises(ValidationError, match=f"{key}: .* is no name of a {key}"):
        Source(**{"name": "s", "domain": "d", "hub": "org/name", "split": "train", key: value})


def test_usual_names_of_a_hub_dataset_are_not():
    for hub, config, revision in (
        ("org/name", "en-US.v1", "refs/convert/parquet"),
        ("squad", "2024 01", "v1.0"),
        ("a_b/C-d.e", "x", "main"),
    ):
        Source(name="s", domain="d", hub=hub, split="train.part_1", config=config, revision=revision)
