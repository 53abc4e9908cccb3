"""The public board: records in, data files and pages out."""
