"""What is wrong with a recipe's [run]: a runner or an option that Beam does not have, which it ignores or dies of."""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from pipelines.names import meant
from pipelines.stage import Runner

MOST_WORKERS = 1024
OURS = {"runner": "run.runner", "direct_num_workers": "run.workers"}  # option of Beam -> the key that sets it


def checked(run: Runner) -> Runner:
    """
    Raises:
        ValueError: Beam has no such runner or option, or an option's value is none that it takes.
    """
    if run.workers > MOST_WORKERS:
        raise ValueError(f"workers: must be at most {MOST_WORKERS:,}, not {run.workers}")
    default = Runner()
    if run.runner != default.runner:  # importing Beam takes 1.5 CPU seconds
        check_runner(run.runner)
    if run.options:
        check_options(run.options)
    return run


CheckedRunner = Annotated[Runner, AfterValidator(checked)]


def check_runner(name: str) -> None:
    """
    Raises:
        ValueError: no runner has this name, or the package of it is not installed.
    """
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners import runner as runners

    names = [known.rpartition(".")[2] for known in StandardOptions.KNOWN_RUNNER_NAMES]
    by_name = {known.lower(): path for known, path in runners._RUNNER_MAP.items()}  # noqa: SLF001 no other list
    path = by_name.get(name.lower()) or by_name.get(f"{name.lower()}runner") or name
    module, _, attribute = path.rpartition(".")
    if not module:
        raise ValueError(f"runner: {name!r} is no runner of Beam{meant(name, names)}")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(
            f"runner: {name!r} can't be imported ({error}); install its package or choose another"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, runners.PipelineRunner)):
        raise ValueError(  # noqa: TRY004 pydantic reports no TypeError
            f"runner: {name!r} is no runner of Beam{meant(name, names)}"
        )


def check_options(options: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: see checked.
    """
    from apache_beam.options import pipeline_options

    parser = pipeline_options._BeamArgumentParser(allow_abbrev=False)  # noqa: SLF001 as get_all_options does
    kinds = {str(kind): kind for kind in pipeline_options.PipelineOptions.__subclasses__()}
    for kind in kinds.values():
        kind._add_argparse_args(parser)  # noqa: SLF001
    actions = {action.dest: action for action in parser._actions}  # noqa: SLF001
    for name, value in options.items():
        if name in OURS:
            raise ValueError(f"options.{name}: set {OURS[name]} in its place")
        action = actions.get(name)
        if action is None or name == "help":
            raise ValueError(f"options.{name}: no such option of Beam{meant(name, [*actions], shows_all=False)}")
        expected = kind_of(action)
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise ValueError(f"options.{name}: must be {WORDS[expected]}, not {value!r}")
        if action.choices and value not in action.choices:
            raise ValueError(f"options.{name}: must be one of {', '.join(map(str, action.choices))}, not {value!r}")


WORDS = {bool: "true or false", int: "a whole number", str: "a text in quotes", object: "a value"}


def kind_of(action: Any) -> type:
    """The type of an option's value, by its argparse action."""
    if action.nargs == 0:
        return bool
    if action.type in (int, str):
        return action.type
    return str if action.type is None and action.nargs is None and not isinstance(action.default, int) else object
