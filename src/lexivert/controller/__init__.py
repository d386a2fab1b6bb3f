"""Decoding: from a vector back to its units, by exact evidence, a learned prior, and verification."""
