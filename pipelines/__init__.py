"""Stages: each one file, one Beam pipeline, one table."""
