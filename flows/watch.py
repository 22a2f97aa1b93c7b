"""What `prefect deployment run --watch` prints: log lines as they are, and the reason of a failure as the last line.

Prefect reads log lines as markup, in which "[run]" is lost and "[/INST]" an error, and ends with the state's name alone.
"""

import sys
from typing import Any, NoReturn

from rich.markup import escape
from rich.text import Text

FAILED = 1  # the exit status, as Prefect's


def install() -> None:
    """Replace two functions of Prefect's command line. Called before the module of the command is imported."""
    from prefect.cli import flow_runs_watching as watching

    follow, format_log = watching.watch_flow_run, watching.FlowRunFormatter.format_log

    async def watch_flow_run(*arguments: Any, **options: Any) -> Any:
        run = await follow(*arguments, **options)
        if run.state is not None and not run.state.is_completed():
            end(run.state.name, run.state.message)
        return run

    def format_as_text(self: Any, log: Any) -> Text:
        markup = format_log(self, log.model_copy(update={"message": escape(log.message)}))
        return Text.from_markup(markup, emoji=False)

    watching.watch_flow_run = watch_flow_run
    watching.FlowRunFormatter.format_log = format_as_text  # type: ignore[assignment,method-assign]


def end(name: str | None, message: str | None) -> NoReturn:
    """
    Raises:
        SystemExit: always, after the reason on standard error.
    """
    reason = " ".join((message or "").split()) or "no reason was given; see the log of the run"
    ending = (name or "failed").lower()
    print(f"longmix: {ending}: {reason.removeprefix('longmix: ')}", file=sys.stderr)
    raise SystemExit(FAILED)
