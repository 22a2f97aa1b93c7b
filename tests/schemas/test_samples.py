"""The tables of instruction samples."""

from schemas.samples import CHOSEN, QUOTAS, RANKS, sft_sequences
from schemas.tables import SEQUENCES, TABLES, holds


def test_labels_follow_input_ids_and_nothing_else_is_new():
    made = sft_sequences(SEQUENCES)
    assert made == TABLES["SFT_SEQUENCES"]
    at = made.names.index("labels")
    assert made.names[at - 1] == "input_ids"
    assert [*made.names[:at], *made.names[at + 1 :]] == SEQUENCES.names
    assert made.field("labels").type == made.field("input_ids").type


def test_a_choice_can_be_read_from_its_tables():
    """Normalised scores are of the same names in both; only what may be missing is nullable."""
    assert {"score", "hmg", "cam", "why"} <= set(CHOSEN.names) & set(RANKS.names)
    assert not any(CHOSEN.field(name).nullable for name in ("document_id", "why", "n_tokens", "context_tokens"))
    assert all(RANKS.field(name).nullable for name in RANKS.names if name != "document_id")
    assert all(text for table in (CHOSEN, QUOTAS, RANKS) for text in holds(table).values())
