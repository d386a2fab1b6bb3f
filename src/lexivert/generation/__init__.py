"""Texts for vectors that hold a meaning but no words."""
