"""Tests of optimizers, and the problems that several of them share."""
