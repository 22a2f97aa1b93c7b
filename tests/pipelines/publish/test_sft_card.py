"""The card of a set of instruction samples, from the views of a sound set."""

from pathlib import Path

from pipelines.publish.card import Edition
from pipelines.publish.sft_card import sft_card

EDITION = Edition("abc", Path("/root/datasets/tiny/abc"), ())


def row_of(table, first):
    return next(
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith(f"| {first} |")
    )


def test_the_card_says_what_is_in_the_set_and_how_to_load_it(sft_con, sft_recipe):
    card = sft_card(sft_con, sft_recipe, EDITION)
    assert card.startswith('---\npretty_name: "m"\n')
    assert 'data_files: "messages-*.parquet"' in card
    assert (
        "2 instruction samples chosen by rank and 1 short instruction, of 7 that dedup kept. The template is `paper`. "
        "10 of 24 tokens are trained on"
    ) in card
    assert 'rows = load_dataset("/root/datasets/tiny/abc", split="train")' in card
    assert 'load_dataset("/root/datasets/tiny/abc", "messages", split="train")' in card
    assert "`{% generation %}`" in card
    assert "SFTTrainer" in card
    assert row_of(card, "web") == ["web", "6", "5", "2", "16"]  # samples, scored, chosen, tokens
    assert row_of(card, "chosen")[:4] == ["chosen", "2", "3", "2"]  # contexts of 3 and 2 tokens, rounded
    assert row_of(card, "left")[1] == "3"
