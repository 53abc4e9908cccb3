"""How fast backbones embed, against the stock model and against what the machine's matrix products could do.

Doors: `measure.compare` measures, `report.write` says it, `loads` makes sequences and checkpoints of the real shapes,
`machine.peak_rate` is what a share is of.
"""
