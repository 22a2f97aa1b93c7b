"""What every pipeline is made of: its options, and elements that are spread over the workers."""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


class Options(PipelineOptions):
    """Beam's options, with one view of each kind.

    Beam asks for views several times a transform and makes each by a new parser of command lines, which is a third of the
    time of a build of a small corpus. All views of the same options share their values.
    """

    def view_as(self, cls: type[PipelineOptions]) -> Any:
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]


def spread(p: beam.Pipeline, elements: Iterable[Any]) -> beam.PCollection:
    """The elements, spread over the workers; without a shuffle one worker gets all.

    This is Beam's Reshuffle with the elements' numbers as keys in place of random ones, and half of its transforms.
    """
    numbered = p | "Elements" >> beam.Create(list(enumerate(elements)), reshuffle=False)
    return numbered | "Spread" >> beam.GroupByKey() | "Values" >> beam.FlatMap(values_of)


def values_of(group: tuple[int, Iterable[Any]]) -> Iterable[Any]:
    return group[1]
