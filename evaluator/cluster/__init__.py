"""The same round on many machines; the only room that knows Dask and SLURM.

Doors: certificates fleet slurm worker.
"""
