"""Tests of preparing/."""
