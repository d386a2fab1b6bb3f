"""A causal language model: how likely a text is, and what may follow; shared by decoding and generation."""
