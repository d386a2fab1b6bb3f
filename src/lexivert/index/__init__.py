"""Nearest units by inner product (FAISS)."""
