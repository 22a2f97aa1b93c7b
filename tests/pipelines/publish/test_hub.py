"""The head of a card: the fields that the hub knows, as YAML."""

import pytest
import yaml

from pipelines.publish.hub import HUB_LICENSES, front_matter, license_of, size_of

FILES = {"default": "sequences-*.parquet", "messages": "messages-*.parquet"}


def head(mix="m", licenses=(), n_rows=5):
    first, text, last = front_matter(mix, licenses, n_rows, ("a", "b"), FILES).rpartition("---")
    assert first.startswith("---\n")
    assert (text, last) == ("---", "")
    return yaml.safe_load(first.removeprefix("---\n"))


def test_the_head_is_yaml_with_the_hubs_fields():
    assert head(licenses=["MIT"]) == {
        "pretty_name": "m", "license": "mit", "task_categories": ["text-generation"], "size_categories": ["n<1K"],
        "tags": ["a", "b"],
        "configs": [
            {"config_name": "default", "data_files": "sequences-*.parquet", "default": True},
            {"config_name": "messages", "data_files": "messages-*.parquet"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("mix", ["1.0", "null", "on", "1e3"])
def test_a_name_that_yaml_reads_as_another_type_stays_a_name(mix):
    assert head(mix)["pretty_name"] == mix


@pytest.mark.parametrize(
    ("licenses", "lines"),
    [
        ([], {"license": "unknown"}),
        ([None], {"license": "unknown"}),
        (["CC-BY-4.0"], {"license": "cc-by-4.0"}),
        (["GPL-3.0-or-later"], {"license": "gpl-3.0"}),
        (["MIT", None], {"license": "other", "license_name": "several"}),
        (["MIT", "Apache-2.0"], {"license": "other", "license_name": "several"}),
        (["My <b>own</b>\nlicense: mit"], {"license": "other", "license_name": "my-b-own-b-license-mit"}),
        (["§"], {"license": "other", "license_name": "other"}),
    ],
)
def test_a_license_is_named_where_all_documents_have_one(licenses, lines):
    assert yaml.safe_load("\n".join(license_of(licenses))) == lines
    assert "several" not in HUB_LICENSES


def test_size_categories():
    bounds = [(999, "n<1K"), (1_000, "1K<n<10K"), (9_999, "1K<n<10K"), (10_000, "10K<n<100K"), (10**9, "1B<n<10B")]
    bounds += [(10**12 - 1, "100B<n<1T"), (10**12, "n>1T"), (0, "n<1K")]
    assert [size_of(n) for n, _ in bounds] == [name for _, name in bounds]
