"""Tests of rounds/."""
