"""`make bench`: ratios measured side by side in one run; absolute times are of this machine only."""

from benchmarks import scoring, site

scoring.main()
site.main()
