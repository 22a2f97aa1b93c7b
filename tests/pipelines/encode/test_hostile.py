from pipelines.encode.hostile import hostile
from pipelines.encode.tokenizer import load
from tests.pipelines.encode.families import FAMILIES, params_of, saved, trained
from tests.pipelines.encode.test_pieces import DEFAULT


def test_about_fifty_kilobytes_the_same_each_time():
    texts = hostile(load(DEFAULT.tokenizer))
    assert 45_000 < sum(len(text.encode()) for text in texts) < 65_000
    assert hostile(load(DEFAULT.tokenizer)) == texts


def test_what_tokenizers_differ_on_is_among_them(tmp_path):
    text = "\x00".join(hostile(load(params_of(saved(tmp_path, trained("llama3"))).tokenizer)))
    for part in (
        "</s>",
        "<s>",
        "\u2028",
        "\u0130",
        "e\u0301",
        "12345678901",
        "\U0001f468\u200d",
        "\r\n\r\n",
        "   ",
        "\U0010ffff",
        "'S",
    ):
        assert part in text, part


def test_every_family_has_its_own(family):
    texts = hostile(load(family.tokenizer))
    assert "" in texts
    assert len({text for text in texts if text}) > 700


def test_there_are_families():
    assert len(FAMILIES) == 8
