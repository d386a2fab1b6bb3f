"""Text in: sources, sentences, and the split by document."""
