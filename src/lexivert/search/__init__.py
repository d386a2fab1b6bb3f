"""Nearest unit codes by inner product: FAISS, and eight-bit products rescored exactly; torch in, torch out."""
