"""Tests, against a real engine, a real registry and a real browser."""
