"""Reference models: what every entry is compared with, and the code that a contributor starts from."""
