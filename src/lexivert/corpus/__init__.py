"""Sources of text, sentences and document splits."""
