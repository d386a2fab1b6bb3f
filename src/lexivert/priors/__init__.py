"""Priors over units: unigram, and the Selector, a log-bilinear language model."""
