"""The public board: records in, data files and pages out.

Door: `build.build` writes the whole site. `board` gathers what is known of a track, `data` makes `data/v1/`, `pages`
the HTML with `table`, `plots`, `compare` and `news`. `coverage.csv` is measured by `python -m benchmarks.coverage`.
"""
