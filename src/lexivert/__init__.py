"""Lexivert: sentence vectors that can be read back, word by word."""
