"""Nearest unit codes by inner product: FAISS and eight-bit search."""
