"""Data in: sources, sentences, document splits, WordNet and its relations, word lists."""
