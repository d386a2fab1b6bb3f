"""Metrics and suites."""
