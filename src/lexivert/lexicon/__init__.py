"""Units: tokenising, kinds, counting, segmentation and WordNet maps."""
