"""The table of sources and its lock name the same packages, each with a license."""

from pipelines.gather import DEFAULT_LOCK
from pipelines.gather.catalogue import DOMAINS, FREE, KINDS, SOURCES, Source
from pipelines.gather.extractors import plain_files
from pipelines.gather.fetching import Package
from pipelines.gather.gathered import read_lock


def test_the_table_and_its_lock():
    assert {source.key for source in SOURCES} == set(read_lock(DEFAULT_LOCK))
    places = [(source.domain, source.package.name) for source in SOURCES]
    assert len(set(places)) == len(places)  # ids are unique
    assert {source.kind for source in SOURCES} == set(KINDS)
    assert all(source.license for source in SOURCES)
    assert {source.package.registry for source in SOURCES} == {"deb", "npm", "pypi"}
    assert len(DOMAINS) == 7


def test_a_source_is_named_by_its_package_and_in_reports_by_its_domain_too():
    source = Source("book", Package("npm", "@scope/beta", "1"), "MIT", "permissive", plain_files("*"))
    assert (source.key, source.label) == ("npm:@scope/beta", "book/npm:@scope/beta")


def test_what_is_contested_is_not_gathered_unless_asked_for():
    assert tuple(kind for kind in KINDS if kind != "contested") == FREE
    contested = [source for source in SOURCES if source.kind == "contested"]
    assert contested
    assert len(contested) < 5
