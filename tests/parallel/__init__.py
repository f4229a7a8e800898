"""Tests of training on several ranks, which they start themselves."""
