"""Processes that are interrupted in tests."""

import signal


def hears_interrupts() -> None:
    """For a process to be: a shell's job in the background ignores interrupts, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
