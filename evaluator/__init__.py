"""The engine of the benchmark: run strangers' images offline, check and score what they write."""
