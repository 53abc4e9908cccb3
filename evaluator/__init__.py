"""The engine of the Antibody Polyreactivity Benchmark: run strangers' images offline, check and score what they write."""
