"""Sentence encoders: the frozen backbone and its features."""
