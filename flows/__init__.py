"""Prefect flows and the command line. No algorithm lives here."""
