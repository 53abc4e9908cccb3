"""Tests of pull_requests/."""
