"""The report of a set of instruction samples, from the views of a sound set."""

import re
from html.parser import HTMLParser
from pathlib import Path

from pipelines.chosen import method
from pipelines.publish.card import Edition
from pipelines.publish.sft_report import sft_report

EDITION = Edition("abc", Path("/root/datasets/tiny/abc"), ())


class Balanced(HTMLParser):
    """Raises an AssertionError at a tag that does not close the last open one."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.texts = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 the parser's own signature
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(html):
    page = Balanced()
    page.feed(html)
    assert not page.open
    return page.texts


def test_the_report_is_balanced_html_with_a_table_for_each_question(sft_con, sft_recipe):
    html = sft_report(sft_con, sft_recipe, EDITION)
    texts = read(re.sub(r"<p class=short>", "<p>", html))
    for title in (
        "Samples by domain", "Chosen samples against those left", "Chosen against left, by domain", "Quotas",
        "Chosen samples by length", "Samples that are not chosen", "Highest scores", "Packing", "Rejected records",
        "Licenses of the documents in the mix", "Samples without a part of the score",
    ):  # fmt: skip
        assert title in texts, title
    assert "<script" not in html
    assert "http" not in html
    assert method(sft_recipe) in texts
    assert "Shortfall: 1 of 3 samples that choose.top asks for cannot be supplied and are not substituted." in texts
    assert "Passed over: 1 sample, each similar to a higher chosen one (choose.max_similarity)." in texts
