"""The reasons that readers build from the name of a compression exist."""

from pipelines.ingest.readers.reasons import FILE_REASONS
from pipelines.ingest.readers.record import REASONS
from pipelines.ingest.readers.streams import PACKINGS


def test_each_compression_has_its_reasons():
    for packing in PACKINGS:
        assert {f"{fault}_{packing}" for fault in ("not", "truncated", "corrupt")} <= set(REASONS)
    assert FILE_REASONS.items() <= REASONS.items()
