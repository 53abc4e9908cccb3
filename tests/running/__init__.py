"""Tests of running/."""
