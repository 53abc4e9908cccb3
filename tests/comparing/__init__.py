"""Tests of comparing/."""
