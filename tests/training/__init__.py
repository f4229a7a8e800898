"""Tests of the training loop, and the small run that they share."""
