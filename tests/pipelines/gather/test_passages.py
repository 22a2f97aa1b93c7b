"""Passages are pieces of their documents, and their answers spans of them."""

from pipelines.gather.passages import facts, faq, sections
from tests.pipelines.gather.test_demonstration import entry, paper, profile


def test_passages_of_a_profile_are_its_own_fields():
    passages = list(facts(profile(3)))
    assert passages
    for p in passages:
        assert p.text.startswith("# Land 3\n\n## Field ")
        assert (
            p.question
            == f'What does the profile of Land 3 state under "{p.text[: p.start].rpartition("## ")[2].strip()}"?'
        )
        assert p.answer in profile(3)["text"]


def test_passages_of_a_faq_and_of_a_section_begin_with_the_answer():
    (p,) = faq(entry(4))
    assert p.question == "Why is thing 4 so?"
    assert p.text.startswith(f"Q: Why is thing 4 so?\n\nA: {p.answer} The ")
    assert p.collection == "faq/page0"
    first, *_ = sections(paper(1))
    assert first.question == 'What is the first sentence of the section "Topic 1 0"?'
    assert first.text.startswith(f"Topic 1 0\n\n{first.answer} The ")
    assert "\\" not in first.text
    assert "% no" not in first.text
