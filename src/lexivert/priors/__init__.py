"""Priors over units at positions: unigram, and the Selector, a log-bilinear language model."""
