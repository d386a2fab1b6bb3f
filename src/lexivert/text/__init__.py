"""Text to units and back: tokenizer, lexicon, lossless segmentation, detokenizer."""
