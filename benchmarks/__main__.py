"""`make bench`: ratios measured side by side in one run; absolute times are of this machine only."""

from benchmarks import cluster, embedding, few_shot, rounds, scoring, site

scoring.main()
rounds.main()
few_shot.main()
cluster.main()
embedding.main()
site.main()
