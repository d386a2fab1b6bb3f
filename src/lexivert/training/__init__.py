"""Losses, negatives, schedules and the optimiser loop."""
