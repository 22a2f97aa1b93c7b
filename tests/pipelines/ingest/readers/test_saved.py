"""A dataset that save_to_disk wrote is read as it lies: one split, or the one that is named."""

import pytest

from pipelines.ingest.listing import find_files
from pipelines.ingest.readers import READERS
from schemas.errors import RecipeError
from tests.pipelines.inputs import WANTED, source, text_of


def test_a_dataset_that_was_saved_to_disk(tmp_path):
    """Written by datasets itself: one split, and several."""
    import datasets

    made = datasets.Dataset.from_dict({"text": [text_of(i) for i in range(10)], "id": [str(i) for i in range(10)]})
    made.save_to_disk(str(tmp_path / "one"), num_shards=3)
    datasets.DatasetDict({"train": made, "test": made.select(range(2))}).save_to_disk(str(tmp_path / "many"))
    for path, split, n, files in ((tmp_path / "one", None, 10, 3), (tmp_path / "many", "train", 10, 1), (tmp_path / "many", "test", 2, 1)):  # fmt: skip
        kind, found = find_files(source(path, split=split))
        assert (kind, len(found)) == ("hf", files)
        records = [r for f in found for r in READERS[kind].records(f, WANTED)]
        assert [READERS[kind].parser(WANTED)(r.raw).text.decode() for r in records] == [text_of(i) for i in range(n)]
    with pytest.raises(RecipeError, match=r"name one of (test, train|train, test)"):
        find_files(source(tmp_path / "many"))
