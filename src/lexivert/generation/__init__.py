"""Generation: texts of like meaning for semantic prefixes (embedding inversion), from which no words can be read."""
