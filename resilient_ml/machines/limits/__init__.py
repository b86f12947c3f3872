"""Algorithms that find out how many calls a model can take at once: pure, one file each."""
