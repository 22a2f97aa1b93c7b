"""Options are read and set through any view; elements reach the workers once each, spread over them."""

import copy

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from pipelines.beam_parts import Options, spread
from pipelines.stage import Runner

BUNDLES = []


def test_views_are_those_of_beam_and_made_once():
    own, beams = Options(flags=[], direct_num_workers=3), PipelineOptions(flags=[], direct_num_workers=3)
    for kind in PipelineOptions.__subclasses__():
        if kind is not Options:
            assert str(own.view_as(kind)) == str(beams.view_as(kind))
            assert own.view_as(kind) is own.view_as(kind)
    assert own.get_all_options() == beams.get_all_options()


def test_a_copy_has_values_of_its_own_that_its_views_share():
    options = Options(flags=[], runner="FnApiRunner", direct_num_workers=3)
    options.view_as(StandardOptions).streaming = True
    copied = copy.deepcopy(options)
    copied.view_as(StandardOptions).streaming = False
    copied.view_as(DirectOptions).direct_num_workers = 4
    assert options.view_as(StandardOptions).streaming is True
    assert options.get_all_options()["direct_num_workers"] == 3
    assert copied.get_all_options()["direct_num_workers"] == 4
    assert copied.get_all_options()["streaming"] is False


class Bundle(beam.DoFn):
    def start_bundle(self):
        self.bundle = []
        BUNDLES.append(self.bundle)

    def process(self, element):
        self.bundle.append(element)


@pytest.mark.parametrize(("workers", "n"), [(1, 9), (3, 9), (2, 1), (2, 0)])
def test_each_worker_has_its_share_of_the_elements(workers, n):
    BUNDLES.clear()
    with beam.Pipeline(options=Runner(workers=workers).pipeline_options()) as p:
        _ = spread(p, [{"number": i} for i in range(n)]) | beam.ParDo(Bundle())
    sizes = sorted(len(bundle) for bundle in BUNDLES if bundle)
    assert sorted(element["number"] for bundle in BUNDLES for element in bundle) == list(range(n))
    assert sizes == [n // workers] * workers if n > workers else sizes == [1] * n
